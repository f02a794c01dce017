"""Advice on a configuration: what is allowed and yet likely to disappoint, and what is better."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from dexml.models.sequence.config import SequenceConfig, budget

__all__ = ["Finding", "validate_config"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One piece of advice.

    Attributes
    ----------
    setting : str
        As "trainer.learning_rate".
    value, better : object
        What is set, and what is better.
    reason : str
        Why.

    Examples
    --------
    >>> print(Finding(setting="model.dropout", value=0.0, better=0.4, reason="nothing is left out"))
    model.dropout = 0.0: nothing is left out. Better: 0.4.
    """

    setting: str
    value: Any
    better: Any
    reason: str

    def __str__(self) -> str:
        return f"{self.setting} = {self.value}: {self.reason}. Better: {self.better}."


def validate_config(
    config: SequenceConfig, profile: str = "best", n_networks: int = 6
) -> list[Finding]:
    """Return advice on a configuration; an empty list means that there is nothing to say.

    Values that break a rule never get here: their class refuses them.

    Parameters
    ----------
    profile : str
        What it is to be fitted with: a profile that stops early asks for longer steps.
    n_networks : int
        Among which a fit divides its windows: one for each fold, and the one that is kept.

    Examples
    --------
    >>> validate_config(SequenceConfig())
    []
    >>> validate_config(SequenceConfig(), "fast")[0].setting
    'trainer.learning_rate'
    """
    most = budget(config, profile)
    steps = None if most is None else max(1, most // n_networks // config.trainer.batch_size)
    found = [*_of_pace(config, steps), *_of_bounds(config), *_of_shape(config)]
    return found


# AdamW moves a weight by at most about the learning rate in a step. First weights are near 0.1:
# a network whose weights can move much less than that stays near what it was made as.
_TRAVEL = 0.13
_FASTEST = 1e-3


def _of_pace(config: SequenceConfig, steps: int | None) -> Iterator[Finding]:
    trainer = config.trainer
    pace = trainer.learning_rate
    if steps is not None and pace * steps < _TRAVEL and pace < _FASTEST:
        better = min(_FASTEST, float(f"{_TRAVEL / steps:.0e}"))
        reason = f"{steps} steps of it cannot move a weight by more than {pace * steps:.2g}"
        yield _finding("trainer.learning_rate", pace, better, reason)
    if pace > 2 * _FASTEST:
        reason = "with so long steps AdamW leaps over what noisy bars can teach"
        yield _finding("trainer.learning_rate", pace, _FASTEST, reason)
    if trainer.patience >= trainer.epochs and trainer.epochs > 1:
        reason = f"with {trainer.epochs} epochs it can never stop a training early"
        yield _finding("trainer.patience", trainer.patience, max(1, trainer.epochs // 10), reason)
    if steps is None and trainer.epochs < 20:
        reason = "the early stop ends a training soon enough; so few epochs end it before"
        yield _finding("trainer.epochs", trainer.epochs, 150, reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    setting: str
    breaks: Callable[[Any], bool]
    better: Any
    reason: str


_BOUNDS = (
    _Bound(
        setting="trainer.batch_size",
        breaks=lambda n: n < 64,
        better=256,
        reason="the gradient of so few windows is mostly noise, and a CPU is idle half of the time",
    ),
    _Bound(
        setting="trainer.batch_size",
        breaks=lambda n: n > 2_048,
        better=256,
        reason="so large batches leave few steps in an epoch",
    ),
    _Bound(
        setting="trainer.weight_decay",
        breaks=lambda x: x == 0,
        better=0.01,
        reason="nothing keeps the weights small",
    ),
    _Bound(
        setting="trainer.weight_decay",
        breaks=lambda x: x > 0.1,
        better=0.01,
        reason="it pulls the weights to 0 faster than a weak signal can push",
    ),
    _Bound(
        setting="model.dropout",
        breaks=lambda x: x < 0.2,
        better=0.4,
        reason="on bars, where most is noise, the network learns the noise by heart",
    ),
    _Bound(
        setting="model.dropout",
        breaks=lambda x: x > 0.6,
        better=0.4,
        reason="too little of a weak signal is left",
    ),
    _Bound(
        setting="model.lstm_hidden",
        breaks=lambda n: n > 256,
        better=128,
        reason="its cost grows with the square, and hourly bars do not fill it",
    ),
    _Bound(
        setting="data.sequence_length",
        breaks=lambda n: n < 16,
        better=64,
        reason="a tabular model sees as far by its features",
    ),
    _Bound(
        setting="data.sequence_length",
        breaks=lambda n: n > 256,
        better=64,
        reason="the cost grows with it, and after a hole an instrument is silent for as many bars",
    ),
    _Bound(
        setting="data.validation_share",
        breaks=lambda x: x < 0.05,
        better=0.15,
        reason="chance decides on so short a block when to stop",
    ),
    _Bound(
        setting="data.clip",
        breaks=lambda x: x < 2,
        better=5.0,
        reason="it cuts ordinary values",
    ),
    _Bound(
        setting="balancing.focal_gamma",
        breaks=lambda x: x > 3,
        better=2.5,
        reason="near chance it takes away nearly all of the gradient: 2^-gamma of it is left",
    ),
)


def _of_bounds(config: SequenceConfig) -> Iterator[Finding]:
    for bound in _BOUNDS:
        section, name = bound.setting.split(".")
        value = getattr(getattr(config, section), name)
        if bound.breaks(value):
            yield _finding(bound.setting, value, bound.better, bound.reason)


def _of_shape(config: SequenceConfig) -> Iterator[Finding]:
    channels = config.model.cnn_channels
    if list(channels) != sorted(channels):
        reason = "channels that get fewer throw away what the layer before has found"
        yield _finding("model.cnn_channels", channels, tuple(sorted(channels)), reason)
    reach = len(channels) * (config.model.kernel_size - 1) + 1
    if reach > config.data.sequence_length:
        reason = f"the convolutions see {reach} bars, more than a window has"
        yield _finding("model.kernel_size", config.model.kernel_size, 3, reason)
    if config.balancing.method != "effective_number" and config.balancing.beta != 0.999:
        reason = f"it does nothing with method {config.balancing.method}"
        yield _finding("balancing.beta", config.balancing.beta, 0.999, reason)


def _finding(setting: str, value: Any, better: Any, reason: str) -> Finding:
    return Finding(setting=setting, value=value, better=better, reason=reason)
