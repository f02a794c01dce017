from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from actors.feed import ContextActor, FeedActor
from dexml.clock import SimulatedClock
from dexml.data.feeds.rows import SETTLE_S
from dexml.data.http import Patience
from dexml.data.recorded.social import RecordedSocial
from dexml.data.sources.news import NewsFeed
from dexml.data.storage.store import Store
from dexml.domain import MACRO_COLUMNS, NEWS_COLUMNS, PRICE_COLUMNS, Bars, History, Timeframe
from dexml.errors import ActorNotReady
from dexml.simulation.exchanges import ExchangeServers
from tests.random_walk import some_bars

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NAMES = ("BTC/USDT", "ETH/USDT")
VENUES = ("binance", "kraken", "coinbaseexchange")


def some_news() -> pd.DataFrame:
    published = pd.date_range(START, periods=60, freq="20min").as_unit("ns")
    frame = pd.DataFrame({"published_at": published, "source": "Wire", "score": 0.0})
    frame["known_at"] = published + pd.Timedelta("90s")
    frame["title"] = [f"Ledger entry {n}" for n in range(60)]
    frame["instruments"] = ["BTC/USDT", "ETH/USDT", ""] * 20
    return frame[list(NEWS_COLUMNS)]


def some_macro() -> pd.DataFrame:
    days = pd.date_range(START - timedelta(days=5), periods=10, freq="D").as_unit("ns")
    frame = pd.DataFrame({"series": "vix", "period_at": days, "value": np.arange(10) / 3})
    frame["known_at"] = days + pd.Timedelta("31h")
    return frame[list(MACRO_COLUMNS)]


@pytest.fixture
def history() -> History:
    bars = {name: some_bars(name, 500, seed) for seed, name in enumerate(NAMES)}
    return History(bars=bars, news=some_news(), macro=some_macro())


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START + 400 * HOUR)


@pytest.fixture
def urls(history: History, clock: SimulatedClock) -> Iterator[dict[str, str]]:
    with ExchangeServers(history, clock) as servers:
        yield servers.urls


def feed_on(urls: dict[str, str], venue: str, folder: Path | str, epoch: int = 1) -> FeedActor:
    actor = FeedActor(venue, urls[venue], NAMES, Timeframe.H1, folder)
    actor.start(epoch)
    return actor


def assert_stored(folder: Path | str, venue: str, history: History, n_bars: int) -> None:
    for name in NAMES:
        stored = Store(folder).bars(venue, name, Timeframe.H1)
        wanted = history.bars[name].take(slice(0, n_bars))
        assert np.array_equal(stored.closed_at, wanted.closed_at)
        for column in PRICE_COLUMNS:
            assert getattr(stored, column).tobytes() == getattr(wanted, column).tobytes()


@pytest.mark.parametrize("venue", VENUES)
def test_backfill_and_polls_store_exactly_the_closed_bars(
    venue: str, urls: dict[str, str], tmp_path: Path, history: History, clock: SimulatedClock
) -> None:
    actor = feed_on(urls, venue, tmp_path)
    assert actor.backfill(START, clock.now()).n_new == 800
    for n_bars in range(401, 405):
        clock.advance(HOUR)
        report = actor.poll()
        assert (report.n_new, report.closed_at, report.behind) == (2, clock.now(), ())
        assert report.prices == {name: history.bars[name].open[n_bars] for name in NAMES}
    assert_stored(tmp_path, venue, history, 404)


def test_a_feed_keeps_its_bars_in_an_object_store(
    bucket: str, urls: dict[str, str], history: History, clock: SimulatedClock
) -> None:
    feed_on(urls, "binance", bucket).backfill(START, clock.now())
    clock.advance(2 * HOUR)
    assert feed_on(urls, "binance", bucket, epoch=2).poll().n_new == 4
    assert_stored(bucket, "binance", history, 402)


@pytest.mark.parametrize("venue", VENUES)
def test_the_last_bar_before_a_hole_is_stored_and_has_no_price_after_it(
    venue: str, history: History, tmp_path: Path
) -> None:
    kept = {name: bars.frame().iloc[:300] for name, bars in history.bars.items()}
    holed = {name: Bars.from_frame(name, Timeframe.H1, frame) for name, frame in kept.items()}
    clock = SimulatedClock(START + 300 * HOUR + timedelta(seconds=SETTLE_S))
    with ExchangeServers(replace(history, bars=holed), clock) as servers:
        report = feed_on(servers.urls, venue, tmp_path).poll()
    assert (report.closed_at, report.behind) == (START + 300 * HOUR, ())
    assert report.prices == {}


def test_the_second_time_changes_nothing(
    urls: dict[str, str], tmp_path: Path, history: History, clock: SimulatedClock
) -> None:
    actor = feed_on(urls, "binance", tmp_path)
    reports = [actor.backfill(START, clock.now()), actor.backfill(START, clock.now()), actor.poll()]
    assert [report.n_new for report in reports] == [800, 0, 0]
    assert_stored(tmp_path, "binance", history, 400)


def test_a_restarted_feed_fetches_what_it_missed_first(
    urls: dict[str, str], tmp_path: Path, history: History, clock: SimulatedClock
) -> None:
    feed_on(urls, "binance", tmp_path).backfill(START, clock.now())
    clock.advance(50 * HOUR)
    again = feed_on(urls, "binance", tmp_path, epoch=2)
    assert again.health()["closed_at"] == START + 400 * HOUR
    assert again.poll().n_new == 100
    assert_stored(tmp_path, "binance", history, 450)


def test_what_came_late_is_not_known_before_it_came(
    urls: dict[str, str], tmp_path: Path, clock: SimulatedClock
) -> None:
    def known(hours: int) -> int:
        at = START + hours * HOUR
        return len(Store(tmp_path).bars("binance", NAMES[0], Timeframe.H1, as_of=at))

    actor = feed_on(urls, "binance", tmp_path)
    actor.backfill(START, clock.now())
    actor.poll(clock.advance(3 * HOUR))
    actor.poll(clock.advance(HOUR))
    assert [known(hours) for hours in (300, 400, 402, 403, 404)] == [300, 400, 400, 403, 404]


def test_nothing_but_health_answers_before_start(tmp_path: Path) -> None:
    feed = FeedActor("binance", "http://127.0.0.1:1", NAMES, Timeframe.H1, tmp_path)
    context = ContextActor(None, None, NAMES, (), tmp_path)
    assert feed.health()["epoch"] is context.health()["epoch"] is None
    for refused in (feed.poll, context.poll, lambda: feed.backfill(START, START + HOUR)):
        with pytest.raises(ActorNotReady, match="start"):
            refused()


def test_an_exchange_that_is_down_is_told_and_stops_nothing(tmp_path: Path) -> None:
    feed = FeedActor("kraken", "http://127.0.0.1:1", NAMES, Timeframe.H1, tmp_path)
    feed.start(1)
    report = feed.poll()
    assert (report.n_new, report.closed_at, set(report.failed)) == (0, None, set(NAMES))


def test_news_and_macro_are_stored_once_as_they_become_known(
    history: History, tmp_path: Path
) -> None:
    clock = SimulatedClock(START)
    with ExchangeServers(history, clock) as servers:
        urls = servers.urls
        for epoch in range(1, 6):  # a restart at each visit must lose and repeat nothing
            actor = ContextActor(urls["news"], urls["macro"], NAMES, ("vix",), tmp_path)
            actor.start(epoch)
            for _ in range(6):
                clock.advance(timedelta(minutes=50))
                assert actor.poll().failed == {}
                assert (actor.poll().n_news, actor.poll().n_macro) == (0, 0)
    known = history.until(np.datetime64(clock.now().replace(tzinfo=None), "ns"))
    told = known.news["known_at"]
    visits = pd.date_range(START, clock.now(), freq="50min").as_unit("ns")[1:]
    fetched_at = pd.Series(visits[visits.searchsorted(told)])
    archived = fetched_at == visits[0]  # what the first visit finds is known from when it was told
    seen = known.news.assign(known_at=told.where(archived, fetched_at), fetched_at=fetched_at)
    pd.testing.assert_frame_equal(Store(tmp_path).headlines(), seen, check_exact=True)
    pd.testing.assert_frame_equal(Store(tmp_path).macro(), known.macro, check_exact=True)


def test_a_revised_value_is_known_from_when_it_was_seen(tmp_path: Path) -> None:
    clock = SimulatedClock(START + 50 * HOUR)
    first = some_macro()
    for history in (first, first.assign(value=first["value"].where(first.index != 2, 9.0))):
        with ExchangeServers(History(bars={}, macro=history), clock) as servers:
            actor = ContextActor(None, servers.urls["macro"], NAMES, ("vix",), tmp_path)
            actor.start(1)
            actor.poll()
        clock.advance(HOUR)
    rows = Store(tmp_path).macro()
    revised = rows[rows["period_at"] == first["period_at"][2]]
    assert list(revised["value"]) == [2 / 3, 9.0]
    assert revised["known_at"].iloc[1] == pd.Timestamp(START + 51 * HOUR)


def test_a_headline_told_by_two_sources_is_stored_once(tmp_path: Path) -> None:
    news = pd.concat([some_news(), some_news().assign(source="Copy Desk")], ignore_index=True)
    clock = SimulatedClock(START + 30 * HOUR)
    with ExchangeServers(History(bars={}, news=news), clock) as servers:
        actor = ContextActor(servers.urls["news"], None, NAMES, (), tmp_path)
        actor.start(1)
        assert actor.poll().n_news == 60
    assert set(Store(tmp_path).news()["source"]) == {"Copy Desk"}  # of two at once, by name


def test_more_sources_are_read_beside_the_feed_and_one_that_fails_is_told(
    history: History, tmp_path: Path
) -> None:
    clock = SimulatedClock(START + 30 * HOUR)
    hours = pd.date_range(START, periods=24, freq="h")
    recording = tmp_path / "bitcoin_tweets.csv"
    pd.DataFrame({"date_hour": hours, "sentiment": 0.5}).to_csv(recording, index=False)
    with ExchangeServers(history, clock) as servers:
        down = NewsFeed("http://127.0.0.1:1", NAMES, patience=Patience(n_tries=1), name="down")
        more = {"more_news": (down,), "more_series": (RecordedSocial(recording, clock),)}
        urls, place = servers.urls, tmp_path / "store"
        actor = ContextActor(urls["news"], urls["macro"], NAMES, ("vix",), place, **more)
        actor.start(1)
        report = actor.poll()
        again = actor.poll()
    assert set(report.failed) == set(again.failed) == {"down"}
    assert (report.n_news, report.n_macro) == (60, 24 + 5)
    assert (again.n_news, again.n_macro) == (0, 0)
    assert set(Store(place).macro()["series"]) == {"vix", "social_btc"}
    assert set(actor.health()["read_at"]) == {"news", "vix", "social_btc"}


@pytest.mark.parametrize("venue", VENUES)
def test_a_listening_feed_stores_bars_by_itself_and_tells_them_when_asked(
    venue: str, urls: dict[str, str], tmp_path: Path, history: History, clock: SimulatedClock
) -> None:
    actor = feed_on(urls, venue, tmp_path)
    actor.backfill(START, clock.now() - 20 * HOUR)
    actor.listen(clock, tick_s=0.02)
    n_new = told(actor, n_bars=40)  # what was missed comes first
    for n_bars in range(401, 404):
        clock.advance(HOUR)
        n_new += told(actor, n_bars=0)
        clock.advance(timedelta(seconds=10))
        n_new += told(actor, n_bars=2 * (n_bars - 380) - n_new)
        assert actor.health()["listening"]
    actor.start(2)
    assert (n_new, actor.health()["listening"]) == (2 * 23, False)
    assert_stored(tmp_path, venue, history, 403)


def told(actor: FeedActor, n_bars: int) -> int:
    """Ask until so many new bars were told of, or too much time went by."""
    deadline, n_new = time.monotonic() + 20, 0
    while n_new < n_bars and time.monotonic() < deadline:
        n_new += actor.poll().n_new
        time.sleep(0.01)
    return n_new


def test_a_listening_that_ends_is_replaced_by_asking(
    urls: dict[str, str],
    tmp_path: Path,
    history: History,
    clock: SimulatedClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fall(*_args: object) -> None:
        raise RuntimeError("fell")

    actor = feed_on(urls, "binance", tmp_path)
    actor.backfill(START, clock.now())
    monkeypatch.setattr("dexml.data.feeds.live.LiveFeed.turn", fall)
    actor.listen(clock)
    deadline = time.monotonic() + 20
    while actor.health()["listening"] and time.monotonic() < deadline:
        time.sleep(0.01)
    clock.advance(HOUR)
    assert (actor.poll().n_new, actor.health()["listening"]) == (2, False)
