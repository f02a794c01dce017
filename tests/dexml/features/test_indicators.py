from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from dexml.domain import Bars
from dexml.errors import ConfigError
from dexml.features.calendar import hour_of_week
from dexml.features.indicators import INDICATORS, Group, compute_columns, indicator
from dexml.features.studies import higher_bars
from tests.dexml.features.histories import walk

_SPEC = (
    "sma_20 sma_50 sma_200 rsi_14 stoch_k stoch_d willr_14 macd macd_signal macd_histogram adx_14 "
    "aroon_up aroon_down obv ad adosc atr_14 natr_14 trange bbands_upper bbands_middle "
    "bbands_lower bbands_width bbands_position mom_10 roc_10 ppo cdl_doji cdl_hammer cdl_engulfing"
)


@pytest.fixture(scope="module")
def bars() -> Bars:
    return walk(n=900, seed=7)


@pytest.fixture(scope="module")
def columns(bars: Bars) -> Mapping[str, NDArray[np.float64]]:
    return compute_columns(bars, raw=True)


def test_every_indicator_of_the_specification_is_there(
    columns: Mapping[str, NDArray[np.float64]],
) -> None:
    assert set(_SPEC.split()) <= set(columns)


def test_every_indicator_says_what_it_is() -> None:
    for one in INDICATORS.values():
        assert one.doc.endswith(".")
        assert one.unit
        assert one.columns


def test_aroon_up_is_the_one_that_is_high_after_a_new_high(
    bars: Bars, columns: Mapping[str, NDArray[np.float64]]
) -> None:
    for t in range(400, 900):
        assert columns["aroon_up"][t] == pytest.approx(
            100 * (14 - np.argmax(bars.high[t - 14 : t + 1][::-1])) / 14
        )


def test_range_position_and_realised_volatility_match_brute_force(
    bars: Bars, columns: Mapping[str, NDArray[np.float64]]
) -> None:
    returns = np.diff(np.log(bars.close))
    for t in range(400, 900, 7):
        low, high = bars.low[t - 19 : t + 1].min(), bars.high[t - 19 : t + 1].max()
        assert columns["range_position_20"][t] == pytest.approx(
            (bars.close[t] - low) / (high - low)
        )
        expected = np.sqrt(np.mean(returns[t - 24 : t] ** 2))
        assert columns["volatility_24"][t] == pytest.approx(expected)


def test_same_hour_volumes_are_those_of_the_hour_of_the_next_bar(
    bars: Bars, columns: Mapping[str, NDArray[np.float64]]
) -> None:
    for t in range(400, 900):
        if min(bars.volume[t], bars.volume[t - 23], bars.volume[t - 167]) < 1:
            continue  # an empty bar is floored
        expected = np.log(bars.volume[t + 1 - 24] / bars.volume[t])
        assert columns["volume_yesterday"][t] == pytest.approx(expected)
        expected = np.log(bars.volume[t + 1 - 168] / bars.volume[t])
        assert columns["volume_last_week"][t] == pytest.approx(expected)


def test_windowed_obv_and_ad_are_differences_of_the_levels(
    bars: Bars, columns: Mapping[str, NDArray[np.float64]]
) -> None:
    total = pd.Series(bars.volume).rolling(24).sum().to_numpy()
    for name in ("obv", "ad"):
        level = columns[name]
        expected = (level[400:] - level[376:-24]) / total[400:]
        np.testing.assert_allclose(columns[f"{name}_change_24"][400:], expected, atol=1e-9)


def test_the_closed_form_is_calibrated_on_a_random_walk_with_the_assumed_tails() -> None:
    generator = np.random.default_rng(11)
    steps = np.exp(np.cumsum(0.01 * generator.standard_t(4, 20_000) / np.sqrt(2)))
    close = np.append(100.0, 100.0 * steps)
    times = np.datetime64("2020-01-01", "ns") + np.arange(20_000) * np.timedelta64(1, "h")
    bars = Bars(
        instrument="BTC/USDT",
        timeframe=walk(n=2).timeframe,
        closed_at=times,
        open=close[:-1],
        high=np.maximum(close[1:], close[:-1]),
        low=np.minimum(close[1:], close[:-1]),
        close=close[1:],
        volume=np.ones(20_000),
    )
    p = compute_columns(bars)["volatility_closed_form"][400:-1]
    std = pd.Series(bars.close).rolling(20).std(ddof=0).to_numpy()
    rose = (std[1:] > std[:-1])[400:]
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        inside = (p >= low) & (p < low + 0.2)
        assert abs(rose[inside].mean() - p[inside].mean()) < 0.05
    assert ((p > 0.5) == rose).mean() > 0.8


def test_the_calendar_is_that_of_the_next_bar() -> None:
    stamps = pd.date_range("2024-02-26 00:00", periods=400, freq="h")
    expected = stamps.dayofweek * 24 + stamps.hour
    np.testing.assert_array_equal(
        hour_of_week(stamps.to_numpy().astype("datetime64[ns]")), expected
    )


def test_the_hour_of_the_week_is_right_in_any_year_and_minute() -> None:
    minutes = np.random.default_rng(0).integers(0, 80 * 366 * 24 * 60, 2_000)
    stamps = pd.Timestamp("1970-01-01") + pd.to_timedelta(minutes, unit="min")
    found = hour_of_week(stamps.to_numpy().astype("datetime64[ns]"))
    np.testing.assert_array_equal(found, stamps.dayofweek * 24 + stamps.hour)


def test_a_higher_bar_is_seen_only_once_it_has_closed() -> None:
    bars = walk(n=100)  # the first closes at 01:00
    higher = higher_bars(bars, 4 * 3_600)
    seen = higher.seen(higher.close)
    for t in range(100):
        last = (t + 1) // 4 * 4 - 1
        assert np.isnan(seen[t]) if last < 0 else seen[t] == bars.close[last]
    assert higher.high[1] == bars.high[4:8].max()
    assert higher.low[1] == bars.low[4:8].min()


def test_frozen_prices_and_empty_bars_give_finite_features() -> None:
    frozen = walk(n=600, tick=1e6)
    empty = Bars(
        instrument=frozen.instrument,
        timeframe=frozen.timeframe,
        closed_at=frozen.closed_at,
        volume=np.zeros(600),
        **{name: np.full(600, 5.0) for name in ("open", "high", "low", "close")},
    )
    for bars in (frozen, empty):
        for name, values in compute_columns(bars).items():
            assert np.isfinite(values[384:]).all(), name


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ConfigError, match="columns of its own"):
        indicator(Group.PRICE, "rsi_14", warm_up=1, unit="x")(lambda bars: {"rsi_14": bars.close})
