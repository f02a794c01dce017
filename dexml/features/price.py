"""Returns, realised volatility, where the price stands, and what leaves the volatility window."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dexml.features.registry import Group, indicator
from dexml.features.rolling import (
    asof,
    lag,
    log_ratio,
    log_returns,
    now,
    ratio,
    rolling_max,
    rolling_mean,
    rolling_min,
    rolling_std,
    squash,
    student_cdf,
)
from dexml.features.studies import BarArrays, Derived, Recursion, Values

__all__ = ["realised_volatility"]

Floats = NDArray[np.float64]
Columns = Mapping[str, Floats]

_DAY, _DAY_S = np.timedelta64(1, "D"), 86_400
_SEASON_DAYS = 14


def realised_volatility(squared_returns: Floats, window: int) -> Floats:
    """Return the root mean square log return of the last `window` bars."""
    return np.sqrt(rolling_mean(squared_returns, window))


def _moves(bars: BarArrays, values: Values) -> Columns:
    moved = log_returns(bars.close)
    return {"log_return": moved, "squared_return": moved**2, "absolute_return": np.abs(moved)}


# How far the volatility of a day stands above that of a week, in (-1, 1).
def _regime(bars: BarArrays, values: Values) -> Columns:
    day, week = (realised_volatility(values["squared_return"], n) for n in (24, 168))
    return {"volatility_regime": squash(4.0 * log_ratio(day, week))}


# What the hour of the next bar brought on the last 14 days: size against a week's mean, and sign.
def _same_hour(bars: BarArrays, values: Values) -> Columns:
    step = np.timedelta64(bars.timeframe.seconds, "s")
    shifts = [step - day * _DAY for day in range(1, _SEASON_DAYS + 1)]
    usual, signed = (
        _mean(asof(bars.closed_at, values[name], shifts))
        for name in ("absolute_return", "log_return")
    )
    week = rolling_mean(values["absolute_return"], 168)
    size = np.clip(ratio(usual, week, otherwise=1.0), 0.25, 4.0)
    return {"volatility_same_hour": size, "same_hour_return": signed}


def _mean(parts: list[Floats]) -> Floats:
    total = np.zeros(parts[0].shape)
    for part in parts:
        total = total + part
    return total / len(parts)


MOVES = Derived(
    outputs=("log_return", "squared_return", "absolute_return"), formula=_moves, window=2
)
REGIME = Derived(
    outputs=("volatility_regime",), formula=_regime, window=168, reads=(MOVES,), kept=False
)
SAME_HOUR = Derived(
    outputs=("volatility_same_hour", "same_hour_return"),
    formula=_same_hour,
    window=168,
    look_back_s=_SEASON_DAYS * _DAY_S,
    reads=(MOVES,),
    kept=False,
)
# The exponentially weighted mean square return, decay 16/17.
EWMA = Recursion(
    function="EMA",
    inputs=("squared_return",),
    outputs=("ewma_variance",),
    parameters=(33,),
    reads=(MOVES,),
)


@indicator(
    Group.PRICE,
    *(f"return_{n}" for n in (1, 2, 3, 6, 12, 24, 72)),
    warm_up=73,
    window=73,
    shared=True,
    unit="log return",
)
def returns(bars: BarArrays) -> Columns:
    """Log returns over several windows."""
    return {f"return_{n}": log_returns(bars.close, n) for n in (1, 2, 3, 6, 12, 24, 72)}


@indicator(
    Group.PRICE,
    *(f"momentum_{n}" for n in (1, 3, 6, 24)),
    *(f"momentum_{n}_x_regime" for n in (1, 3, 6)),
    warm_up=384,
    window=25,
    studies=(EWMA, REGIME),
    shared=True,
    unit="standard deviations",
)
def scaled_returns(bars: BarArrays, values: Values) -> Columns:
    """Measure returns in units of present volatility, alone and times the volatility regime."""
    sigma, regime = np.sqrt(values["ewma_variance"]), values["volatility_regime"]
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
    window=169,
    studies=(MOVES, REGIME),
    shared=True,
    unit="standard deviation per bar; log ratio; -1..1",
)
def volatility(bars: BarArrays, values: Values) -> Columns:
    """Realised volatility over several windows, and how it compares with its own past."""
    squared = values["squared_return"]
    out = {f"volatility_{n}": realised_volatility(squared, n) for n in (6, 24, 168)}
    return {
        **out,
        "volatility_ratio_6_24": log_ratio(out["volatility_6"], out["volatility_24"]),
        "volatility_regime": values["volatility_regime"],
    }


@indicator(
    Group.PRICE,
    "bar_body",
    "bar_location",
    warm_up=1,
    window=1,
    shared=True,
    unit="share of the bar's range",
)
def bar_shape(bars: BarArrays) -> Columns:
    """Describe what the last bar looks like inside: body, and where it closed."""
    span = bars.high - bars.low
    return {
        "bar_body": ratio(bars.close - bars.open, span),
        "bar_location": ratio(bars.close - bars.low, span, otherwise=0.5),
    }


@indicator(
    Group.PRICE,
    "range_position_20",
    "range_position_72",
    warm_up=72,
    window=72,
    shared=True,
    unit="0 at the low, 1 at the high",
)
def range_position(bars: BarArrays) -> Columns:
    """Where the close stands between the low and the high of 20 and of 72 bars."""
    out: dict[str, Floats] = {}
    for n in (20, 72):
        low, high = rolling_min(bars.low, n), rolling_max(bars.high, n)
        out[f"range_position_{n}"] = ratio(now(bars.close) - low, high - low, otherwise=0.5)
    return out


@indicator(
    Group.LEAVING,
    "volatility_closed_form",
    "volatility_closed_form_seasonal",
    "leaving_distance",
    "staying_distance",
    "window_dispersion",
    warm_up=384,
    window=20,
    studies=(EWMA, SAME_HOUR),
    shared=True,
    unit="probability; standard deviations of a bar",
)
def leaving_window(bars: BarArrays, values: Values) -> Columns:
    r"""Probability that the 20-bar standard deviation of close rises, known from what leaves it.

    Notes
    -----
    With m the mean of the 19 closes that stay, the sum of squares of the next window is that of
    the 19 plus (19/20)(c' - m)^2, so it rises exactly when \|c' - m\| > \|c_leaving - m\|.
    The next return is taken as Student t(4) with the exponentially weighted volatility.
    """
    unit = np.sqrt(values["ewma_variance"]) * now(bars.close)
    mean = rolling_mean(bars.close, 19)
    # The value is bounded because a frozen feed has no volatility to measure in.
    staying = np.clip(ratio(now(bars.close) - mean, unit), -1e3, 1e3)
    leaving = np.clip(ratio(np.abs(now(lag(bars.close, 19)) - mean), unit), 0.0, 1e3)
    season = 0.5 + 0.5 * values["volatility_same_hour"]
    return {
        "volatility_closed_form": _escape_probability(staying, leaving),
        "volatility_closed_form_seasonal": _escape_probability(staying / season, leaving / season),
        "leaving_distance": leaving,
        "staying_distance": np.abs(staying),
        "window_dispersion": ratio(rolling_std(bars.close, 20), unit),
    }


# P(|staying + z| > leaving) for z a Student t(4) scaled to unit variance (t = z * sqrt 2).
def _escape_probability(staying: Floats, leaving: Floats) -> Floats:
    above = 1.0 - student_cdf((leaving - staying) * np.sqrt(2.0))
    below = student_cdf((-leaving - staying) * np.sqrt(2.0))
    return above + below


@indicator(
    Group.CALENDAR,
    "volatility_same_hour",
    "return_same_hour",
    warm_up=384,
    window=168,
    studies=(MOVES, SAME_HOUR),
    shared=True,
    unit="ratio to a week's mean; standard deviations",
)
def same_hour(bars: BarArrays, values: Values) -> Columns:
    """Recall what the hour of the next bar brought on the last 14 days: size and sign."""
    week = realised_volatility(values["squared_return"], 168)
    return {
        "volatility_same_hour": values["volatility_same_hour"],
        "return_same_hour": ratio(values["same_hour_return"], week),
    }


@indicator(
    Group.VOLATILITY,
    "range_last",
    warm_up=1,
    window=1,
    shared=True,
    unit="log high over low",
)
def last_range(bars: BarArrays) -> Columns:
    """High-low range of the last bar."""
    return {"range_last": log_ratio(bars.high, bars.low)}
