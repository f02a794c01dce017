"""Macro series as of each close: value, changes, z-score, age; a stale series says so."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.features.news import nanoseconds

__all__ = ["MACRO_FIELDS", "MACRO_PERIODS", "macro_features", "reading", "remember", "summary"]

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]

MACRO_FIELDS = ("value", "change", "change_lag_1", "z", "age", "stale")
MACRO_PERIODS = 21
_DAY_NS = 86_400_000_000_000
_STALE_PERIODS = 4.0


def macro_features(macro: pd.DataFrame, closed_at: Times) -> dict[str, dict[str, Floats]]:
    """Join every series as of its release.

    Parameters
    ----------
    macro : DataFrame
        Columns `MACRO_COLUMNS`. A later row for the same period is a revision: it counts from its
        own `known_at`.
    closed_at : ndarray of datetime64[ns], shape (n_bars,)

    Returns
    -------
    dict of series to dict of field to ndarray, shape (n_bars,)
        Fields `MACRO_FIELDS`: last value known; its change from the period before, and the change
        before that; z-score among the last 21 periods; days since the period began; 1.0 if no
        release came for four usual periods, else 0.0. NaN before the first release.
    """
    stamps = closed_at.astype("datetime64[ns]").astype(np.int64)
    return {
        str(name): _as_of(rows, stamps)
        for name, rows in macro.groupby("series", sort=True, observed=True)
    }


def _as_of(rows: pd.DataFrame, stamps: NDArray[np.int64]) -> dict[str, Floats]:
    ordered = rows.sort_values(["known_at", "period_at"], kind="stable")
    known, period = nanoseconds(ordered["known_at"]), nanoseconds(ordered["period_at"])
    values = ordered["value"].to_numpy(dtype=np.float64)
    states = np.array(list(_states(period.tolist(), values.tolist())))
    at = np.searchsorted(known, stamps, side="right") - 1
    seen = np.where((at >= 0)[:, None], states[np.maximum(at, 0)], np.nan)
    return reading(seen, np.where(at >= 0, known[np.maximum(at, 0)], np.nan), stamps)


def reading(seen: Floats, released: Floats, stamps: NDArray[np.int64]) -> dict[str, Floats]:
    """Return the fields of a series from its `summary` as seen at each stamp (nanoseconds)."""
    value, change, change_lag_1, z, began, usual = np.ascontiguousarray(seen.T)
    waited = stamps - released > _STALE_PERIODS * usual
    return {
        "value": value,
        "change": change,
        "change_lag_1": change_lag_1,
        "z": z,
        "age": (stamps - began) / _DAY_NS,
        "stale": np.where(np.isnan(released), np.nan, waited.astype(np.float64)),
    }


# What was known after each release: only the last periods, at the revision known by then.
def _states(periods: list[int], values: list[float]) -> Iterator[tuple[float, ...]]:
    known_periods: list[int] = []
    known_values: list[float] = []
    for period, value in zip(periods, values, strict=True):
        remember(known_periods, known_values, period, value)
        yield summary(known_periods, known_values)


def remember(periods: list[int], values: list[float], period: int, value: float) -> None:
    """Add a release, or put a revision in the place of what it revises; keep the last periods."""
    place = bisect.bisect_left(periods, period)
    if place < len(periods) and periods[place] == period:
        values[place] = value
    else:
        periods.insert(place, period)
        values.insert(place, value)
    del periods[:-MACRO_PERIODS], values[:-MACRO_PERIODS]


def summary(periods: list[int], values: list[float]) -> tuple[float, ...]:
    """Return value, changes and z-score, when the last period began, how long periods are."""
    return (*_moved(values), float(periods[-1]), _usual_period(periods))


def _moved(values: list[float]) -> tuple[float, float, float, float]:
    n = len(values)
    change = values[-1] - values[-2] if n > 1 else np.nan
    change_lag_1 = values[-2] - values[-3] if n > 2 else np.nan
    mean = sum(values) / n
    spread = (sum((value - mean) ** 2 for value in values) / n) ** 0.5
    enough = n >= 5 and spread > 0
    return values[-1], change, change_lag_1, (values[-1] - mean) / spread if enough else np.nan


def _usual_period(periods: list[int]) -> float:
    gaps = sorted(later - before for before, later in pairwise(periods))
    return float(gaps[len(gaps) // 2]) if gaps else 7.0 * _DAY_NS
