"""Rules that need little or no training: what a learnt model must beat, and may use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.ensemble import SMALLEST
from dexml.errors import ModelError
from dexml.models.base import take_columns

__all__ = [
    "RULES",
    "BaseRate",
    "HourOfWeekVolume",
    "Reversal",
    "Rule",
    "VolatilityClosedForm",
    "rule_from_dict",
]

Floats = NDArray[np.float64]
_HOURS_PER_WEEK = 168
_PRIOR_ROWS = 20.0  # what the base rate weighs against an hour's own frequency


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(ABC):
    """A forecaster of few numbers: `fit` returns a new rule, `predict` applies it.

    Attributes
    ----------
    base : float
        Frequency of label 1 in the training rows, drawn to 1/2 by one row of each class.
    """

    name: ClassVar[str]
    base: float = 0.5

    @property
    def columns(self) -> tuple[str, ...]:
        return ()

    @abstractmethod
    def fit(self, panel: pd.DataFrame, labels: pd.Series) -> Self:
        """Learn from rows with a known label; others are left out."""

    @abstractmethod
    def predict(self, panel: pd.DataFrame) -> Floats:
        """Return probabilities in (0, 1), shape (n_rows,)."""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values that `rule_from_dict` takes."""
        return {"rule": self.name, **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseRate(Rule):
    """Says the training frequency, always.

    Examples
    --------
    >>> panel = pd.DataFrame({"x": [0.0, 0.0]})
    >>> BaseRate().fit(panel, pd.Series([1.0, 1.0])).predict(panel).tolist()
    [0.75, 0.75]
    """

    name: ClassVar[str] = "base_rate"

    def fit(self, panel: pd.DataFrame, labels: pd.Series) -> BaseRate:
        return BaseRate(base=_frequency(_known(labels)))

    def predict(self, panel: pd.DataFrame) -> Floats:
        return np.full(len(panel), self.base)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal(Rule):
    """Up if the last bar fell, with the frequency that this had in the training rows.

    Attributes
    ----------
    column : str
        Return of the last bar.
    after_fall, after_rise : float
        Frequency of label 1 after a fall, and after a rise or no move.
    """

    name: ClassVar[str] = "reversal"
    column: str = "return_1"
    after_fall: float = 0.5
    after_rise: float = 0.5

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    def fit(self, panel: pd.DataFrame, labels: pd.Series) -> Reversal:
        fell = self._fell(panel)
        y = labels.to_numpy(dtype=np.float64)
        return Reversal(
            base=_frequency(_known(labels)),
            column=self.column,
            after_fall=_frequency(y[fell & np.isfinite(y)]),
            after_rise=_frequency(y[~fell & np.isfinite(y)]),
        )

    def predict(self, panel: pd.DataFrame) -> Floats:
        return np.where(self._fell(panel), self.after_fall, self.after_rise)

    def _fell(self, panel: pd.DataFrame) -> NDArray[np.bool_]:
        column = take_columns(panel, self.columns)[self.column]
        return np.asarray(column.to_numpy(dtype=np.float64) < 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolatilityClosedForm(Rule):
    """Says the closed-form probability that the 20-bar deviation rises; missing is the base rate.

    Attributes
    ----------
    column : str
        Feature that holds the probability.
    """

    name: ClassVar[str] = "volatility_closed_form"
    column: str = "volatility_closed_form"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    def fit(self, panel: pd.DataFrame, labels: pd.Series) -> VolatilityClosedForm:
        return VolatilityClosedForm(base=_frequency(_known(labels)), column=self.column)

    def predict(self, panel: pd.DataFrame) -> Floats:
        column = take_columns(panel, self.columns)[self.column]
        p = np.ascontiguousarray(column, dtype=np.float64)
        return np.where(np.isfinite(p), np.clip(p, SMALLEST, 1 - SMALLEST), self.base)


@dataclass(frozen=True, slots=True, kw_only=True)
class HourOfWeekVolume(Rule):
    """Says the training frequency of the hour of the week, drawn to the base rate.

    A row closed at an instant is about the bar that opens at it, so the index gives the hour.

    Attributes
    ----------
    by_hour : tuple of 168 floats
        From Monday 00:00 UTC; empty before `fit`.
    """

    name: ClassVar[str] = "hour_of_week_volume"
    by_hour: tuple[float, ...] = ()

    def fit(self, panel: pd.DataFrame, labels: pd.Series) -> HourOfWeekVolume:
        y = labels.to_numpy(dtype=np.float64)
        known = np.isfinite(y)
        base, hours = _frequency(y[known]), _hours(panel)[known]
        ones = np.bincount(hours, weights=y[known], minlength=_HOURS_PER_WEEK)
        rows = np.bincount(hours, minlength=_HOURS_PER_WEEK)
        by_hour = (ones + _PRIOR_ROWS * base) / (rows + _PRIOR_ROWS)
        return HourOfWeekVolume(base=base, by_hour=tuple(map(float, by_hour)))

    def predict(self, panel: pd.DataFrame) -> Floats:
        if not self.by_hour:
            raise ModelError(self.name, "must be fitted first", "not", "Call fit.")
        return np.array(self.by_hour)[_hours(panel)]


RULES: Mapping[str, type[Rule]] = {
    one.name: one for one in (BaseRate, Reversal, VolatilityClosedForm, HourOfWeekVolume)
}


def rule_from_dict(values: Mapping[str, Any]) -> Rule:
    """Build a rule from its `to_dict`.

    Examples
    --------
    >>> rule_from_dict({"rule": "base_rate", "base": 0.6})
    BaseRate(base=0.6)
    """
    fields: dict[str, Any]
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k != "rule"}
    return RULES[values["rule"]](**fields)


def _known(labels: pd.Series) -> Floats:
    y = labels.to_numpy(dtype=np.float64)
    return np.asarray(y[np.isfinite(y)])


def _frequency(y: Floats) -> float:
    return float((y.sum() + 1.0) / (len(y) + 2.0))


def _hours(panel: pd.DataFrame) -> NDArray[np.int64]:
    closed_at = pd.DatetimeIndex(panel.index.get_level_values("closed_at"))
    return np.asarray(closed_at.dayofweek * 24 + closed_at.hour, dtype=np.int64)
