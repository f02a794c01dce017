"""Closed forms and rules that need no training or nearly none: what any model must beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dexml.domain import Floats, Target

__all__ = ["BaseRate", "HourOfWeek", "Reversal", "VolatilityClosedForm", "rule_of"]

_CLIP = 1e-3
_HOURS = 168
_PRIOR_ROWS = 50.0  # an hour of the week counts as much as this many rows of the base rate


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseRate:
    """The constant that training suggests."""

    rate: float
    columns: tuple[str, ...] = ()

    @classmethod
    def fit(cls, panel: pd.DataFrame, labels: pd.Series[float]) -> BaseRate:
        """Learn the share of ones among the known labels."""
        return cls(rate=_smoothed(labels.dropna().to_numpy(), 0.5))

    def predict(self, panel: pd.DataFrame) -> Floats:
        return np.full(len(panel), self.rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """Up if the last bar fell: the rule that most models on hourly bars do not beat.

    Examples
    --------
    >>> panel = pd.DataFrame({"return_1": [-0.01, 0.01]})
    >>> Reversal(after_fall=0.53, after_rise=0.48).predict(panel).tolist()
    [0.53, 0.48]
    """

    after_fall: float
    after_rise: float
    columns: tuple[str, ...] = ("return_1",)

    @classmethod
    def fit(cls, panel: pd.DataFrame, labels: pd.Series[float]) -> Reversal:
        """Learn how often a rise follows a fall, and a rise."""
        y = labels.reindex(panel.index).to_numpy()
        fell = panel["return_1"].to_numpy() < 0
        known = ~np.isnan(y)
        return cls(
            after_fall=_smoothed(y[known & fell], 0.5), after_rise=_smoothed(y[known & ~fell], 0.5)
        )

    def predict(self, panel: pd.DataFrame) -> Floats:
        return np.where(panel["return_1"].to_numpy() < 0, self.after_fall, self.after_rise)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolatilityClosedForm:
    """The probability that the 20-bar dispersion rises, from the close that leaves the window."""

    columns: tuple[str, ...] = ("volatility_closed_form",)

    @classmethod
    def fit(cls, panel: pd.DataFrame, labels: pd.Series[float]) -> VolatilityClosedForm:
        """Return the rule; there is nothing to learn."""
        return cls()

    def predict(self, panel: pd.DataFrame) -> Floats:
        return np.clip(panel["volatility_closed_form"].to_numpy(), _CLIP, 1 - _CLIP)


@dataclass(frozen=True, slots=True, kw_only=True)
class HourOfWeek:
    """How often volume rises into each hour of the week.

    Attributes
    ----------
    rates : tuple of 168 floats
        By hour of the week of the bar's close, Monday 00:00 UTC first.
    """

    rates: tuple[float, ...]
    columns: tuple[str, ...] = ()

    @classmethod
    def fit(cls, panel: pd.DataFrame, labels: pd.Series[float]) -> HourOfWeek:
        """Learn the share of ones for each hour, drawn towards the base rate."""
        y = labels.reindex(panel.index).to_numpy()
        known = ~np.isnan(y)
        hours = _hour_of_week(panel)[known]
        base = _smoothed(y[known], 0.5)
        return cls(rates=tuple(_smoothed(y[known][hours == hour], base) for hour in range(_HOURS)))

    def predict(self, panel: pd.DataFrame) -> Floats:
        return np.asarray(self.rates)[_hour_of_week(panel)]


Rule = BaseRate | Reversal | VolatilityClosedForm | HourOfWeek


def rule_of(target: Target) -> Callable[[pd.DataFrame, pd.Series[float]], Rule]:
    """Return the `fit` of the rule that stands beside a target."""
    if target is Target.VOLATILITY:
        return VolatilityClosedForm.fit
    return HourOfWeek.fit if target is Target.VOLUME else Reversal.fit


def _smoothed(y: Floats, prior: float) -> float:
    return float((y.sum() + _PRIOR_ROWS * prior) / (y.size + _PRIOR_ROWS))


def _hour_of_week(panel: pd.DataFrame) -> np.ndarray:
    closed_at = pd.DatetimeIndex(panel.index.get_level_values("closed_at"))
    return np.asarray(closed_at.dayofweek * 24 + closed_at.hour)
