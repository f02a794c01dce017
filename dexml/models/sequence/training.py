"""Training of one network: every step is a function of the seed and its number, so it can go on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexml.models.sequence.checkpoint import fingerprint, read_checkpoint, write_checkpoint
from dexml.models.sequence.config import SequenceConfig
from dexml.models.sequence.losses import class_weights, focal_loss, posterior
from dexml.models.sequence.machine import device_of, mixed_seed, on_threads, precision_on
from dexml.models.sequence.network import CnnLstm, build_network
from dexml.validation.metrics import log_loss

__all__ = ["Learnt", "Material", "Progress", "Schedule", "says", "train_network"]

Floats = NDArray[np.float64]
Report = Callable[["Progress"], None]

_JUDGED = 8_192  # windows of the block that decides when to stop, evenly over it
_BATCH = 1_024


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """What a network learns from, and the later block that decides when it stops.

    Attributes
    ----------
    channels : ndarray of float32, shape (n_rows, n_channels)
        Scaled rows, instrument after instrument.
    ends, judged : ndarray of int64
        Rows at which windows end: to learn from, and of the block.
    y, judged_y : ndarray
        Their labels, 0.0 or 1.0.
    """

    channels: NDArray[np.float32]
    ends: NDArray[np.int64]
    y: Floats
    judged: NDArray[np.int64]
    judged_y: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How far a training may go, on how many threads and from which seed.

    Attributes
    ----------
    max_samples : int or None
        Windows seen; None leaves it to the epochs.
    checkpoint : Path or None
        File of the checkpoint.
    """

    seed: int = 0
    max_samples: int | None = None
    num_cpus: int = 1
    checkpoint: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a training is: windows seen of the most it may see, and the log-loss of the block."""

    samples: int
    most: int
    log_loss: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learnt:
    """A trained network.

    Attributes
    ----------
    weights : dict of str to ndarray
        Of the epoch with the best log-loss on the block.
    class_weights : tuple of two floats
        What `posterior` needs.
    history : tuple of float
        Log-loss of the block after each epoch.
    samples : int
        Windows seen.
    """

    weights: dict[str, NDArray[Any]]
    class_weights: tuple[float, float]
    history: tuple[float, ...]
    samples: int


@dataclass(slots=True, kw_only=True)
class _State:
    step: int = 0
    waited: int = 0
    history: list[float] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)


def train_network(
    material: Material,
    config: SequenceConfig,
    schedule: Schedule,
    report: Report = lambda _progress: None,
) -> Learnt:
    """Train a network and return its best weights on the block that it did not learn from.

    The same material, configuration, seed and number of threads give the same bits on one machine,
    whether or not the training was killed and went on from its checkpoint.

    Raises
    ------
    ModelError
        If a class is absent, CUDA was asked for and is absent, or the checkpoint is broken.
    """
    with on_threads(schedule.num_cpus, schedule.seed):
        run = _Run(material, config, schedule)
        while not run.ended:
            run.learn()
            report(run.progress)
            run.keep()
        return run.learnt()


def says(network: CnnLstm, channels: Tensor, ends: NDArray[np.int64], length: int) -> Floats:
    """Return the log-odds of many windows, in batches, shape (n,); no step is learnt."""
    network.eval()
    view = channels.unfold(0, length, 1)
    parts = []
    with torch.inference_mode():
        for first in range(0, len(ends), _BATCH):
            chosen = torch.from_numpy(ends[first : first + _BATCH] + 1 - length)
            parts.append(network(view[chosen.to(channels.device)]).float().cpu().numpy())
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)


class _Run:
    def __init__(self, material: Material, config: SequenceConfig, schedule: Schedule) -> None:
        self.config, self.schedule = config, schedule
        self.device = device_of(config.trainer)
        self.weights = class_weights(material.y, config.balancing)
        self._place(material)
        self.network = build_network(material.channels.shape[1], config.model, schedule.seed).to(
            self.device
        )
        self.forward = torch.compile(self.network) if config.trainer.compile else self.network
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=config.trainer.learning_rate,
            weight_decay=config.trainer.weight_decay,
            fused=True,
        )
        self.state = _State()
        self.order = torch.zeros(0)
        if schedule.checkpoint:
            self._go_on(material, schedule.checkpoint)

    def _place(self, material: Material) -> None:
        length, trainer = self.config.data.sequence_length, self.config.trainer
        self.channels = torch.from_numpy(material.channels).to(self.device)
        self.view = self.channels.unfold(0, length, 1)
        self.starts = torch.from_numpy(material.ends + 1 - length).to(self.device)
        self.y = torch.from_numpy(material.y.astype(np.float32)).to(self.device)
        self.by_class = torch.tensor(self.weights, dtype=torch.float32, device=self.device)
        thinned = np.linspace(0, len(material.judged) - 1, min(len(material.judged), _JUDGED))
        self.judged = material.judged[thinned.astype(np.int64)]
        self.judged_y = material.judged_y[thinned.astype(np.int64)]
        self.per_epoch = math.ceil(len(material.ends) / trainer.batch_size)
        self.most = trainer.epochs * self.per_epoch
        if self.schedule.max_samples is not None:
            self.most = min(self.most, max(1, self.schedule.max_samples // trainer.batch_size))

    def _go_on(self, material: Material, path: Path) -> None:
        settings = asdict(self.config) | {
            "seed": self.schedule.seed,
            "most": self.most,
            "num_cpus": self.schedule.num_cpus,
            "device": self.device.type,
        }
        settings["trainer"] = settings["trainer"] | {"checkpoint_steps": None}
        self.known_by = fingerprint(
            settings,
            material.channels,
            material.ends,
            material.y,
            material.judged,
            material.judged_y,
        )
        held = read_checkpoint(path, self.known_by)
        if held is not None:
            self.network.load_state_dict(held.pop("network"))
            self.optimizer.load_state_dict(held.pop("optimizer"))
            self.state = _State(**held)

    @property
    def ended(self) -> bool:
        """Whether the schedule is through, or the block has not got better for too long."""
        return self.state.step >= self.most or self.state.waited >= self.config.trainer.patience

    @property
    def progress(self) -> Progress:
        size = self.config.trainer.batch_size
        newest = self.state.history[-1] if self.state.history else math.nan
        return Progress(samples=self.state.step * size, most=self.most * size, log_loss=newest)

    def learn(self) -> None:
        """Take one step, and judge the network where an epoch or the schedule ends."""
        step = self.state.step
        chosen = self._batch(step)
        # What dropout draws depends on the number of the step only, so a checkpoint needs no
        # generators.
        torch.manual_seed(mixed_seed(self.schedule.seed, 1, step))
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        with precision_on(self.device, self.config.trainer):
            logits = self.forward(self.view[self.starts[chosen]])
        gamma = self.config.balancing.focal_gamma
        focal_loss(logits.float(), self.y[chosen], self.by_class, gamma).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.trainer.gradient_clip)
        self.optimizer.step()
        self.state.step += 1
        if self.state.step % self.per_epoch == 0 or self.state.step == self.most:
            self._judge()

    def keep(self) -> None:
        """Write a checkpoint where one is due."""
        path, every = self.schedule.checkpoint, self.config.trainer.checkpoint_steps
        if path and (self.state.step % every == 0 or self.ended):
            held = {
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                **{name: getattr(self.state, name) for name in _State.__slots__},
            }
            write_checkpoint(path, self.known_by, held)

    def learnt(self) -> Learnt:
        return Learnt(
            weights={name: value.cpu().numpy() for name, value in self.state.best.items()},
            class_weights=self.weights,
            history=tuple(self.state.history),
            samples=self.progress.samples,
        )

    def _batch(self, step: int) -> Tensor:
        epoch, number = divmod(step, self.per_epoch)
        if number == 0 or not len(self.order):
            generator = torch.Generator().manual_seed(mixed_seed(self.schedule.seed, 0, epoch))
            self.order = torch.randperm(len(self.starts), generator=generator).to(self.device)
        size = self.config.trainer.batch_size
        return self.order[number * size : (number + 1) * size]

    def _judge(self) -> None:
        length = self.config.data.sequence_length
        logits = says(self.network, self.channels, self.judged, length)
        p = posterior(logits, self.config.balancing.focal_gamma, self.weights)
        loss = log_loss(self.judged_y, p)
        if not self.state.history or loss < min(self.state.history):
            self.state.waited = 0
            state = self.network.state_dict()
            self.state.best = {name: value.clone() for name, value in state.items()}
        else:
            self.state.waited += 1
        self.state.history.append(loss)
