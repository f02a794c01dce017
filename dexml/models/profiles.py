"""Which AutoGluon models a profile fits for a target, and what a fit is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dexml.errors import ConfigError
from dexml.models.dense import DenseSettings
from dexml.models.rules import BaseRate, HourOfWeekVolume, Reversal, Rule, VolatilityClosedForm
from dexml.models.sequence.config import SequenceConfig

__all__ = [
    "DIRECTIONAL",
    "PROFILES",
    "FitSpec",
    "LearnerSpec",
    "Profile",
    "estimated_seconds",
    "learners",
    "rules_of",
]

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
    horizon : int
        Bars that the label looks ahead; at most the embargo.
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
    horizon: int = 1
    num_cpus: int = 1
    sequence: SequenceConfig | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        if isinstance(self.sequence, Mapping):  # as JSON holds it
            object.__setattr__(self, "sequence", SequenceConfig.from_dict(self.sequence))
        least = {"n_folds": 3, "horizon": 1, "num_cpus": 1, "seed": 0, "embargo_bars": 0}
        if self.horizon > 1:  # labels of one bar never shared more than the bar itself
            least["embargo_bars"] = self.horizon
        for name, fewest in least.items():
            if getattr(self, name) < fewest:
                was = getattr(self, name)
                raise ConfigError(f"fit {name}", f"must be at least {fewest}", was, "Raise it.")
        if self.profile not in PROFILES:
            known = ", ".join(PROFILES)
            raise ConfigError("fit profile", f"must be one of {known}", self.profile, "Pick one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerSpec:
    """One learner: its kind, the suffix of its name and its hyperparameters.

    Attributes
    ----------
    kind : str
        "FixedGBM", "FixedCAT" or "FixedDense".
    """

    kind: str
    suffix: str
    parameters: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.kind}{self.suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How much work a fit may be: its learners, and how often they are bagged.

    Attributes
    ----------
    directional, other : tuple of LearnerSpec
        For targets that speak of direction, and for the others.
    n_sets : int
        Sets of folds; from the second on the blocks begin elsewhere.
    n_folds : int
        Blocks of a set.
    most_rows : int or None
        Of more rows only those of every so many-th instant are learnt from.
    """

    directional: tuple[LearnerSpec, ...]
    other: tuple[LearnerSpec, ...]
    n_sets: int = 1
    n_folds: int = 5
    most_rows: int | None = None

    def learners(self, target: str) -> tuple[LearnerSpec, ...]:
        """Return the learners of a target."""
        return self.directional if target in DIRECTIONAL else self.other


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


def _gbm(suffix: str, rounds: int, rate: float, leaves: int, **parameters: Any) -> LearnerSpec:
    shape = {"num_boost_round": rounds, "learning_rate": rate, "num_leaves": leaves}
    return LearnerSpec(
        kind="FixedGBM", suffix=suffix, parameters={**shape, **_STEADY, **parameters}
    )


def _cat(suffix: str, iterations: int, depth: int) -> LearnerSpec:
    shape = {"iterations": iterations, "depth": depth, "learning_rate": 0.05, "border_count": 64}
    return LearnerSpec(kind="FixedCAT", suffix=suffix, parameters=shape)


_DENSE = LearnerSpec(kind="FixedDense", suffix="", parameters={})  # as `DenseSettings` has it
_STIFF = _gbm("_stiff", 100, 0.03, 7, extra_trees=True)
_MIDDLE = _gbm("_middle", 200, 0.05, 15)
_MIDDLE_XT = _gbm("_middle_xt", 200, 0.05, 15, extra_trees=True)
_LONG = _gbm("_long", 600, 0.02, 31)

# Direction on recorded bars needs stiff learners, a market with an edge looser ones: both are
# fitted and the blend weighs them by what they did out of fold. Every learner has a fixed number
# of rounds: what is fitted never depends on a clock.
_LIGHT = Profile(
    directional=(_gbm("_light", 60, 0.05, 7, extra_trees=True),),
    other=(_gbm("_light", 100, 0.1, 15),),
    n_folds=3,
    most_rows=80_000,
)
_FAST = Profile(directional=(_STIFF, _MIDDLE, _DENSE), other=(_MIDDLE, _cat("", 100, 4)))
_STANDARD = Profile(
    directional=(*_FAST.directional, _gbm("_plain", 100, 0.03, 7), _cat("", 100, 4)),
    other=(_MIDDLE, _MIDDLE_XT, _cat("", 250, 6)),
)
_BEST = Profile(
    directional=(*_STANDARD.directional, _LONG, _cat("_deep", 250, 6)),
    other=(*_STANDARD.other, _LONG),
    n_sets=2,
)
PROFILES: Mapping[str, Profile] = {
    "light": _LIGHT,
    "fast": _FAST,
    "standard": _STANDARD,
    "best": _BEST,
}

_RULES: Mapping[str, Rule] = {
    "volatility": VolatilityClosedForm(),
    "volume": HourOfWeekVolume(),
    "direction": Reversal(),
}


_ONE_BAR = (VolatilityClosedForm, HourOfWeekVolume)  # they speak of the next bar, and only of it


def learners(spec: FitSpec) -> tuple[LearnerSpec, ...]:
    """Return the learners of a fit.

    Examples
    --------
    >>> [one.name for one in learners(FitSpec(target="volume", columns=("volume_ratio_1",)))]
    ['FixedGBM_middle', 'FixedCAT']
    """
    return PROFILES[spec.profile].learners(spec.target)


# Of one core of the machine the notes were measured on; trees of depth d have 2^d leaves.
_SECONDS_AT_LEAST = 6.0
_SECONDS_PER_LEAF_ROW = {"FixedGBM": 1.9e-8, "FixedCAT": 1.6e-8}
_SECONDS_PER_DENSE_ROW = 1.2e-5


def estimated_seconds(spec: FitSpec, n_rows: int) -> float:
    """Return about how long one core fits a target on so many rows.

    Examples
    --------
    >>> spec = FitSpec(target="direction", columns=("return_1",))
    >>> fast, best = (
    ...     estimated_seconds(FitSpec(target="volume", columns=("return_1",), profile=name), 18_000)
    ...     for name in ("fast", "best")
    ... )
    >>> fast < best
    True
    """
    profile = PROFILES[spec.profile]
    n_fits, n_rows = spec.n_folds * profile.n_sets + 1, min(n_rows, profile.most_rows or n_rows)
    return _SECONDS_AT_LEAST + n_fits * sum(_seconds(one, n_rows) for one in learners(spec))


def _seconds(learner: LearnerSpec, n_rows: int) -> float:
    given = learner.parameters
    match learner.kind:
        case "FixedDense":
            settings = DenseSettings(**given)
            return settings.steps(n_rows) * settings.batch_rows * _SECONDS_PER_DENSE_ROW
        case "FixedCAT":
            leaves = given["iterations"] * 2 ** given["depth"]
        case _:
            leaves = given["num_boost_round"] * given["num_leaves"]
    return float(n_rows * leaves * _SECONDS_PER_LEAF_ROW[learner.kind])


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
    if spec.horizon > 1 and isinstance(rule, _ONE_BAR):
        return ()
    return (rule,)
