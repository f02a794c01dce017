"""Volume against its own recent and seasonal past."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dexml.domain import Bars
from dexml.features.registry import Group, indicator
from dexml.features.rolling import asof, lag, log_ratio, rolling_mean

__all__: list[str] = []

Floats = NDArray[np.float64]
Columns = Mapping[str, Floats]

_DAY, _WEEK = np.timedelta64(1, "D"), np.timedelta64(7, "D")


# An empty bar counts as a thousandth of the usual volume: its logarithm must stay finite.
def _log_volume(bars: Bars) -> Floats:
    usual = rolling_mean(bars.volume, 24)
    return np.log(np.maximum(np.maximum(bars.volume, 1e-3 * usual), 1e-12))


@indicator(
    Group.VOLUME,
    "volume_ratio_1",
    "volume_ratio_2",
    "volume_ratio_24",
    "volume_ratio_24_168",
    warm_up=192,
    unit="log ratio",
)
def volume_ratios(bars: Bars) -> Columns:
    """Compare the last volume with the one before, the mean of a day; a day against a week."""
    size = _log_volume(bars)
    day, week = rolling_mean(size, 24), rolling_mean(size, 168)
    return {
        "volume_ratio_1": size - lag(size, 1),
        "volume_ratio_2": size - lag(size, 2),
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
    unit="log ratio",
)
def seasonal_volume(bars: Bars) -> Columns:
    """Recall what volume did at the hour of the next bar, and how unusual the present volume is."""
    size, times = _log_volume(bars), bars.closed_at
    step = np.timedelta64(bars.timeframe.seconds, "s")

    def at(shift: np.timedelta64) -> Floats:
        return asof(times, size, times + shift)

    days = [k * _DAY for k in range(1, 15)]
    usual_now, usual_next = _mean([at(-d) for d in days]), _mean([at(step - d) for d in days])
    usual_before = _mean([at(-step - d) for d in days])
    week_now, week_next = _mean([at(-k * _WEEK) for k in (1, 2)]), at(step - _WEEK)
    return {
        "volume_yesterday": at(step - _DAY) - size,
        "volume_last_week": week_next - size,
        "volume_week_before": at(step - 2 * _WEEK) - size,
        "volume_day_season": usual_next - usual_now,
        "volume_week_season": (week_next + at(step - 2 * _WEEK)) / 2.0 - week_now,
        "volume_residual": size - usual_now,
        "volume_residual_previous": lag(size, 1) - usual_before,
        "volume_residual_week": size - week_now,
    }


def _mean(parts: list[Floats]) -> Floats:
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total / len(parts)


@indicator(Group.VOLUME, "volume_range_24", warm_up=48, unit="log ratio of volume to price range")
def effort(bars: Bars) -> Columns:
    """Volume spent for each unit of price range, against its mean of a day."""
    effort_now = _log_volume(bars) - np.log(1e-4 + log_ratio(bars.high, bars.low))
    return {"volume_range_24": effort_now - rolling_mean(effort_now, 24)}
