"""Every setting of the CNN-LSTM and its default: the one place where they are written down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, Literal, get_args, get_type_hints

from dexml.errors import ConfigError

__all__ = [
    "SAMPLES_SEEN",
    "SECTIONS",
    "ClassBalancingConfig",
    "DataConfig",
    "ModelConfig",
    "SequenceConfig",
    "TrainerConfig",
    "budget",
    "settings_of",
]

NAME = "models.sequence"

# What a profile lets a fit learn from in all: the networks of the folds and the one that is kept.
SAMPLES_SEEN: Mapping[str, int | None] = {"fast": 200_000, "standard": 2_000_000, "best": None}


def _setting(default: Any, doc: str, least: float | None = None, most: float | None = None) -> Any:
    return field(default=default, metadata={"doc": doc, "least": least, "most": most})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The network: convolutions over time, then an LSTM, then one number.

    Raises
    ------
    ConfigError
        If a value breaks its rule.

    Examples
    --------
    >>> ModelConfig(dropout=1.5)
    Traceback (most recent call last):
    dexml.errors.ConfigError: models.sequence.model.dropout must lie in 0..0.95, was 1.5. ...
    """

    cnn_channels: tuple[int, ...] = _setting(
        (32, 64, 128), "Channels of the convolutions, one after the other.", 1, 1_024
    )
    kernel_size: int = _setting(3, "Bars that a convolution sees at once; odd.", 1, 31)
    lstm_hidden: int = _setting(128, "Size of the LSTM's state.", 1, 2_048)
    lstm_layers: int = _setting(1, "LSTMs on top of one another.", 1, 4)
    dropout: float = _setting(
        0.4, "Share of numbers left out in training, before the LSTM and before the head.", 0, 0.95
    )

    def __post_init__(self) -> None:
        _check(self, "model")
        if self.kernel_size % 2 == 0:
            _refuse("model.kernel_size", "must be odd", self.kernel_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerConfig:
    """How the network learns: AdamW, with an early stop on the newest block of the training rows.

    Examples
    --------
    >>> TrainerConfig().learning_rate
    5e-05
    """

    epochs: int = _setting(150, "Most passes over the training windows.", 1, 100_000)
    batch_size: int = _setting(256, "Windows of one step.", 1, 65_536)
    learning_rate: float = _setting(5e-5, "Step size of AdamW.", 1e-9, 1.0)
    weight_decay: float = _setting(0.01, "Decoupled weight decay of AdamW.", 0, 10.0)
    patience: int = _setting(
        15, "Epochs without a better log-loss on the block after which training stops.", 1, 100_000
    )
    gradient_clip: float = _setting(1.0, "Longest gradient, Euclidean.", 1e-9, 1e9)
    max_samples: int | None = _setting(
        None, "Most windows seen by all networks of a fit; none: what the profile allows.", 1, None
    )
    device: Literal["auto", "cpu", "cuda"] = _setting(
        "auto", "Where it learns; `auto` takes CUDA if there is one."
    )
    precision: Literal["auto", "float32", "bf16"] = _setting(
        "auto", "Of products in training; `auto` is bf16 on CUDA and float32 on a CPU."
    )
    compile: bool = _setting(False, "Whether `torch.compile` makes kernels of the network first.")
    checkpoint_steps: int = _setting(
        50, "Steps between checkpoints, where a folder is given for them.", 1, None
    )

    def __post_init__(self) -> None:
        _check(self, "trainer")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """What the network sees: windows of consecutive bars of one instrument.

    Examples
    --------
    >>> DataConfig().sequence_length
    64
    """

    sequence_length: int = _setting(64, "Bars of a window; the last is the one forecast.", 2, 4_096)
    validation_share: float = _setting(
        0.15, "Newest share of the training time that decides when to stop.", 0.01, 0.5
    )
    clip: float = _setting(
        5.0, "Standard deviations at which a value of a column is cut.", 0.1, 1_000.0
    )
    mask_missing: bool = _setting(
        True, "Whether the network is told which values were missing, by a column each."
    )

    def __post_init__(self) -> None:
        _check(self, "data")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassBalancingConfig:
    """What a window weighs in the loss, by its class and by how well it is known already.

    Examples
    --------
    >>> ClassBalancingConfig().focal_gamma
    2.5
    """

    focal_gamma: float = _setting(2.5, "Power of the focal loss; 0 is the plain log-loss.", 0, 10.0)
    method: Literal["none", "balanced", "effective_number"] = _setting(
        "balanced", "How classes are weighed: not, by 1/count, or by the effective number."
    )
    beta: float = _setting(0.999, "Of the effective number.", 0, 0.999999)

    def __post_init__(self) -> None:
        _check(self, "balancing")


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceConfig:
    """The CNN-LSTM as a whole.

    Attributes
    ----------
    enabled : bool
        Whether it is a member of the ensemble.

    Examples
    --------
    >>> SequenceConfig.from_dict({"trainer": {"epochs": 3}}).trainer.epochs
    3
    """

    enabled: bool = False
    model: ModelConfig = field(default_factory=ModelConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    data: DataConfig = field(default_factory=DataConfig)
    balancing: ClassBalancingConfig = field(default_factory=ClassBalancingConfig)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SequenceConfig:
        """Build a configuration from what `dataclasses.asdict` makes of one.

        Raises
        ------
        ConfigError
            If a section or setting is unknown, or a value breaks its rule.
        """
        made: dict[str, Any] = {}
        for name, given in values.items():
            if name == "enabled":
                made[name] = given
            elif name in SECTIONS and isinstance(given, Mapping):
                made[name] = _section(name, given)
            else:
                known = ", ".join(("enabled", *SECTIONS))
                raise ConfigError(NAME, f"must hold only {known}", name, "Remove it.")
        return cls(**made)


SECTIONS: Mapping[str, type] = {
    "model": ModelConfig,
    "trainer": TrainerConfig,
    "data": DataConfig,
    "balancing": ClassBalancingConfig,
}


def settings_of(section: type) -> tuple[Field[Any], ...]:
    """Return the settings of a section, in order; each has its doc and bounds as metadata."""
    return fields(section)


def budget(config: SequenceConfig, profile: str) -> int | None:
    """Return how many windows all networks of a fit may see; None: the full schedule.

    Examples
    --------
    >>> budget(SequenceConfig(), "fast")
    200000
    """
    most = config.trainer.max_samples
    return SAMPLES_SEEN.get(profile, SAMPLES_SEEN["fast"]) if most is None else most


def _section(name: str, given: Mapping[str, Any]) -> Any:
    known = [one.name for one in fields(SECTIONS[name])]
    for key in given:
        if key not in known:
            _refuse(f"{name}.{key}", f"must be one of {', '.join(known)}", key)
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in given.items()}
    return SECTIONS[name](**values)


def _check(config: Any, section: str) -> None:
    hints = get_type_hints(type(config))
    for one in fields(config):
        name, value = f"{section}.{one.name}", getattr(config, one.name)
        choices = get_args(hints[one.name])
        if value is None and type(None) in choices:
            continue
        if isinstance(one.default, str):
            if value not in choices:
                _refuse(name, f"must be one of {', '.join(choices)}", value)
        elif isinstance(one.default, tuple):
            _check_numbers(name, one, value)
        else:
            _check_number(name, one, value, type(one.default))


def _check_numbers(name: str, setting: Field[Any], value: Any) -> None:
    if not isinstance(value, tuple) or not value:
        _refuse(name, "must be a list of whole numbers", value)
    for one in value:
        _check_number(name, setting, one, int)


def _check_number(name: str, setting: Field[Any], value: Any, kind: type) -> None:
    if kind is bool:
        if not isinstance(value, bool):
            _refuse(name, "must be true or false", value)
        return
    number = isinstance(value, (int, float) if kind is float else int)
    if isinstance(value, bool) or not number or not math.isfinite(value):
        _refuse(name, f"must be a {'number' if kind is float else 'whole number'}", value)
    least, most = setting.metadata["least"], setting.metadata["most"]
    if not (-math.inf if least is None else least) <= value <= (math.inf if most is None else most):
        rule = f"must be at least {least}" if most is None else f"must lie in {least}..{most}"
        _refuse(name, rule, value)


def _refuse(name: str, rule: str, was: object) -> None:
    fix = "Correct it, or remove it to take the default."
    raise ConfigError(f"{NAME}.{name}", rule, was, fix)
