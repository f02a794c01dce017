"""The calendar of the next bar, and the closed bars of higher timeframes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import talib
from numpy.typing import NDArray

from dexml.domain import Bars
from dexml.features.registry import Group, indicator
from dexml.features.rolling import lag, log_ratio, log_returns, ratio, rolling_mean

__all__ = ["Higher", "higher_bars", "hour_of_week"]

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
    unit="hours; days from Monday; hours; -1..1",
)
def calendar(bars: Bars) -> Columns:
    """Hour, weekday and hour of the week in which the next bar opens, UTC, and their waves."""
    hour = hour_of_week(bars.closed_at)
    return {
        "next_hour": (hour % 24).astype(np.float64),
        "next_weekday": (hour // 24).astype(np.float64),
        "next_hour_of_week": hour.astype(np.float64),
        **{name: wave[hour] for name, wave in _WAVES.items()},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Higher:
    """Bars of a higher timeframe, aligned to UTC, and which of them was closed at each bar.

    Attributes
    ----------
    high, low, close : ndarray, shape (n_higher,)
        The first may be incomplete; the last too, and then no row points to it.
    row : ndarray of int, shape (n_bars,)
        Last higher bar closed at or before each bar's close; -1 where there is none.
    """

    high: Floats
    low: Floats
    close: Floats
    row: NDArray[np.intp]

    def seen(self, values: Floats) -> Floats:
        """Spread values of higher bars over the bars at which they were known."""
        return np.where(self.row >= 0, values[np.maximum(self.row, 0)], np.nan)


def higher_bars(bars: Bars, seconds: int) -> Higher:
    """Aggregate bars to a higher timeframe of `seconds`, whose bars close at its multiples."""
    stamps = bars.closed_at.astype("datetime64[s]").astype(np.int64)
    ends = -(-stamps // seconds) * seconds
    starts = np.flatnonzero(np.diff(ends, prepend=-1))
    row = np.searchsorted(ends[starts], stamps, side="right") - 1
    return Higher(
        high=np.maximum.reduceat(bars.high, starts),
        low=np.minimum.reduceat(bars.low, starts),
        close=bars.close[np.append(starts[1:], len(bars)) - 1],
        row=row,
    )


@indicator(
    Group.PRICE,
    "h4_return_1",
    "h4_return_6",
    "h4_range_position_20",
    warm_up=384,
    unit="log return; log return; 0 at the low, 1 at the high",
)
def four_hours(bars: Bars) -> Columns:
    """Read closed 4-hour bars: last return, return of six, place in the range of twenty."""
    higher = higher_bars(bars, 4 * _HOUR_S)
    return {
        "h4_return_1": higher.seen(log_returns(higher.close)),
        "h4_return_6": higher.seen(log_returns(higher.close, 6)),
        "h4_range_position_20": higher.seen(_range_position(higher, 20)),
    }


@indicator(
    Group.PRICE,
    "d1_return_1",
    "d1_return_7",
    "d1_range_position_14",
    "d1_distance",
    "d1_range_ratio",
    warm_up=384,
    unit="log return; log return; 0..1; log ratio; log ratio",
)
def one_day(bars: Bars) -> Columns:
    """Read closed days: returns, place in the range of 14, distance from the last close, range."""
    higher = higher_bars(bars, _DAY_S)
    span = log_ratio(higher.high, higher.low)
    return {
        "d1_return_1": higher.seen(log_returns(higher.close)),
        "d1_return_7": higher.seen(log_returns(higher.close, 7)),
        "d1_range_position_14": higher.seen(_range_position(higher, 14)),
        "d1_distance": log_ratio(bars.close, higher.seen(higher.close)),
        "d1_range_ratio": higher.seen(log_ratio(span, lag(rolling_mean(span, 7), 1))),
    }


def _range_position(higher: Higher, n: int) -> Floats:
    if higher.close.shape[0] < n:
        return np.full(higher.close.shape[0], np.nan)
    low, high = talib.MIN(higher.low, n), talib.MAX(higher.high, n)
    return ratio(higher.close - low, high - low, otherwise=0.5)
