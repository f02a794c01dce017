from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.domain import History, Target, Timeframe, empty_macro, empty_news
from dexml.errors import ConfigError, DataError
from dexml.features.indicators import INDICATORS, Group, indicator
from dexml.features.panel import PRICE_CORE, WARM_UP, build_panel, group_of, view, warm_up
from tests.dexml.features.histories import some_history, some_social, walk

HISTORY = some_history(650)
PANEL = build_panel(HISTORY)


def test_the_panel_is_sorted_and_begins_after_the_warm_up() -> None:
    assert PANEL.index.names == ["closed_at", "instrument"]
    assert PANEL.index.is_monotonic_increasing
    assert PANEL.index.is_unique
    assert str(PANEL.index.levels[0].dtype) == "datetime64[ns, UTC]"
    assert len(PANEL) == 3 * (650 - WARM_UP)
    assert (PANEL.dtypes == np.float64).all()


def test_only_news_and_macro_may_be_missing() -> None:
    missing = PANEL.columns[PANEL.isna().any()]
    assert all(name.startswith(("news_", "macro_")) for name in missing)
    assert np.isfinite(PANEL.drop(columns=missing).to_numpy()).all()


@given(end=st.integers(WARM_UP + 1, 650))
@settings(max_examples=25)
def test_a_prefix_has_the_same_bits(end: int) -> None:
    at = HISTORY.bars["BTC/USDT"].closed_at[end - 1]
    part = build_panel(HISTORY.until(at))
    whole = PANEL.iloc[: len(part)]
    assert part.index.equals(whole.index)
    shared = [name for name in whole.columns if name in part.columns]
    assert whole.drop(columns=shared).isna().all().all()
    np.testing.assert_array_equal(part[shared].to_numpy(), whole[shared].to_numpy())


@given(start=st.integers(1, 200))
@settings(max_examples=10)
def test_history_may_begin_elsewhere(start: int) -> None:
    bars = {name: one.take(slice(start, None)) for name, one in HISTORY.bars.items()}
    part = build_panel(replace(HISTORY, bars=bars))
    whole = PANEL.loc[part.index]
    assert (part.isna() == whole.isna()).all().all()
    scale = whole.abs().clip(lower=whole.std(), axis=1)
    assert not ((part - whole).abs() > 1e-6 * scale + 1e-12).any().any()


def test_no_two_columns_say_the_same() -> None:
    correlation = PANEL.loc[:, PANEL.std() > 0].corr(min_periods=100).abs().to_numpy()
    np.fill_diagonal(correlation, 0.0)
    assert np.nanmax(correlation) < 0.9999
    assert len(set(PANEL.columns)) == PANEL.shape[1]


def test_the_price_part_stays_small() -> None:
    bare = build_panel(History(bars=HISTORY.bars))
    assert 80 <= bare.shape[1] <= 110


def test_no_rows_of_news_or_macro_mean_no_columns() -> None:
    bare = build_panel(replace(HISTORY, news=empty_news(), macro=empty_macro()))
    assert not [name for name in bare.columns if name.startswith(("news_", "macro_"))]
    assert view(Target.SENTIMENT, bare.columns) == ()
    assert view(Target.MACRO, bare.columns) == ()


def test_social_series_are_sentiment_and_no_macro_columns() -> None:
    social = some_social(HISTORY.bars["BTC/USDT"])
    alone = build_panel(replace(HISTORY, news=empty_news(), macro=social))
    found = [name for name in alone.columns if name.startswith("social_")]
    assert {"social_btc_value", "social_btc_z", "social_btc_change_x_range"} < set(found)
    assert {"social_oldest_age", "social_n_stale"} < set(found)
    assert {group_of(name) for name in found} == {Group.SENTIMENT}
    assert set(view(Target.SENTIMENT, alone.columns)) == {*found, *PRICE_CORE}
    assert view(Target.MACRO, alone.columns) == ()
    both = build_panel(
        replace(HISTORY, macro=pd.concat([HISTORY.macro, social], ignore_index=True))
    )
    pd.testing.assert_frame_equal(both[PANEL.columns], PANEL, check_exact=True)
    assert set(both.columns) - set(PANEL.columns) == set(found)
    pd.testing.assert_frame_equal(both[found], alone[found], check_exact=True)


def test_before_the_first_headline_news_is_missing_and_not_zero() -> None:
    late = HISTORY.news["known_at"] > pd.Timestamp("2023-03-20", tz="UTC")
    panel = build_panel(replace(HISTORY, news=HISTORY.news[late]))
    early = panel.index.get_level_values(0) < HISTORY.news["known_at"][late].min()
    assert early.any()
    assert panel.loc[early].filter(like="news_").isna().all().all()
    assert (panel.loc[~early, "news_own_count_24h"] >= 0).all()


@pytest.mark.parametrize("target", list(Target))
def test_a_view_is_a_part_of_the_panel_and_speaks_of_its_subject(target: Target) -> None:
    columns = view(target, PANEL.columns)
    assert set(columns) < set(PANEL.columns)
    groups = {group_of(name) for name in columns}
    assert (Group.SENTIMENT in groups) == (target is Target.SENTIMENT)
    assert (Group.MACRO in groups) == (target is Target.MACRO)
    assert (Group.LEAVING in groups) == (target is Target.VOLATILITY)


def test_the_price_core_exists() -> None:
    assert set(PRICE_CORE) <= set(PANEL.columns)


def test_an_unknown_view_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be one of"):
        view("weather", PANEL.columns)


def test_the_panel_grows_with_a_users_indicator_and_waits_for_its_warm_up() -> None:
    @indicator(Group.PRICE, "half_close", warm_up=400, unit="x")
    def half_close(bars):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return {"half_close": bars.close / 2}

    try:
        assert warm_up(Timeframe.H1) == 400
        assert "half_close" in view("direction", build_panel(HISTORY).columns)
    finally:
        INDICATORS.pop("half_close")


def test_a_users_indicator_that_is_not_finite_is_named() -> None:
    @indicator(Group.PRICE, "broken", warm_up=1, unit="x")
    def broken(bars):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return {"broken": np.full(len(bars), np.nan)}

    try:
        with pytest.raises(DataError, match="feature broken of BTC/USDT"):
            build_panel(HISTORY)
    finally:
        INDICATORS.pop("broken")


def test_instruments_of_different_length_and_too_short_ones_are_fine() -> None:
    bars = {**HISTORY.bars, "ETH/USDT": HISTORY.bars["ETH/USDT"].take(slice(600, None))}
    panel = build_panel(replace(HISTORY, bars=bars))
    assert set(panel.index.get_level_values(1)) == {"BTC/USDT", "SOL/USDT"}
    none = {name: one.take(slice(0, 0)) for name, one in HISTORY.bars.items()}
    assert len(build_panel(History(bars=none))) == 0


def test_gaps_in_the_bars_are_survived() -> None:
    keep = np.ones(650, dtype=bool)
    keep[[100, 300, 301, 302, 500]] = False
    bars = dict(HISTORY.bars)
    frame = bars["ETH/USDT"].frame()[keep]
    bars["ETH/USDT"] = type(walk()).from_frame("ETH/USDT", Timeframe.H1, frame)
    assert len(build_panel(replace(HISTORY, bars=bars))) == len(PANEL) - 5


@pytest.mark.parametrize("timeframe", [Timeframe.M15, Timeframe.H4, Timeframe.D1])
def test_other_timeframes_work(timeframe: Timeframe) -> None:
    n = warm_up(timeframe) + 30
    names = ("A/USDT", "B/USDT")
    bars = {name: walk(name, n, k, timeframe=timeframe) for k, name in enumerate(names)}
    assert len(build_panel(History(bars=bars))) == 60


def test_six_instruments_of_three_thousand_bars_take_under_a_second() -> None:
    names = [f"{letter}/USDT" for letter in "ABCDEF"]
    history = replace(some_history(3_000), bars={n: walk(n, 3_000, k) for k, n in enumerate(names)})
    build_panel(history)
    began = time.process_time()
    build_panel(history)
    assert time.process_time() - began < 1.0
