"""Macro series as of each close: value, changes, z-score, age; a stale series says so."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["MACRO_FIELDS", "MACRO_PERIODS", "macro_features"]

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
    known, period = _nanoseconds(ordered["known_at"]), _nanoseconds(ordered["period_at"])
    values = ordered["value"].to_numpy(dtype=np.float64)
    states = np.array(list(_states(period.tolist(), values.tolist())))
    at = np.searchsorted(known, stamps, side="right") - 1
    seen = np.where((at >= 0)[:, None], states[np.maximum(at, 0)], np.nan)
    value, change, change_lag_1, z, began, usual = np.ascontiguousarray(seen.T)
    released = np.where(at >= 0, known[np.maximum(at, 0)], np.nan)
    waited = stamps - released > _STALE_PERIODS * usual
    return {
        "value": value,
        "change": change,
        "change_lag_1": change_lag_1,
        "z": z,
        "age": (stamps - began) / _DAY_NS,
        "stale": np.where(at >= 0, waited.astype(np.float64), np.nan),
    }


def _nanoseconds(stamps: pd.Series[pd.Timestamp]) -> NDArray[np.int64]:
    naive = stamps.dt.tz_convert("UTC").dt.tz_localize(None)
    return naive.to_numpy().astype("datetime64[ns]").astype(np.int64)


# What was known after each release: only the last periods, at the revision known by then.
def _states(periods: list[int], values: list[float]) -> Iterator[tuple[float, ...]]:
    known_periods: list[int] = []
    known_values: list[float] = []
    for period, value in zip(periods, values, strict=True):
        place = bisect.bisect_left(known_periods, period)
        if place < len(known_periods) and known_periods[place] == period:
            known_values[place] = value
        else:
            known_periods.insert(place, period)
            known_values.insert(place, value)
        del known_periods[:-MACRO_PERIODS], known_values[:-MACRO_PERIODS]
        yield (*_summary(known_values), float(known_periods[-1]), _usual_period(known_periods))


def _summary(values: list[float]) -> tuple[float, float, float, float]:
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
