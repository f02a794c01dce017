from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from aiohttp import web
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from dexml.clock import SimulatedClock
from dexml.data.http import Patience
from dexml.data.sources.news import NewsFeed
from dexml.data.sources.stories import Stories
from dexml.domain import NEWS_COLUMNS, History
from dexml.errors import DataError
from dexml.simulation.exchanges import ExchangeServers
from dexml.simulation.exchanges.server import LocalServers, stamped

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NAMES = ("BTC/USDT", "ETH/USDT", "LINK/USDT")
HASTY = Patience(sleep=lambda _s: None, jitter=random.Random(0))
TITLES = ["Bitcoin rallies on great optimism & <hope>", "Fees fall", "Ethereum and Bitcoin drop"]


def planted_news() -> pd.DataFrame:
    published = pd.date_range(START, periods=3, freq="h").as_unit("ns")
    score = SentimentIntensityAnalyzer().polarity_scores
    return pd.DataFrame(
        {
            "published_at": published,
            "known_at": published + pd.Timedelta("5min"),
            "source": "Wire & Sons",
            "title": TITLES,
            "instruments": ["BTC/USDT", "", "ETH/USDT BTC/USDT"],
            "score": [score(title)["compound"] for title in TITLES],
        }
    )[list(NEWS_COLUMNS)]


@contextmanager
def feed_saying(text: Callable[[], str], clock: SimulatedClock) -> Iterator[NewsFeed]:
    async def handle(_request: web.Request) -> web.Response:
        return web.Response(text=text(), content_type="application/rss+xml")

    with LocalServers({"feed": stamped([web.get("/rss", handle)], clock)}) as servers:
        yield NewsFeed(servers.urls["feed"] + "/rss", NAMES, patience=HASTY)


def rss(*items: str) -> str:
    return f"<rss version='2.0'><channel><title>n</title>{''.join(items)}</channel></rss>"


def item(title: str, published: str = "Mon, 01 Jan 2024 10:00:00 GMT") -> str:
    return f"<item><title>{title}</title><pubDate>{published}</pubDate></item>"


def test_planted_headlines_come_back_as_they_were() -> None:
    news = planted_news()
    with ExchangeServers(History(bars={}, news=news), SimulatedClock(START + 9 * HOUR)) as servers:
        update = NewsFeed(servers.urls["news"], NAMES).fetch()
    pd.testing.assert_frame_equal(update.news[list(NEWS_COLUMNS)], news)
    assert set(update.news["fetched_at"]) == {pd.Timestamp(START + 9 * HOUR)}
    assert update.fetched_at == START + 9 * HOUR


def test_the_next_visit_brings_only_what_is_new() -> None:
    clock = SimulatedClock(START + timedelta(minutes=30))
    with ExchangeServers(History(bars={}, news=planted_news()), clock) as servers:
        feed = NewsFeed(servers.urls["news"], NAMES)
        first = feed.fetch()
        clock.advance(HOUR)
        second = feed.fetch(first.fetched_at)
    assert list(first.news["title"]) == TITLES[:1]
    assert list(second.news["title"]) == TITLES[1:2]
    assert first.news["known_at"][0] == pd.Timestamp(START) + pd.Timedelta("5min")


def test_between_visits_no_headline_is_known_before_it_was_fetched() -> None:
    clock = SimulatedClock(START + timedelta(minutes=30))
    with ExchangeServers(History(bars={}, news=planted_news()), clock) as servers:
        feed = NewsFeed(servers.urls["news"], NAMES)
        first = feed.fetch()
        clock.advance(HOUR)
        news = feed.fetch(first.fetched_at).news  # its source told of it 25 minutes ago
    assert news["known_at"][0] == news["fetched_at"][0] == pd.Timestamp(clock.now())


def test_a_late_headline_is_known_from_when_it_was_seen() -> None:
    clock = SimulatedClock(START + 20 * HOUR)
    with feed_saying(lambda: rss(item("Fees fall")), clock) as feed:
        first = feed.fetch().news["known_at"][0]
        late = feed.fetch(START + 19 * HOUR).news["known_at"][0]
    assert first == pd.Timestamp("2024-01-01 10:10", tz="UTC")
    assert late == pd.Timestamp(clock.now())


def test_without_categories_the_title_tells_the_instruments() -> None:
    titles = ("BTC falls", "A link to the past", "Chainlink and bitcoin rise", "Fees fall")
    text = rss(*(item(title) for title in titles))
    with feed_saying(lambda: text, SimulatedClock(START + 20 * HOUR)) as feed:
        news = feed.fetch().news
    assert list(news["instruments"]) == ["", "BTC/USDT", "BTC/USDT LINK/USDT", ""]


def test_a_headline_from_the_future_or_without_a_date_is_refused() -> None:
    text = rss(item("Soon", "Mon, 01 Jan 2024 23:00:00 GMT"), item("Never", "x"), item("Now"))
    with feed_saying(lambda: text, SimulatedClock(START + 20 * HOUR)) as feed:
        update = feed.fetch()
    assert (list(update.news["title"]), update.n_refused) == (["Now"], 2)


def test_what_is_no_feed_is_an_error() -> None:
    clock = SimulatedClock(START)
    with (
        feed_saying(lambda: "<html>sorry</html>", clock) as feed,
        pytest.raises(DataError, match="RSS"),
    ):
        feed.fetch()


def test_a_story_told_again_within_a_day_counts_once() -> None:
    at = pd.Timestamp(START) + pd.to_timedelta([0, 5, 20, 40], unit="h")
    news = pd.DataFrame({"title": ["A falls", "a  FALLS!", "B rises", "A falls"], "known_at": at})
    stories = Stories()
    assert list(stories.fold(news).index) == [0, 1, 2]
    assert len(stories.fold(news[1:2])) == 0
