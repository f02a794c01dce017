"""TA-Lib indicators: raw as charts show them, and in the stationary form that models see."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import talib
from numpy.typing import NDArray

from dexml.domain import Bars
from dexml.features.registry import Group, indicator
from dexml.features.rolling import lag, log_ratio, ratio, rolling_mean, rolling_sum

__all__: list[str] = []

Floats = NDArray[np.float64]
Columns = Mapping[str, Floats]

# A TA-Lib recursion of period n forgets its start like (1 - 1/n)^rows; 384 rows leave 1e-12 for 14.
_RECURSIVE = 384


@indicator(
    Group.PRICE,
    "sma_20_rel",
    "sma_50_rel",
    "sma_200_rel",
    raw=("sma_20", "sma_50", "sma_200"),
    warm_up=200,
    unit="log ratio of close to the average",
)
def sma(bars: Bars) -> Columns:
    """Compare close with its simple moving averages of 20, 50 and 200 bars."""
    out: dict[str, Floats] = {}
    for n in (20, 50, 200):
        out[f"sma_{n}"] = talib.SMA(bars.close, n)
        out[f"sma_{n}_rel"] = log_ratio(bars.close, out[f"sma_{n}"])
    return out


@indicator(Group.PRICE, "rsi_14", warm_up=_RECURSIVE, unit="0..100")
def rsi(bars: Bars) -> Columns:
    """Relative strength index of 14 bars."""
    return {"rsi_14": talib.RSI(bars.close, 14)}


@indicator(Group.PRICE, "stoch_k", "stoch_d", warm_up=9, unit="0..100")
def stoch(bars: Bars) -> Columns:
    """Slow stochastic oscillator (5, 3, 3)."""
    k, d = talib.STOCH(bars.high, bars.low, bars.close)
    return {"stoch_k": k, "stoch_d": d}


@indicator(Group.PRICE, "willr_14", warm_up=14, unit="-100..0")
def willr(bars: Bars) -> Columns:
    """Williams %R of 14 bars."""
    return {"willr_14": talib.WILLR(bars.high, bars.low, bars.close, 14)}


@indicator(
    Group.PRICE,
    "macd_rel",
    "macd_histogram_rel",
    raw=("macd", "macd_signal", "macd_histogram"),
    warm_up=_RECURSIVE,
    unit="average true ranges",
)
def macd(bars: Bars) -> Columns:
    """Measure moving average convergence (12, 26, 9) relative to the average true range."""
    line, signal, histogram = talib.MACD(bars.close, 12, 26, 9)
    scale = talib.ATR(bars.high, bars.low, bars.close, 14)
    return {
        "macd": line,
        "macd_signal": signal,
        "macd_histogram": histogram,
        "macd_rel": ratio(line, scale),
        "macd_histogram_rel": ratio(histogram, scale),
    }


@indicator(Group.PRICE, "adx_14", warm_up=_RECURSIVE, unit="0..100")
def adx(bars: Bars) -> Columns:
    """Average directional index of 14 bars."""
    return {"adx_14": talib.ADX(bars.high, bars.low, bars.close, 14)}


@indicator(Group.PRICE, "aroon_up", "aroon_down", warm_up=15, unit="0..100")
def aroon(bars: Bars) -> Columns:
    """Bars since the 14-bar high and low; TA-Lib gives *down* first."""
    down, up = talib.AROON(bars.high, bars.low, 14)
    return {"aroon_up": up, "aroon_down": down}


@indicator(
    Group.VOLUME,
    "obv_change_24",
    "ad_change_24",
    "adosc_rel",
    raw=("obv", "ad", "adosc"),
    warm_up=_RECURSIVE,
    unit="share of the volume of 24 bars",
)
def money_flow(bars: Bars) -> Columns:
    """On-balance volume, accumulation/distribution and its oscillator, as windowed differences."""
    obv = talib.OBV(bars.close, bars.volume)
    ad = talib.AD(bars.high, bars.low, bars.close, bars.volume)
    adosc = talib.ADOSC(bars.high, bars.low, bars.close, bars.volume, 3, 10)
    total = rolling_sum(bars.volume, 24)
    return {
        "obv": obv,
        "ad": ad,
        "adosc": adosc,
        "obv_change_24": ratio(rolling_sum(_signed_volume(bars), 24), total),
        "ad_change_24": ratio(rolling_sum(_located_volume(bars), 24), total),
        "adosc_rel": ratio(adosc, rolling_mean(bars.volume, 24)),
    }


# The windowed differences are summed from the increments: the difference of two levels would carry
# the rounding of the whole history, which depends on where it starts.
def _signed_volume(bars: Bars) -> Floats:
    return np.sign(bars.close - lag(bars.close, 1)) * bars.volume


def _located_volume(bars: Bars) -> Floats:
    location = (bars.close - bars.low) - (bars.high - bars.close)
    return ratio(location, bars.high - bars.low) * bars.volume


@indicator(
    Group.VOLATILITY,
    "natr_14",
    "true_range_rel",
    raw=("atr_14", "trange"),
    warm_up=_RECURSIVE,
    unit="percent of close; true ranges in average true ranges",
)
def true_range(bars: Bars) -> Columns:
    """Measure true range, its 14-bar average, and the average relative to close."""
    atr = talib.ATR(bars.high, bars.low, bars.close, 14)
    trange = talib.TRANGE(bars.high, bars.low, bars.close)
    return {
        "atr_14": atr,
        "trange": trange,
        "natr_14": talib.NATR(bars.high, bars.low, bars.close, 14),
        "true_range_rel": ratio(trange, atr, otherwise=1.0),
    }


@indicator(
    Group.VOLATILITY,
    "bbands_width",
    "bbands_position",
    raw=("bbands_upper", "bbands_middle", "bbands_lower"),
    warm_up=20,
    unit="share of the middle; 0 at the lower band, 1 at the upper",
)
def bbands(bars: Bars) -> Columns:
    """Bollinger bands of 20 bars and 2 standard deviations."""
    upper, middle, lower = talib.BBANDS(bars.close, 20, 2.0, 2.0)
    width = np.where(upper - lower > 1e-9 * middle, upper - lower, 0.0)
    width = np.where(np.isnan(middle), np.nan, width)
    return {
        "bbands_upper": upper,
        "bbands_middle": middle,
        "bbands_lower": lower,
        "bbands_width": width / middle,
        "bbands_position": ratio(bars.close - lower, width, otherwise=0.5),
    }


@indicator(
    Group.PRICE,
    "mom_10_rel",
    "roc_10",
    "ppo",
    raw=("mom_10",),
    warm_up=_RECURSIVE,
    unit="average true ranges; percent; percent",
)
def momentum(bars: Bars) -> Columns:
    """Momentum and rate of change of 10 bars, percentage price oscillator (12, 26)."""
    mom = talib.MOM(bars.close, 10)
    return {
        "mom_10": mom,
        "mom_10_rel": ratio(mom, talib.ATR(bars.high, bars.low, bars.close, 14)),
        "roc_10": talib.ROC(bars.close, 10),
        "ppo": talib.PPO(bars.close, 12, 26),
    }


@indicator(
    Group.PRICE,
    "cdl_doji",
    "cdl_hammer",
    "cdl_engulfing",
    warm_up=16,
    unit="-1, 0 or 1",
)
def candles(bars: Bars) -> Columns:
    """Doji, hammer and engulfing candles."""
    ohlc = (bars.open, bars.high, bars.low, bars.close)
    return {
        "cdl_doji": talib.CDLDOJI(*ohlc) / 100.0,
        "cdl_hammer": talib.CDLHAMMER(*ohlc) / 100.0,
        "cdl_engulfing": talib.CDLENGULFING(*ohlc) / 100.0,
    }
