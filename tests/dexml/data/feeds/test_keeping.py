"""What was known when: nothing that arrives changes an answer about the past."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from dexml.clock import SimulatedClock
from dexml.data.feeds.backfill import backfill_bars
from dexml.data.feeds.keeping import Keeper
from dexml.data.feeds.rows import FeedUpdate
from dexml.data.storage.bar_rows import ARRIVAL_S
from dexml.data.storage.store import Store
from dexml.domain import PRICE_COLUMNS, Bars, History, Timeframe, to_datetime
from dexml.simulation.exchanges import ExchangeServers, Fault
from tests.dexml.data.feeds.markets import MINUTE, NAMES, START, VENUES, Follower, market
from tests.random_walk import some_bars

BTC = "BTC/USDT"
BARS = some_bars(BTC, 60)
PROMPT = timedelta(seconds=ARRIVAL_S)


def told(bars: Bars, seen_at: datetime | None) -> FeedUpdate:
    return replace(FeedUpdate.empty(), closed={BTC: bars}, seen_at=seen_at)


def closed(bar: int) -> datetime:
    return to_datetime(BARS.closed_at[bar])


def one(bar: int) -> Bars:
    return BARS.take(slice(bar, bar + 1))


def revised(bars: Bars) -> Bars:
    return replace(bars, **{name: getattr(bars, name) * 1.001 for name in PRICE_COLUMNS})


def kept(folder: Path, bars: Sequence[int]) -> tuple[Store, Keeper]:
    store = Store(folder)
    keeper = Keeper(store, "binance", (BTC,), Timeframe.H1)
    for bar in bars:
        keeper.keep(told(one(bar), closed(bar) + PROMPT))
    return store, keeper


def read(store: Store, at: datetime) -> Bars:
    return store.bars("binance", BTC, "1h", as_of=at)


def test_a_bar_that_comes_in_time_is_known_from_its_close(tmp_path: Path) -> None:
    store, _ = kept(tmp_path, range(5))
    for bar in range(5):
        assert len(read(store, closed(bar))) == bar + 1


def test_a_correction_is_known_when_it_was_seen(tmp_path: Path) -> None:
    store, keeper = kept(tmp_path, range(20))
    seen_at = closed(19) + timedelta(minutes=7)
    assert keeper.keep(told(revised(one(10)), seen_at)) == 1
    assert read(store, seen_at - timedelta(microseconds=1)).close[10] == BARS.close[10]
    assert read(store, seen_at).close[10] == BARS.close[10] * 1.001


def test_a_correction_of_unknown_date_is_no_older_than_the_newest_bar(tmp_path: Path) -> None:
    store, keeper = kept(tmp_path, range(20))
    keeper.keep(told(revised(one(10)), None))
    assert read(store, closed(18)).close[10] == BARS.close[10]


def test_a_late_bar_is_known_when_it_was_seen_be_it_the_newest_or_in_a_hole(
    tmp_path: Path,
) -> None:
    store, keeper = kept(tmp_path, [*range(10), *range(11, 20)])
    for bar, n_then, n_later in ((20, 19, 20), (10, 20, 21)):
        seen_at = closed(20) + timedelta(minutes=30 - bar)
        keeper.keep(told(one(bar), seen_at))
        assert len(read(store, seen_at - timedelta(microseconds=1))) == n_then
        assert len(read(store, seen_at)) == n_later


def test_the_first_page_of_a_series_is_history(tmp_path: Path) -> None:
    store, keeper = kept(tmp_path, [])
    keeper.keep(told(BARS, closed(59) + timedelta(days=700)))
    assert len(read(store, closed(30))) == 31


class Source:
    """Answers with some bars, by a clock that runs years later."""

    instruments, timeframe = (BTC,), Timeframe.H1

    def __init__(self, bars: Bars) -> None:
        self.bars = bars

    def backfill(self, since: datetime, until: datetime) -> FeedUpdate:
        return told(self.bars, datetime(2026, 1, 1, tzinfo=UTC))


def test_history_bought_later_is_known_at_its_close_unless_it_contradicts_what_is_stored(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path)
    holed = Bars.from_frame(BTC, Timeframe.H1, BARS.frame().drop(BARS.frame().index[30]))
    backfill_bars(Source(holed.take(slice(20, 50))), store, "binance", closed(0), closed(59))
    whole = BARS.frame()
    whole.iloc[25] *= 1.001
    source = Source(Bars.from_frame(BTC, Timeframe.H1, whole))
    backfill_bars(source, store, "binance", closed(0), closed(59))
    then = read(store, closed(59))
    assert np.array_equal(then.closed_at, holed.closed_at)
    assert then.close[25] == BARS.close[25]
    now = read(store, datetime(2026, 1, 1, tzinfo=UTC))
    assert (len(now), now.close[25]) == (60, BARS.close[25] * 1.001)


WEATHERS = {
    "revised": (Fault.REVISED, None),
    "spoilt": (Fault.NAN, BTC),
}


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("weather", WEATHERS)
def test_what_a_decision_read_is_read_so_for_ever(venue: str, weather: str, tmp_path: Path) -> None:
    clock, bars = SimulatedClock(START + 5 * MINUTE + timedelta(seconds=8)), market(30)
    fault, instrument = WEATHERS[weather]

    def now() -> list[tuple[bytes, bytes]]:
        return reading(clock.now())

    def reading(at: datetime) -> list[tuple[bytes, bytes]]:
        found = [Store(tmp_path).bars(venue, name, "1m", as_of=at) for name in NAMES]
        return [(one.closed_at.tobytes(), one.close.tobytes()) for one in found]

    async def live(servers: ExchangeServers) -> list[tuple[datetime, object]]:
        follower = Follower(venue, servers.urls[venue], clock, tmp_path)
        seen: list[tuple[datetime, object]] = []
        for stormy in (False, True, True, False, False):
            servers.faults.clear()
            if stormy:
                servers.faults.set(fault, instrument=instrument)
            await follower.live_a_bar(0.4 if stormy else 5.0)
            seen.append((clock.now(), now()))
        await follower.feed.close()
        return seen

    with ExchangeServers(History(bars=bars), clock) as servers:
        seen = asyncio.run(live(servers))
    for at, then in seen:
        assert reading(at) == then, at
