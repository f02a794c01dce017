"""How a dense network learns: so many passes over shuffled rows, never until a score is best."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from dexml.domain import Floats
from dexml.models.dense import DenseNetwork, DenseSettings, Scaling
from dexml.models.sequence.machine import on_threads

__all__ = ["fit_dense"]

_SURE = 0.002  # share of the training rows on either side that may be surer than the network says


def fit_dense(
    values: Floats,
    y: Floats,
    settings: DenseSettings,
    seed: int,
    counts: Floats | None = None,
) -> DenseNetwork:
    """Learn a network, on one thread, with the same bits each time.

    Parameters
    ----------
    values : ndarray, shape (n, n_columns)
        NaN where a value is not known.
    y : ndarray, shape (n,)
        1.0 or 0.0.
    counts : ndarray, shape (n,), optional
        How much each row counts; once unless given.
    """
    scaling = Scaling.fit(values)
    rows = torch.from_numpy(scaling.apply(values).astype(np.float32))
    often = np.ones_like(y) if counts is None else counts
    with on_threads(1, seed=seed):
        network = _network(rows.shape[1], settings)
        _learn(network, rows, _single(y), _single(often / often.mean()), settings)
    layers = [one for one in network if isinstance(one, nn.Linear)]
    fitted = DenseNetwork(
        scaling=scaling,
        weights=tuple(_double(one.weight).T.copy() for one in layers),
        biases=tuple(_double(one.bias) for one in layers),
        surest=(-np.inf, np.inf),
    )
    low, high = np.quantile(fitted.log_odds(scaling.apply(values)), [_SURE, 1.0 - _SURE])
    return replace(fitted, surest=(float(low), float(high)))


def _network(n_columns: int, settings: DenseSettings) -> nn.Sequential:
    parts: list[nn.Module] = []
    for n_in, n_out in pairwise((n_columns, *settings.widths)):
        parts += [nn.Linear(n_in, n_out), nn.SiLU(), nn.Dropout(settings.dropout)]
    return nn.Sequential(*parts, nn.Linear(settings.widths[-1], 1))


def _learn(
    network: nn.Sequential, rows: Tensor, y: Tensor, counts: Tensor, settings: DenseSettings
) -> None:
    rate, steps = settings.learning_rate, settings.steps(len(rows))
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=settings.weight_decay)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1)
    loss = nn.BCEWithLogitsLoss(reduction="none")
    batches = _batches(len(rows), settings.batch_rows)
    for _, batch in zip(range(steps), batches, strict=False):
        optimizer.zero_grad()
        (loss(network(rows[batch])[:, 0], y[batch]) * counts[batch]).mean().backward()
        optimizer.step()
        cycle.step()


def _batches(n_rows: int, size: int) -> Iterator[Tensor]:
    while True:
        order = torch.randperm(n_rows)
        for first in range(0, max(1, n_rows - size + 1), size):
            yield order[first : first + size]


def _single(values: Floats) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


def _double(values: Tensor) -> Floats:
    return values.detach().numpy().astype(np.float64)
