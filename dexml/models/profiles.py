"""Which AutoGluon models a profile fits for a target, and what a fit is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dexml.errors import ConfigError
from dexml.models.rules import BaseRate, HourOfWeekVolume, Reversal, Rule, VolatilityClosedForm
from dexml.models.sequence.config import SequenceConfig

__all__ = ["DIRECTIONAL", "PROFILES", "FitSpec", "LearnerSpec", "learners", "rules_of"]

DIRECTIONAL = frozenset({"direction", "sentiment", "macro"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSpec:
    """What to fit; every field changes the model, so every field is part of its identity.

    Attributes
    ----------
    target : str
        Name of the target; decides which learners and rules take part.
    columns : tuple of str
        Panel columns that the learners see; the instrument is added.
    profile : str
        A name in `PROFILES`.
    seed : int
        Of every random choice.
    n_folds : int
        Contiguous blocks of time, at least 3.
    embargo_bars : int
        Bars on both sides of a block that are not learnt from.
    num_cpus : int
        Threads; does not change the result of boosters.
    sequence : SequenceConfig or None
        The CNN-LSTM is fitted by it; None: the learners of the profile.
    """

    target: str
    columns: tuple[str, ...]
    profile: str = "fast"
    seed: int = 0
    n_folds: int = 5
    embargo_bars: int = 24
    num_cpus: int = 1
    sequence: SequenceConfig | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        if isinstance(self.sequence, Mapping):  # as JSON holds it
            object.__setattr__(self, "sequence", SequenceConfig.from_dict(self.sequence))
        for name, least in {"n_folds": 3, "embargo_bars": 0, "num_cpus": 1, "seed": 0}.items():
            if getattr(self, name) < least:
                was = getattr(self, name)
                raise ConfigError(f"fit {name}", f"must be at least {least}", was, "Raise it.")
        if self.profile not in PROFILES:
            known = ", ".join(PROFILES)
            raise ConfigError("fit profile", f"must be one of {known}", self.profile, "Pick one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerSpec:
    """One learner: its kind, the suffix of its name and its hyperparameters.

    Attributes
    ----------
    kind : str
        "FixedGBM" or "FixedCAT".
    """

    kind: str
    suffix: str
    parameters: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.kind}{self.suffix}"


_STEADY = {
    "max_bin": 63,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 10,
    "deterministic": True,
    "force_row_wise": True,
}
_STIFF = {"num_boost_round": 100, "learning_rate": 0.03, "num_leaves": 7, **_STEADY}
_MIDDLE = {"num_boost_round": 200, "learning_rate": 0.05, "num_leaves": 15, **_STEADY}
_CAT = {"iterations": 100, "depth": 4, "learning_rate": 0.05, "border_count": 64}


def _gbm(suffix: str, **parameters: Any) -> LearnerSpec:
    return LearnerSpec(kind="FixedGBM", suffix=suffix, parameters=parameters)


# Direction on recorded bars needs stiff learners, a market with an edge looser ones: both are
# fitted and the blend weighs them by what they did out of fold.
PROFILES: Mapping[str, Mapping[str, tuple[LearnerSpec, ...]]] = {
    "fast": {
        "directional": (
            _gbm("_stiff", **_STIFF, extra_trees=True),
            _gbm("_middle", **_MIDDLE),
        ),
        "other": (
            _gbm("_middle", **_MIDDLE),
            LearnerSpec(kind="FixedCAT", suffix="", parameters=_CAT),
        ),
    },
}

_RULES: Mapping[str, Rule] = {
    "volatility": VolatilityClosedForm(),
    "volume": HourOfWeekVolume(),
    "direction": Reversal(),
}


def learners(spec: FitSpec) -> tuple[LearnerSpec, ...]:
    """Return the learners of a fit.

    Examples
    --------
    >>> [one.name for one in learners(FitSpec(target="volume", columns=("volume_ratio_1",)))]
    ['FixedGBM_middle', 'FixedCAT']
    """
    kind = "directional" if spec.target in DIRECTIONAL else "other"
    return PROFILES[spec.profile][kind]


def rules_of(spec: FitSpec) -> tuple[Rule, ...]:
    """Return the unfitted rule that is printed beside a target and takes part in its blend.

    Examples
    --------
    >>> [one.name for one in rules_of(FitSpec(target="volume", columns=("volume_ratio_1",)))]
    ['hour_of_week_volume']
    """
    rule = _RULES.get(spec.target, BaseRate())
    if isinstance(rule, BaseRate) or not set(rule.columns) <= set(spec.columns):
        return ()
    return (rule,)
