"""Every indicator of the specification, by name: as TA-Lib gives it, and as models see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import talib
from numpy.typing import NDArray

from dexml.domain import Bars, History
from dexml.features.indicators import INDICATORS, compute_columns
from dexml.features.panel import WARM_UP, build_panel
from dexml.features.technical import SEED_COLUMNS
from tests.dexml.features.histories import some_history, some_venues, walk

BARS = walk(n=900, seed=7)
COLUMNS = compute_columns(BARS, raw=True)
_HISTORY = some_history(420)
PANEL = build_panel(
    replace(_HISTORY, venue_closes={"BTC/USDT": some_venues(_HISTORY.bars["BTC/USDT"])})
)

# Of the indicator's values as charts show them: TA-Lib's own call and its place in the answer.
RAW: dict[str, Callable[[Bars], NDArray[np.float64]]] = {
    "sma_20": lambda b: talib.SMA(b.close, 20),
    "sma_50": lambda b: talib.SMA(b.close, 50),
    "sma_200": lambda b: talib.SMA(b.close, 200),
    "rsi_14": lambda b: talib.RSI(b.close, 14),
    "stoch_k": lambda b: talib.STOCH(b.high, b.low, b.close)[0],
    "stoch_d": lambda b: talib.STOCH(b.high, b.low, b.close)[1],
    "willr_14": lambda b: talib.WILLR(b.high, b.low, b.close, 14),
    "macd": lambda b: talib.MACD(b.close, 12, 26, 9)[0],
    "macd_signal": lambda b: talib.MACD(b.close, 12, 26, 9)[1],
    "macd_histogram": lambda b: talib.MACD(b.close, 12, 26, 9)[2],
    "adx_14": lambda b: talib.ADX(b.high, b.low, b.close, 14),
    "aroon_down": lambda b: talib.AROON(b.high, b.low, 14)[0],
    "aroon_up": lambda b: talib.AROON(b.high, b.low, 14)[1],
    "obv": lambda b: talib.OBV(b.close, b.volume),
    "ad": lambda b: talib.AD(b.high, b.low, b.close, b.volume),
    "adosc": lambda b: talib.ADOSC(b.high, b.low, b.close, b.volume, 3, 10),
    "atr_14": lambda b: talib.ATR(b.high, b.low, b.close, 14),
    "natr_14": lambda b: talib.NATR(b.high, b.low, b.close, 14),
    "trange": lambda b: talib.TRANGE(b.high, b.low, b.close),
    "bbands_upper": lambda b: talib.BBANDS(b.close, 20, 2.0, 2.0)[0],
    "bbands_middle": lambda b: talib.BBANDS(b.close, 20, 2.0, 2.0)[1],
    "bbands_lower": lambda b: talib.BBANDS(b.close, 20, 2.0, 2.0)[2],
    "mom_10": lambda b: talib.MOM(b.close, 10),
    "roc_10": lambda b: talib.ROC(b.close, 10),
    "ppo": lambda b: talib.PPO(b.close, 12, 26),
    "cdl_doji": lambda b: talib.CDLDOJI(b.open, b.high, b.low, b.close) / 100.0,
    "cdl_hammer": lambda b: talib.CDLHAMMER(b.open, b.high, b.low, b.close) / 100.0,
    "cdl_engulfing": lambda b: talib.CDLENGULFING(b.open, b.high, b.low, b.close) / 100.0,
}
# What models see instead. The middle band is the 20-bar average, so it needs no column of its own.
STATIONARY = {
    **{name: name for name in ("rsi_14", "stoch_k", "stoch_d", "willr_14", "adx_14", "natr_14")},
    **{name: name for name in ("aroon_up", "aroon_down", "roc_10", "ppo")},
    **{name: name for name in ("cdl_doji", "cdl_hammer", "cdl_engulfing")},
    **{f"sma_{n}": f"sma_{n}_rel" for n in (20, 50, 200)},
    "macd": "macd_rel",
    "macd_signal": "macd_signal_rel",
    "macd_histogram": "macd_histogram_rel",
    "obv": "obv_change_24",
    "ad": "ad_change_24",
    "adosc": "adosc_rel",
    "atr_14": "natr_14",
    "trange": "true_range_rel",
    "bbands_upper": "bbands_position",
    "bbands_middle": "sma_20_rel",
    "bbands_lower": "bbands_width",
    "bbands_width": "bbands_width",
    "bbands_position": "bbands_position",
    "mom_10": "mom_10_rel",
}
# The other families of the specification, each with the columns that stand for it.
FAMILIES = {
    "returns": ("return_1", "return_3", "return_6", "return_24", "return_72"),
    "realised volatility": ("volatility_6", "volatility_24", "volatility_168"),
    "volume ratios": ("volume_ratio_1", "volume_ratio_24", "volume_ratio_24_168"),
    "seasonal volumes": ("volume_yesterday", "volume_last_week", "volume_day_season"),
    "calendar of the next bar": ("next_hour", "next_weekday", "next_hour_of_week"),
    "what leaves a window": ("leaving_distance", "volatility_closed_form"),
    "cross-section": ("market_return_1", "relative_return_1", "return_rank_1"),
    "higher timeframes": ("h4_return_1", "h4_range_position_20", "d1_return_1", "d1_distance"),
    "cross-exchange": ("venue_spread", "venue_lead_24", "venue_pull_24", "venue_agreement"),
    "sentiment": ("news_own_mean_24h", "news_own_decay_24h", "news_market_count_7d"),
    "macro": ("macro_vix_value", "macro_vix_change", "macro_vix_z", "macro_oldest_age"),
}


@pytest.mark.parametrize("name", list(RAW))
def test_the_raw_column_is_what_talib_gives(name: str) -> None:
    np.testing.assert_array_equal(COLUMNS[name], RAW[name](BARS))


def test_bbands_width_and_position_are_those_of_the_bands() -> None:
    upper, middle, lower = (COLUMNS[f"bbands_{name}"] for name in ("upper", "middle", "lower"))
    np.testing.assert_allclose(COLUMNS["bbands_width"], (upper - lower) / middle, rtol=1e-12)
    position = (BARS.close - lower) / (upper - lower)
    np.testing.assert_allclose(COLUMNS["bbands_position"], position, rtol=1e-12)


def test_the_list_is_the_list_of_the_specification() -> None:
    assert {*RAW, "bbands_width", "bbands_position"} == set(SEED_COLUMNS) == set(STATIONARY)


@pytest.mark.parametrize("name", list(STATIONARY))
def test_models_see_a_stationary_form_of_it(name: str) -> None:
    assert STATIONARY[name] in PANEL.columns


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_family_is_in_the_panel(family: str) -> None:
    assert set(FAMILIES[family]) <= set(PANEL.columns)


def test_no_raw_column_on_the_scale_of_prices_enters_a_model() -> None:
    raw = {name for one in INDICATORS.values() for name in one.raw}
    assert not raw & set(PANEL.columns)


# Another unit of price and of volume changes no feature: powers of two scale without rounding.
def test_no_feature_knows_the_unit_of_price_or_volume() -> None:
    names = ("open", "high", "low", "close")
    scaled = replace(
        BARS, volume=BARS.volume * 64.0, **{name: getattr(BARS, name) * 1024.0 for name in names}
    )
    own, other = (build_panel(History(bars={"BTC/USDT": one})) for one in (BARS, scaled))
    assert len(own) == 900 - WARM_UP
    np.testing.assert_allclose(own.to_numpy(), other.to_numpy(), rtol=1e-7, atol=1e-9)


def test_only_what_was_asked_for_is_computed_and_returned() -> None:
    found = compute_columns(BARS, only=("macd", "bbands_width"))
    assert set(found) == {"macd", "bbands_width"}
    np.testing.assert_array_equal(found["macd"], COLUMNS["macd"])
