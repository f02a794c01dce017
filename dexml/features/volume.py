"""Volume against its own recent and seasonal past."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dexml.features.registry import Group, indicator
from dexml.features.rolling import asof, lag, log_ratio, now, rolling_mean
from dexml.features.studies import BarArrays, Derived, Values

__all__ = ["LOG_VOLUME"]

Floats = NDArray[np.float64]
Columns = Mapping[str, Floats]

_DAY, _WEEK = np.timedelta64(1, "D"), np.timedelta64(7, "D")
_DAY_S = 86_400


# An empty bar counts as a thousandth of the usual volume: its logarithm must stay finite.
def _log_volume(bars: BarArrays, values: Values) -> Columns:
    usual = rolling_mean(bars.volume, 24)
    floored = np.maximum(np.maximum(now(bars.volume), 1e-3 * usual), 1e-12)
    return {"log_volume": np.log(floored)}


LOG_VOLUME = Derived(outputs=("log_volume",), formula=_log_volume, window=24)


@indicator(
    Group.VOLUME,
    "volume_ratio_1",
    "volume_ratio_2",
    "volume_ratio_24",
    "volume_ratio_24_168",
    warm_up=192,
    window=192,
    studies=(LOG_VOLUME,),
    shared=True,
    unit="log ratio",
)
def volume_ratios(bars: BarArrays, values: Values) -> Columns:
    """Compare the last volume with the one before, the mean of a day; a day against a week."""
    series = values["log_volume"]
    size, day, week = now(series), rolling_mean(series, 24), rolling_mean(series, 168)
    return {
        "volume_ratio_1": size - now(lag(series, 1)),
        "volume_ratio_2": size - now(lag(series, 2)),
        "volume_ratio_24": size - day,
        "volume_ratio_24_168": day - week,
    }


@indicator(
    Group.VOLUME,
    "volume_yesterday",
    "volume_last_week",
    "volume_week_before",
    "volume_day_season",
    "volume_week_season",
    "volume_residual",
    "volume_residual_previous",
    "volume_residual_week",
    warm_up=384,
    window=27,
    look_back_s=14 * _DAY_S,
    studies=(LOG_VOLUME,),
    shared=True,
    unit="log ratio",
)
def seasonal_volume(bars: BarArrays, values: Values) -> Columns:
    """Recall what volume did at the hour of the next bar, and how unusual the present volume is."""
    size = now(values["log_volume"])
    step = np.timedelta64(bars.timeframe.seconds, "s")
    days, weeks = [-k * _DAY for k in range(1, 15)], [-_WEEK, -2 * _WEEK]
    shifts = [*days, *(day + step for day in days), *(day - step for day in days)]
    shifts += [*weeks, *(week + step for week in weeks)]
    at = asof(bars.closed_at, values["log_volume"], shifts)
    usual_now, usual_next, usual_before = _mean(at[:14]), _mean(at[14:28]), _mean(at[28:42])
    week_now, (week_next, second_next) = _mean(at[42:44]), at[44:46]
    return {
        "volume_yesterday": at[14] - size,
        "volume_last_week": week_next - size,
        "volume_week_before": second_next - size,
        "volume_day_season": usual_next - usual_now,
        "volume_week_season": (week_next + second_next) / 2.0 - week_now,
        "volume_residual": size - usual_now,
        "volume_residual_previous": now(lag(values["log_volume"], 1)) - usual_before,
        "volume_residual_week": size - week_now,
    }


def _mean(parts: list[Floats]) -> Floats:
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total / len(parts)


def _effort(bars: BarArrays, values: Values) -> Columns:
    span = now(log_ratio(bars.high, bars.low))
    return {"effort": now(values["log_volume"]) - np.log(1e-4 + span)}


@indicator(
    Group.VOLUME,
    "volume_range_24",
    warm_up=48,
    window=48,
    studies=(Derived(outputs=("effort",), formula=_effort, reads=(LOG_VOLUME,)),),
    shared=True,
    unit="log ratio of volume to price range",
)
def effort(bars: BarArrays, values: Values) -> Columns:
    """Volume spent for each unit of price range, against its mean of a day."""
    return {"volume_range_24": now(values["effort"]) - rolling_mean(values["effort"], 24)}
