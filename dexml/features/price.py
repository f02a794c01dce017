"""Returns, realised volatility, where the price stands, and what leaves the volatility window."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import talib
from numpy.typing import NDArray

from dexml.domain import Bars
from dexml.features.registry import Group, indicator
from dexml.features.rolling import (
    asof,
    lag,
    log_ratio,
    log_returns,
    ratio,
    rolling_mean,
    rolling_std,
    squash,
    student_cdf,
)

__all__ = ["ewma_volatility", "volatility_regime"]

Floats = NDArray[np.float64]
Columns = Mapping[str, Floats]

_DAY = np.timedelta64(1, "D")
_SEASON_DAYS = 14


def ewma_volatility(bars: Bars) -> Floats:
    """Return the exponentially weighted volatility of log returns (decay 16/17), per bar."""
    variance: Floats = talib.EMA(log_returns(bars.close) ** 2, 33)
    return np.sqrt(variance)


def realised_volatility(bars: Bars, window: int) -> Floats:
    """Return the root mean square log return of the last `window` bars."""
    return np.sqrt(rolling_mean(log_returns(bars.close) ** 2, window))


def volatility_regime(bars: Bars) -> Floats:
    """Return in (-1, 1) how far the volatility of a day stands above that of a week."""
    return squash(4.0 * log_ratio(realised_volatility(bars, 24), realised_volatility(bars, 168)))


@indicator(
    Group.PRICE,
    *(f"return_{n}" for n in (1, 2, 3, 6, 12, 24, 72)),
    warm_up=73,
    unit="log return",
)
def returns(bars: Bars) -> Columns:
    """Log returns over several windows."""
    return {f"return_{n}": log_returns(bars.close, n) for n in (1, 2, 3, 6, 12, 24, 72)}


@indicator(
    Group.PRICE,
    *(f"momentum_{n}" for n in (1, 3, 6, 24)),
    *(f"momentum_{n}_x_regime" for n in (1, 3, 6)),
    warm_up=384,
    unit="standard deviations",
)
def scaled_returns(bars: Bars) -> Columns:
    """Measure returns in units of present volatility, alone and times the volatility regime."""
    sigma, regime = ewma_volatility(bars), volatility_regime(bars)
    out: dict[str, Floats] = {}
    for n in (1, 3, 6, 24):
        out[f"momentum_{n}"] = ratio(log_returns(bars.close, n), sigma * np.sqrt(n))
        out[f"momentum_{n}_x_regime"] = out[f"momentum_{n}"] * regime
    return out


@indicator(
    Group.VOLATILITY,
    *(f"volatility_{n}" for n in (6, 24, 168)),
    "volatility_ratio_6_24",
    "volatility_regime",
    warm_up=384,
    unit="standard deviation per bar; log ratio; -1..1",
)
def volatility(bars: Bars) -> Columns:
    """Realised volatility over several windows, and how it compares with its own past."""
    out = {f"volatility_{n}": realised_volatility(bars, n) for n in (6, 24, 168)}
    return {
        **out,
        "volatility_ratio_6_24": log_ratio(out["volatility_6"], out["volatility_24"]),
        "volatility_regime": volatility_regime(bars),
    }


@indicator(
    Group.PRICE,
    "bar_body",
    "bar_location",
    warm_up=1,
    unit="share of the bar's range",
)
def bar_shape(bars: Bars) -> Columns:
    """Describe what the last bar looks like inside: body, and where it closed."""
    span = bars.high - bars.low
    return {
        "bar_body": ratio(bars.close - bars.open, span),
        "bar_location": ratio(bars.close - bars.low, span, otherwise=0.5),
    }


@indicator(
    Group.PRICE, "range_position_20", "range_position_72", warm_up=72, unit="0 at the low, 1"
)
def range_position(bars: Bars) -> Columns:
    """Where the close stands between the low and the high of 20 and of 72 bars."""
    out: dict[str, Floats] = {}
    for n in (20, 72):
        low, high = talib.MIN(bars.low, n), talib.MAX(bars.high, n)
        out[f"range_position_{n}"] = ratio(bars.close - low, high - low, otherwise=0.5)
    return out


@indicator(
    Group.LEAVING,
    "volatility_closed_form",
    "volatility_closed_form_seasonal",
    "leaving_distance",
    "staying_distance",
    "window_dispersion",
    warm_up=384,
    unit="probability; standard deviations of a bar",
)
def leaving_window(bars: Bars) -> Columns:
    r"""Probability that the 20-bar standard deviation of close rises, known from what leaves it.

    Notes
    -----
    With m the mean of the 19 closes that stay, the sum of squares of the next window is that of
    the 19 plus (19/20)(c' - m)^2, so it rises exactly when \|c' - m\| > \|c_leaving - m\|.
    The next return is taken as Student t(4) with the exponentially weighted volatility.
    """
    sigma = ewma_volatility(bars)
    mean = rolling_mean(bars.close, 19)
    # The value is bounded because a frozen feed has no volatility to measure in.
    staying = np.clip(ratio(bars.close - mean, sigma * bars.close), -1e3, 1e3)
    leaving = np.clip(ratio(np.abs(lag(bars.close, 19) - mean), sigma * bars.close), 0.0, 1e3)
    season = 0.5 + 0.5 * _seasonal_volatility(bars)
    return {
        "volatility_closed_form": _escape_probability(staying, leaving),
        "volatility_closed_form_seasonal": _escape_probability(staying / season, leaving / season),
        "leaving_distance": leaving,
        "staying_distance": np.abs(staying),
        "window_dispersion": ratio(rolling_std(bars.close, 20), sigma * bars.close),
    }


# P(|staying + z| > leaving) for z a Student t(4) scaled to unit variance (t = z * sqrt 2).
def _escape_probability(staying: Floats, leaving: Floats) -> Floats:
    above = 1.0 - student_cdf((leaving - staying) * np.sqrt(2.0))
    below = student_cdf((-leaving - staying) * np.sqrt(2.0))
    return above + below


def _seasonal_volatility(bars: Bars) -> Floats:
    size = np.abs(log_returns(bars.close))
    usual = _same_hour_mean(bars, size)
    return np.clip(ratio(usual, rolling_mean(size, 168), otherwise=1.0), 0.25, 4.0)


def _same_hour_mean(bars: Bars, values: Floats) -> Floats:
    next_close = bars.closed_at + np.timedelta64(bars.timeframe.seconds, "s")
    total = np.zeros(len(bars))
    for day in range(1, _SEASON_DAYS + 1):
        total = total + asof(bars.closed_at, values, next_close - day * _DAY)
    return total / _SEASON_DAYS


@indicator(
    Group.CALENDAR,
    "volatility_same_hour",
    "return_same_hour",
    warm_up=384,
    unit="ratio to a week's mean; standard deviations",
)
def same_hour(bars: Bars) -> Columns:
    """Recall what the hour of the next bar brought on the last 14 days: size and sign."""
    mean = _same_hour_mean(bars, log_returns(bars.close))
    return {
        "volatility_same_hour": _seasonal_volatility(bars),
        "return_same_hour": ratio(mean, realised_volatility(bars, 168)),
    }


@indicator(Group.VOLATILITY, "range_last", warm_up=1, unit="log high over low")
def last_range(bars: Bars) -> Columns:
    """High-low range of the last bar."""
    return {"range_last": log_ratio(bars.high, bars.low)}
