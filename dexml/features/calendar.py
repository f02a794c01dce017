"""The calendar of the next bar, and the closed bars of higher timeframes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dexml.features.registry import Group, indicator
from dexml.features.rolling import (
    lag,
    log_ratio,
    log_returns,
    now,
    ratio,
    rolling_max,
    rolling_mean,
    rolling_min,
)
from dexml.features.studies import BarArrays, HigherStudy, Values

__all__ = ["hour_of_week"]

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]
Columns = Mapping[str, Floats]

_HOUR_S, _DAY_S, _WEEK_S = 3_600, 86_400, 604_800
# The epoch was a Thursday; weeks here start on Monday.
_MONDAY_S = 3 * _DAY_S


def hour_of_week(closed_at: Times) -> NDArray[np.int64]:
    """Return the hour of the week, 0..167 from Monday 00:00 UTC, in which the next bar opens.

    Examples
    --------
    >>> hour_of_week(np.array(["2024-01-01T01:00"], dtype="datetime64[ns]"))
    array([1])
    """
    seconds = closed_at.astype("datetime64[s]").astype(np.int64)
    return (seconds + _MONDAY_S) % _WEEK_S // _HOUR_S


# A table of 168 entries: the bits of a sine then cannot depend on how many rows are asked for.
_ANGLES = np.array([2.0 * np.pi * hour / 168.0 for hour in range(168)])
_WAVES = {
    "next_day_sin": np.sin(7.0 * _ANGLES),
    "next_day_cos": np.cos(7.0 * _ANGLES),
    "next_half_day_sin": np.sin(14.0 * _ANGLES),
    "next_half_day_cos": np.cos(14.0 * _ANGLES),
    "next_week_sin": np.sin(_ANGLES),
    "next_week_cos": np.cos(_ANGLES),
}


@indicator(
    Group.CALENDAR,
    "next_hour",
    "next_weekday",
    "next_hour_of_week",
    *_WAVES,
    warm_up=0,
    window=1,
    shared=True,
    unit="hours; days from Monday; hours; -1..1",
)
def calendar(bars: BarArrays) -> Columns:
    """Hour, weekday and hour of the week in which the next bar opens, UTC, and their waves."""
    hour = hour_of_week(bars.closed_at)
    return {
        "next_hour": (hour % 24).astype(np.float64),
        "next_weekday": (hour // 24).astype(np.float64),
        "next_hour_of_week": hour.astype(np.float64),
        **{name: wave[hour] for name, wave in _WAVES.items()},
    }


def _four_hours(higher: Values) -> Columns:
    return {
        "h4_return_1": log_returns(higher["close"]),
        "h4_return_6": log_returns(higher["close"], 6),
        "h4_range_position_20": _range_position(higher, 20),
    }


_H4 = ("h4_return_1", "h4_return_6", "h4_range_position_20")


@indicator(
    Group.PRICE,
    *_H4,
    warm_up=384,
    window=1,
    studies=(HigherStudy(seconds=4 * _HOUR_S, window=20, outputs=_H4, formula=_four_hours),),
    shared=True,
    unit="log return; log return; 0 at the low, 1 at the high",
)
def four_hours(bars: BarArrays, values: Values) -> Columns:
    """Read closed 4-hour bars: last return, return of six, place in the range of twenty."""
    return values


def _one_day(higher: Values) -> Columns:
    span = log_ratio(higher["high"], higher["low"])
    return {
        "d1_close": now(higher["close"]),
        "d1_return_1": log_returns(higher["close"]),
        "d1_return_7": log_returns(higher["close"], 7),
        "d1_range_position_14": _range_position(higher, 14),
        "d1_range_ratio": log_ratio(now(span), rolling_mean(lag(span, 1), 7)),
    }


_D1 = ("d1_return_1", "d1_return_7", "d1_range_position_14", "d1_range_ratio")


@indicator(
    Group.PRICE,
    *("d1_return_1", "d1_return_7", "d1_range_position_14", "d1_distance", "d1_range_ratio"),
    warm_up=384,
    window=1,
    studies=(HigherStudy(seconds=_DAY_S, window=14, outputs=("d1_close", *_D1), formula=_one_day),),
    shared=True,
    unit="log return; log return; 0..1; log ratio; log ratio",
)
def one_day(bars: BarArrays, values: Values) -> Columns:
    """Read closed days: returns, place in the range of 14, distance from the last close, range."""
    return {name: values[name] for name in _D1} | {
        "d1_distance": log_ratio(bars.close, values["d1_close"])
    }


def _range_position(higher: Values, n: int) -> Floats:
    low, high = rolling_min(higher["low"], n), rolling_max(higher["high"], n)
    return ratio(now(higher["close"]) - low, high - low, otherwise=0.5)
