"""TA-Lib indicators: raw as charts show them, and in the stationary form that models see."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dexml.features.registry import Group, indicator
from dexml.features.rolling import lag, log_ratio, now, ratio, rolling_mean, rolling_sum
from dexml.features.studies import BarArrays, Derived, Recursion, Values

__all__ = ["ATR_14", "SEED_COLUMNS"]

Floats = NDArray[np.float64]
Columns = Mapping[str, Floats]

SEED_COLUMNS = (
    *("sma_20", "sma_50", "sma_200", "rsi_14", "stoch_k", "stoch_d", "willr_14"),
    *("macd", "macd_signal", "macd_histogram", "adx_14", "aroon_up", "aroon_down"),
    *("obv", "ad", "adosc", "atr_14", "natr_14", "trange"),
    *("bbands_upper", "bbands_middle", "bbands_lower", "bbands_width", "bbands_position"),
    *("mom_10", "roc_10", "ppo", "cdl_doji", "cdl_hammer", "cdl_engulfing"),
)

# A TA-Lib recursion of period n forgets its start like (1 - 1/n)^rows; 384 rows leave 1e-12 for 14.
_RECURSIVE = 384
_BAR = ("high", "low", "close")


def _study(
    function: str, inputs: tuple[str, ...], *outputs: str, parameters: tuple[float, ...] = ()
) -> Recursion:
    return Recursion(function=function, inputs=inputs, outputs=outputs, parameters=parameters)


ATR_14 = _study("ATR", _BAR, "atr_14", parameters=(14,))


@indicator(
    Group.PRICE,
    "sma_20_rel",
    "sma_50_rel",
    "sma_200_rel",
    raw=("sma_20", "sma_50", "sma_200"),
    warm_up=200,
    window=1,
    studies=tuple(_study("SMA", ("close",), f"sma_{n}", parameters=(n,)) for n in (20, 50, 200)),
    shared=True,
    unit="log ratio of close to the average",
)
def sma(bars: BarArrays, values: Values) -> Columns:
    """Compare close with its simple moving averages of 20, 50 and 200 bars."""
    return {f"sma_{n}_rel": log_ratio(bars.close, values[f"sma_{n}"]) for n in (20, 50, 200)}


@indicator(
    Group.PRICE,
    "rsi_14",
    warm_up=_RECURSIVE,
    window=1,
    studies=(_study("RSI", ("close",), "rsi_14", parameters=(14,)),),
    shared=True,
    unit="0..100",
)
def rsi(bars: BarArrays, values: Values) -> Columns:
    """Relative strength index of 14 bars."""
    return {"rsi_14": values["rsi_14"]}


@indicator(
    Group.PRICE,
    "stoch_k",
    "stoch_d",
    warm_up=9,
    window=1,
    studies=(_study("STOCH", _BAR, "stoch_k", "stoch_d"),),
    shared=True,
    unit="0..100",
)
def stoch(bars: BarArrays, values: Values) -> Columns:
    """Slow stochastic oscillator (5, 3, 3)."""
    return values


@indicator(
    Group.PRICE,
    "willr_14",
    warm_up=14,
    window=1,
    studies=(_study("WILLR", _BAR, "willr_14", parameters=(14,)),),
    shared=True,
    unit="-100..0",
)
def willr(bars: BarArrays, values: Values) -> Columns:
    """Williams %R of 14 bars."""
    return values


@indicator(
    Group.PRICE,
    "macd_rel",
    "macd_signal_rel",
    "macd_histogram_rel",
    raw=("macd", "macd_signal", "macd_histogram"),
    warm_up=_RECURSIVE,
    window=1,
    studies=(
        _study(
            "MACD",
            ("close",),
            *("macd", "macd_signal", "macd_histogram"),
            parameters=(12, 26, 9),
        ),
        ATR_14,
    ),
    shared=True,
    unit="average true ranges",
)
def macd(bars: BarArrays, values: Values) -> Columns:
    """Measure moving average convergence (12, 26, 9) relative to the average true range."""
    names = ("macd", "macd_signal", "macd_histogram")
    return {f"{name}_rel": ratio(values[name], values["atr_14"]) for name in names}


@indicator(
    Group.PRICE,
    "adx_14",
    warm_up=_RECURSIVE,
    window=1,
    studies=(_study("ADX", _BAR, "adx_14", parameters=(14,)),),
    shared=True,
    unit="0..100",
)
def adx(bars: BarArrays, values: Values) -> Columns:
    """Average directional index of 14 bars."""
    return values


@indicator(
    Group.PRICE,
    "aroon_up",
    "aroon_down",
    warm_up=15,
    window=1,
    studies=(_study("AROON", ("high", "low"), "aroon_down", "aroon_up", parameters=(14,)),),
    shared=True,
    unit="0..100",
)
def aroon(bars: BarArrays, values: Values) -> Columns:
    """Bars since the 14-bar high and low; TA-Lib gives *down* first."""
    return values


# The windowed differences are summed from the increments: the difference of two levels would carry
# the rounding of the whole history, which depends on where it starts.
def _increments(bars: BarArrays, values: Values) -> Columns:
    location = (bars.close - bars.low) - (bars.high - bars.close)
    moved = np.sign(now(bars.close) - now(lag(bars.close, 1)))
    return {
        "signed_volume": moved * now(bars.volume),
        "located_volume": ratio(location, bars.high - bars.low) * bars.volume,
    }


@indicator(
    Group.VOLUME,
    "obv_change_24",
    "ad_change_24",
    "adosc_rel",
    raw=("obv", "ad", "adosc"),
    warm_up=_RECURSIVE,
    window=24,
    studies=(
        _study("OBV", ("close", "volume"), "obv"),
        _study("AD", (*_BAR, "volume"), "ad"),
        _study("ADOSC", (*_BAR, "volume"), "adosc", parameters=(3, 10)),
        Derived(outputs=("signed_volume", "located_volume"), formula=_increments, window=2),
    ),
    shared=True,
    unit="share of the volume of 24 bars",
)
def money_flow(bars: BarArrays, values: Values) -> Columns:
    """On-balance volume, accumulation/distribution and its oscillator, as windowed differences."""
    total = rolling_sum(bars.volume, 24)
    return {
        "obv_change_24": ratio(rolling_sum(values["signed_volume"], 24), total),
        "ad_change_24": ratio(rolling_sum(values["located_volume"], 24), total),
        "adosc_rel": ratio(values["adosc"], rolling_mean(bars.volume, 24)),
    }


@indicator(
    Group.VOLATILITY,
    "natr_14",
    "true_range_rel",
    raw=("atr_14", "trange"),
    warm_up=_RECURSIVE,
    window=1,
    studies=(
        ATR_14,
        _study("TRANGE", _BAR, "trange"),
        _study("NATR", _BAR, "natr_14", parameters=(14,)),
    ),
    shared=True,
    unit="percent of close; true ranges in average true ranges",
)
def true_range(bars: BarArrays, values: Values) -> Columns:
    """Measure true range, its 14-bar average, and the average relative to close."""
    relative = ratio(values["trange"], values["atr_14"], otherwise=1.0)
    return {"natr_14": values["natr_14"], "true_range_rel": relative}


@indicator(
    Group.VOLATILITY,
    "bbands_width",
    "bbands_position",
    raw=("bbands_upper", "bbands_middle", "bbands_lower"),
    warm_up=20,
    window=1,
    studies=(
        _study(
            "BBANDS",
            ("close",),
            *("bbands_upper", "bbands_middle", "bbands_lower"),
            parameters=(20, 2.0, 2.0),
        ),
    ),
    shared=True,
    unit="share of the middle; 0 at the lower band, 1 at the upper",
)
def bbands(bars: BarArrays, values: Values) -> Columns:
    """Bollinger bands of 20 bars and 2 standard deviations."""
    upper, middle, lower = (values[f"bbands_{name}"] for name in ("upper", "middle", "lower"))
    width = upper - lower
    width = np.where(width > 1e-9 * middle, width, 0.0 * middle)  # missing stays missing
    return {
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
    window=1,
    studies=(
        _study("MOM", ("close",), "mom_10", parameters=(10,)),
        _study("ROC", ("close",), "roc_10", parameters=(10,)),
        _study("PPO", ("close",), "ppo", parameters=(12, 26)),
        ATR_14,
    ),
    shared=True,
    unit="average true ranges; percent; percent",
)
def momentum(bars: BarArrays, values: Values) -> Columns:
    """Momentum and rate of change of 10 bars, percentage price oscillator (12, 26)."""
    relative = ratio(values["mom_10"], values["atr_14"])
    return {"mom_10_rel": relative, "roc_10": values["roc_10"], "ppo": values["ppo"]}


_CANDLES = {"cdl_doji": "CDLDOJI", "cdl_hammer": "CDLHAMMER", "cdl_engulfing": "CDLENGULFING"}


@indicator(
    Group.PRICE,
    *_CANDLES,
    warm_up=16,
    window=1,
    studies=tuple(
        _study(function, ("open", *_BAR), f"{name}_100") for name, function in _CANDLES.items()
    ),
    shared=True,
    unit="-1 to 1, 0: none",
)
def candles(bars: BarArrays, values: Values) -> Columns:
    """Doji, hammer and engulfing candles (0.8: one end of the bodies only touches)."""
    return {name: values[f"{name}_100"] / 100.0 for name in _CANDLES}
