from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.domain import Bars, History, Timeframe, to_datetime64
from dexml.errors import DataError
from dexml.features.indicators import INDICATORS, Group, compute_columns, indicator
from dexml.features.live import LivePanel
from dexml.features.panel import WARM_UP, build_panel
from tests.dexml.features.histories import (
    some_history,
    some_macro,
    some_news,
    some_social,
    some_venues,
    walk,
)

NAMES = ("BTC/USDT", "ETH/USDT", "SOL/USDT")


@pytest.fixture(scope="module", autouse=True)
def users_indicators() -> Iterator[None]:
    """Register two indicators as users write them: one forgets its start slowly, one has state."""

    @indicator(Group.PRICE, "my_trend", warm_up=60, unit="log ratio")
    def my_trend(bars: Bars) -> dict[str, np.ndarray]:
        """Close over its exponential average."""
        return {"my_trend": np.log(bars.close / talib.EMA(bars.close, 40))}

    @indicator(Group.VOLUME, "my_flow", warm_up=30, unit="share")
    def my_flow(bars: Bars) -> dict[str, np.ndarray]:
        """Volume against all that the window holds."""
        return {"my_flow": bars.volume / (1.0 + np.cumsum(bars.volume))}

    yield
    for name in ("my_trend", "my_flow"):
        INDICATORS.pop(name)


@dataclass(frozen=True)
class Arrival:
    """A history and the close, by number, with which each of its facts came in."""

    whole: History
    closes: np.ndarray
    news_at: np.ndarray
    macro_at: np.ndarray

    def known(self, k: int) -> History:
        """Return what may be used at close `k` of all that came in by then."""
        return self.held(k).until(self.closes[k])

    def held(self, k: int) -> History:
        """Return what a store holds at close `k`, what must wait for its `known_at` too."""
        bars = self.whole.until(self.closes[k])
        return replace(bars, news=self.news(-1, k), macro=self.macro(-1, k))

    def news(self, after: int, until: int) -> pd.DataFrame:
        return _in_turn(self.whole.news, self.news_at, after, until)

    def macro(self, after: int, until: int) -> pd.DataFrame:
        return _in_turn(self.whole.macro, self.macro_at, after, until)


def _in_turn(frame: pd.DataFrame, at: np.ndarray, after: int, until: int) -> pd.DataFrame:
    rows = np.flatnonzero((at > after) & (at <= until))
    return frame.iloc[rows[np.argsort(at[rows], kind="stable")]]


def _holes(bars: Bars, share: float, generator: np.random.Generator) -> Bars:
    kept = np.flatnonzero(generator.random(len(bars)) >= share)
    return Bars.from_frame(bars.instrument, bars.timeframe, bars.frame().iloc[kept])


# Mostly in time; some a few closes late, some told before they may be used.
def _told(known_at: pd.Series, closes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    stamps = known_at.dt.tz_localize(None).to_numpy()
    in_time = np.searchsorted(closes, stamps, side="left")
    return in_time + generator.choice([0, 0, 0, 0, -2, 1, 5], len(stamps))


def _market(seed: int, n: int, timeframe: Timeframe, tick: float | None) -> Arrival:
    generator = np.random.default_rng(seed)
    full = {
        name: walk(name, n, seed + k, timeframe=timeframe, tick=tick)
        for k, name in enumerate(NAMES)
    }
    closes = full[NAMES[0]].closed_at
    late = int(generator.choice([0, 12, n - WARM_UP - 6, n - 100, n]))
    bars = {
        "BTC/USDT": full["BTC/USDT"],
        "ETH/USDT": _holes(full["ETH/USDT"], 0.02, generator),
        "SOL/USDT": full["SOL/USDT"].take(slice(late, None)),
    }
    news, macro = some_news(full["BTC/USDT"], 500, seed), some_macro(full["BTC/USDT"], seed)
    if seed % 2:
        macro = pd.concat([macro, some_social(full["BTC/USDT"], seed)], ignore_index=True)
    news["title"] = generator.choice(news["title"].to_numpy()[:120], len(news))
    revised = macro.sample(frac=0.1, random_state=seed).assign(value=33.0)
    revised["known_at"] += pd.Timedelta(days=2)
    macro = pd.concat([macro, revised], ignore_index=True)
    venues = {name: some_venues(bars[name], seed) for name in NAMES[:2]}
    venues["ETH/USDT"] = venues["ETH/USDT"][["kraken"]]
    history = History(bars=bars, news=news, macro=macro, venue_closes=venues)
    return Arrival(
        whole=history,
        closes=closes,
        news_at=_told(news["known_at"], closes, generator),
        macro_at=_told(macro["known_at"], closes, generator),
    )


def _hear(live: LivePanel, arrival: Arrival, k: int) -> pd.DataFrame:
    at = arrival.closes[k]
    newest = [one.until(at) for one in arrival.whole.bars.values()]
    told = {
        name: frame.loc[pd.Timestamp(at, tz="UTC")].dropna().to_dict()
        for name, frame in arrival.whole.venue_closes.items()
        if pd.Timestamp(at, tz="UTC") in frame.index
    }
    return live.append(
        [bars.bar(-1) for bars in newest if len(bars) and bars.closed_at[-1] == at],
        news=arrival.news(k - 1, k),
        macro=arrival.macro(k - 1, k),
        venue_closes=told,
    )


def _assert_same_bits(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert list(found.columns) == list(expected.columns)
    assert found.index.equals(expected.index)
    left, right = (np.ascontiguousarray(one.to_numpy()) for one in (found, expected))
    same = (left.view(np.int64) == right.view(np.int64)) | (np.isnan(left) & np.isnan(right))
    assert same.all(), found.columns[~same.all(axis=0)].tolist()


@given(
    seed=st.integers(0, 2**20),
    ahead=st.integers(1, 25),
    young=st.integers(1, 30),
    timeframe=st.sampled_from([Timeframe.H1, Timeframe.H1, Timeframe.H4, Timeframe.D1]),
    tick=st.sampled_from([None, None, 0.5]),
    alone=st.sampled_from([False, False, True]),
)
@settings(max_examples=15, deadline=None)
def test_each_close_heard_live_has_the_bits_of_the_batch(
    seed: int, ahead: int, young: int, timeframe: Timeframe, tick: float | None, alone: bool
) -> None:
    n = WARM_UP + young + ahead
    arrival = _market(seed, n, timeframe, tick)
    if alone:
        one = {"BTC/USDT": arrival.whole.bars["BTC/USDT"]}
        arrival = replace(arrival, whole=replace(arrival.whole, bars=one))
    live = LivePanel(arrival.held(n - ahead - 1))
    for k in range(n - ahead, n):
        found = _hear(live, arrival, k)
        if k % 4 == 0 or k == n - 1:
            panel, at = build_panel(arrival.known(k)), pd.Timestamp(arrival.closes[k], tz="UTC")
            _assert_same_bits(found, panel[panel.index.get_level_values(0) == at])
    for name, bars in arrival.known(n - 1).bars.items():
        if len(bars) > WARM_UP:
            series = compute_columns(bars, raw=True)
            for column, value in live.raw().loc[name].items():
                assert value == series[str(column)][-1], column


def test_quarter_hours_look_back_in_days_and_not_in_bars() -> None:
    n = 16 * 96 + 20
    arrival = _market(3, n, Timeframe.M15, None)
    live = LivePanel(arrival.held(n - 4))
    for k in range(n - 3, n):
        found = _hear(live, arrival, k)
    panel = build_panel(arrival.known(n - 1))
    _assert_same_bits(found, panel.loc[[pd.Timestamp(arrival.closes[-1], tz="UTC")]])


def test_a_panel_opened_again_goes_on_as_if_it_had_never_stopped() -> None:
    arrival = _market(5, WARM_UP + 30, Timeframe.H1, None)
    first = LivePanel(arrival.held(WARM_UP + 10))
    for k in range(WARM_UP + 11, WARM_UP + 20):
        _hear(first, arrival, k)
    again = LivePanel(arrival.held(WARM_UP + 19))
    for k in range(WARM_UP + 20, WARM_UP + 30):
        _assert_same_bits(_hear(again, arrival, k), _hear(first, arrival, k))


def test_an_exchange_heard_for_the_first_time_joins_the_others() -> None:
    n = WARM_UP + 40
    arrival = _market(9, n, Timeframe.H1, None)
    closes = arrival.whole.venue_closes["BTC/USDT"]
    late = closes.assign(bitstamp=closes["kraken"].where(np.arange(len(closes)) >= n - 20))
    arrival = replace(arrival, whole=replace(arrival.whole, venue_closes={"BTC/USDT": late}))
    known, at = arrival.held(n - 25), pd.Timestamp(arrival.closes[n - 25], tz="UTC")
    live = LivePanel(replace(known, venue_closes={"BTC/USDT": closes.loc[:at]}))
    for k in range(n - 24, n):
        found = _hear(live, arrival, k)
    panel = build_panel(arrival.known(n - 1))
    _assert_same_bits(found, panel.loc[[pd.Timestamp(arrival.closes[-1], tz="UTC")]])


def test_what_it_keeps_does_not_grow() -> None:
    arrival = _market(2, WARM_UP + 420, Timeframe.H1, None)
    live = LivePanel(arrival.held(WARM_UP + 5))
    sizes = []
    for k in range(WARM_UP + 6, WARM_UP + 420):
        _hear(live, arrival, k)
        sizes.append(len(live._context._news._headlines) + live._tape._values.nbytes)
    assert max(sizes[200:]) <= max(sizes[:200]) + 60


def test_a_revised_or_unknown_bar_is_refused() -> None:
    history = some_history(WARM_UP + 10)
    live = LivePanel(history)
    newest = history.bars["BTC/USDT"].bar(-1)
    with pytest.raises(DataError, match="open it again on the stored"):
        live.append([newest])
    with pytest.raises(DataError, match="must hear bars of one close"):
        live.append([replace(newest, instrument="DOGE/USDT")])
    with pytest.raises(DataError, match="must hear bars of one close"):
        live.append([])


def test_bars_closer_than_their_timeframe_are_refused() -> None:
    history = some_history(WARM_UP + 10)
    live = LivePanel(history)
    newest = history.bars["BTC/USDT"].bar(-1)
    with pytest.raises(DataError, match="a whole timeframe apart"):
        live.append([replace(newest, closed_at=newest.closed_at + pd.Timedelta(minutes=7))])


def test_instruments_may_close_at_hours_of_their_own() -> None:
    bars = {name: walk(name, WARM_UP + 40, k) for k, name in enumerate(NAMES[:2])}
    shifted = bars["ETH/USDT"].closed_at + np.timedelta64(25, "m")
    bars["ETH/USDT"] = replace(bars["ETH/USDT"], closed_at=shifted)
    whole = History(bars=bars, news=some_news(bars["BTC/USDT"], 500))
    panel, closes = (
        build_panel(whole),
        np.unique(np.concatenate([b.closed_at for b in bars.values()])),
    )
    live = LivePanel(replace(whole.until(closes[-21]), news=whole.news))
    for at in closes[-20:]:
        newest = [one.until(at).bar(-1) for one in bars.values()]
        found = live.append([bar for bar in newest if to_datetime64(bar.closed_at) == at])
        _assert_same_bits(found, panel.loc[[pd.Timestamp(at, tz="UTC")]])


def test_a_users_indicator_that_is_not_finite_is_named_live_too() -> None:
    @indicator(Group.PRICE, "broken_later", warm_up=1, unit="x")
    def broken_later(bars: Bars) -> dict[str, np.ndarray]:
        """Grow without bound."""
        return {"broken_later": np.where(bars.volume > 0, np.inf, 1.0)}

    try:
        history = some_history(WARM_UP + 10)
        live = LivePanel(history.until(history.bars["BTC/USDT"].closed_at[-2]))
        with pytest.raises(DataError, match="feature broken_later of"):
            live.append([bars.bar(-1) for bars in history.bars.values()])
    finally:
        INDICATORS.pop("broken_later")
