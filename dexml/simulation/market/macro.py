"""Daily series: two that move the market with a lag, five that do not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from dexml.domain import MACRO_COLUMNS, Floats
from dexml.simulation.market.config import MarketConfig

__all__ = ["MACRO_DRIVERS", "SERIES", "draw_macro", "latest_change"]

_EARLIER_DAYS = 120  # so that a z-score over a quarter exists at the first bar


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    level: float
    step: float  # standard deviation of a day's shock, relative to the level
    memory: float  # of the deviation from the level, a day on
    lag_h: float  # from the end of the day to the release
    decimals: int


SERIES = {
    "fear_greed": _Series(level=50, step=0.18, memory=0.75, lag_h=0.5, decimals=0),
    "vix": _Series(level=20, step=0.06, memory=0.96, lag_h=7, decimals=2),
    "dxy": _Series(level=103, step=0.004, memory=0.98, lag_h=7, decimals=3),
    "us10y": _Series(level=4, step=0.015, memory=0.98, lag_h=9, decimals=3),
    "gold": _Series(level=1_900, step=0.008, memory=0.98, lag_h=5, decimals=1),
    "hash_rate": _Series(level=350, step=0.04, memory=0.9, lag_h=2, decimals=1),
    "stablecoin_supply": _Series(level=130, step=0.003, memory=0.99, lag_h=3, decimals=3),
}
MACRO_DRIVERS = {"vix": 1.2, "fear_greed": 9.5}  # series -> typical size of a day's change


def draw_macro(config: MarketConfig) -> pd.DataFrame:
    """Draw the values released by the end of the market, columns `MACRO_COLUMNS`.

    A value describes the day that starts at `period_at`; it is known some hours after that day
    has ended, so it acts on the market one to two days after the time it describes.
    """
    first = pd.Timestamp(config.start).normalize() - pd.Timedelta(days=_EARLIER_DAYS)
    n_days = _EARLIER_DAYS + (config.end - config.start) // timedelta(days=1) + 2
    days = pd.date_range(first, periods=n_days, freq="D").as_unit("ns")
    generator = config.generator(5)
    frames = []
    for name, series in SERIES.items():
        known = (days + pd.Timedelta(days=1) + pd.Timedelta(hours=series.lag_h)).as_unit("ns")
        values = _values(generator, series, n_days)
        columns = {"series": name, "period_at": days, "known_at": known, "value": values}
        frames.append(pd.DataFrame(columns))
    frame = pd.concat(frames)
    frame = frame[frame["known_at"] <= pd.Timestamp(config.end)]
    return frame.sort_values(["known_at", "series"], ignore_index=True)[list(MACRO_COLUMNS)]


def _values(generator: np.random.Generator, series: _Series, n_days: int) -> Floats:
    deviation = series.step * generator.standard_normal(n_days)
    for day in range(1, n_days):
        deviation[day] += series.memory * deviation[day - 1]
    values = series.level * np.maximum(1.0 + deviation, 0.04)
    top = 98.0 if series.decimals == 0 else np.inf  # the index of fear ends at 100
    return np.asarray(np.minimum(values, top).round(series.decimals), dtype=np.float64)


def latest_change(config: MarketConfig, macro: pd.DataFrame, series: str) -> Floats:
    """Last released value minus the one before, at each close, shape (n_bars,)."""
    rows = macro[macro["series"] == series].sort_values("known_at")
    known = rows["known_at"].dt.tz_localize(None).to_numpy()
    row = np.searchsorted(known, config.closed_at, side="right") - 1
    values = rows["value"].to_numpy()
    return np.asarray(values[row] - values[row - 1])
