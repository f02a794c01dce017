"""The network: convolutions over time, an LSTM, one log-odds for each window."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from dexml.models.sequence.config import ModelConfig

__all__ = ["CnnLstm", "Dropout", "build_network"]

_BYTE = 256


class Dropout(nn.Module):
    """Leave out a share of the numbers in training, eight random choices from each draw.

    The share is kept to a 256th. What is kept is scaled so that its expectation stays.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> kept = Dropout(0.5)(torch.ones(100_000))
    >>> sorted(set(kept.tolist())), round(float((kept > 0).float().mean()), 2)
    ([0.0, 2.0], 0.5)
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.left_out = round(share * _BYTE)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.left_out == 0:
            return x
        draws = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device)
        draws.random_(-(2**63), None)
        kept = draws.view(torch.uint8)[: x.numel()].view(x.shape) >= self.left_out
        return x * kept * (_BYTE / (_BYTE - self.left_out))


class CnnLstm(nn.Module):
    """Conv1d blocks that keep the length, an LSTM over time, and a head on its last state.

    Parameters
    ----------
    n_channels : int
        Columns of the input.
    config : ModelConfig
        Sizes.

    Examples
    --------
    >>> CnnLstm(5, ModelConfig())(torch.zeros(2, 5, 64)).shape
    torch.Size([2])
    """

    def __init__(self, n_channels: int, config: ModelConfig) -> None:
        super().__init__()
        sizes = (n_channels, *config.cnn_channels)
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [
                nn.Conv1d(before, after, config.kernel_size, padding="same", bias=False),
                nn.BatchNorm1d(after),
                nn.ReLU(),
            ]
        self.convolutions = nn.Sequential(*layers, Dropout(config.dropout))
        self.lstm = nn.LSTM(sizes[-1], config.lstm_hidden, config.lstm_layers, batch_first=True)
        self.head = nn.Sequential(Dropout(config.dropout), nn.Linear(config.lstm_hidden, 1))

    def forward(self, windows: Tensor) -> Tensor:
        """Return log-odds, shape (n,), of windows, shape (n, n_channels, length)."""
        seen = self.convolutions(windows).transpose(1, 2)
        states, _ = self.lstm(seen)
        return cast(Tensor, self.head(states[:, -1]).squeeze(-1))


def build_network(n_channels: int, config: ModelConfig, seed: int) -> CnnLstm:
    """Return a network whose first weights depend on the seed alone; nobody's generator is touched.

    Examples
    --------
    >>> one, two = (build_network(3, ModelConfig(), seed=7).head[1].bias for _ in range(2))
    >>> bool(one == two)
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CnnLstm(n_channels, config)
