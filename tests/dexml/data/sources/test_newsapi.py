from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from aiohttp import web

from dexml.clock import SimulatedClock
from dexml.data.http import NotAnswered, Patience
from dexml.data.sources.newsapi import ApiKey, NewsApiFeed
from dexml.errors import DataError
from dexml.simulation.exchanges.server import LocalServers, stamped

START = datetime(2024, 1, 10, tzinfo=UTC)
KEY = "0123456789abcdef0123456789abcdef"
HASTY = Patience(sleep=lambda _s: None, jitter=random.Random(0))


def article(number: int, **changes: Any) -> dict[str, Any]:
    at = START - timedelta(hours=1, minutes=number)
    return {
        "source": {"id": None, "name": "The Wire"},
        "author": None,
        "title": f"Bitcoin tells story number {number}",
        "description": "",
        "url": f"http://127.0.0.1/{number}",
        "publishedAt": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "content": "",
    } | changes


class Wire:
    """NewsAPI's `/v2/everything`: pages, keys, plans, and the errors it answers with."""

    def __init__(self, articles: list[dict[str, Any]], shown: int = 10_000) -> None:
        self.articles, self.shown = articles, shown
        self.asked: list[dict[str, str]] = []
        self.answers: list[web.Response] = []  # given before anything else

    async def everything(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        if self.answers:
            return self.answers.pop(0)
        if request.headers.get("X-Api-Key", request.headers.get("Authorization")) != KEY:
            return refusal(401, "apiKeyInvalid")
        page, size = int(request.query["page"]), int(request.query["pageSize"])
        first = (page - 1) * size
        if first >= self.shown:
            return refusal(426, "maximumResultsReached")
        found = self.articles[first : first + size]
        body = {"status": "ok", "totalResults": len(self.articles), "articles": found}
        return web.json_response(body)


def refusal(status: int, code: str, **headers: str) -> web.Response:
    body = {"status": "error", "code": code, "message": f"{code}: {KEY}"}
    return web.json_response(body, status=status, headers=headers)


@contextmanager
def feed_on(
    wire: Wire, clock: SimulatedClock | None = None, **options: Any
) -> Iterator[NewsApiFeed]:
    routes = [web.get("/v2/everything", wire.everything)]
    with LocalServers({"newsapi": stamped(routes, clock or SimulatedClock(START))}) as servers:
        options = {"patience": HASTY, "key": ApiKey(KEY)} | options
        yield NewsApiFeed(
            instruments=("BTC/USDT", "ETH/USDT"), url=servers.urls["newsapi"], **options
        )


def test_all_pages_are_read_and_the_newest_is_asked_for_first() -> None:
    wire = Wire([article(number) for number in range(250)])
    with feed_on(wire) as feed:
        update = feed.fetch()
    assert [asked["page"] for asked in wire.asked] == ["1", "2", "3"]
    assert {asked["sortBy"] for asked in wire.asked} == {"publishedAt"}
    assert (len(update.news), update.n_refused, update.truncated) == (250, 0, False)
    assert update.news["known_at"].is_monotonic_increasing
    assert set(update.news["instruments"]) == {"BTC/USDT"}
    assert set(update.news["source"]) == {"The Wire"}


def test_publication_first_sight_and_first_use_are_kept_apart() -> None:
    clock = SimulatedClock(START)
    wire = Wire([article(0)])
    with feed_on(wire, clock) as feed:
        first = feed.fetch().news.iloc[0]
        clock.advance(timedelta(hours=5))
        later = feed.fetch(START).news.iloc[0]
    published = pd.Timestamp(START) - pd.Timedelta("1h")
    assert (first["published_at"], first["fetched_at"]) == (published, pd.Timestamp(START))
    assert first["known_at"] == published + pd.Timedelta("10min")
    assert later["known_at"] == later["fetched_at"] == pd.Timestamp(clock.now())
    assert wire.asked[1]["from"] == "2024-01-09T23:59:00"


def test_a_plan_that_shows_no_more_pages_gives_those_it_showed() -> None:
    wire = Wire([article(number) for number in range(250)], shown=100)
    with feed_on(wire) as feed:
        update = feed.fetch()
    assert (len(update.news), update.truncated) == (100, True)


@pytest.mark.parametrize(
    ("status", "code", "fix"),
    [
        (401, "apiKeyInvalid", "Check the key"),
        (403, "apiKeyDisabled", "Check the key"),
        (426, "parameterInvalid", "shows no more"),
        (400, "parametersMissing", "Correct the query"),
    ],
)
def test_a_refusal_is_final_and_shows_no_key(status: int, code: str, fix: str) -> None:
    wire = Wire([])
    wire.answers = [refusal(status, code)]
    with feed_on(wire) as feed, pytest.raises(DataError, match=fix) as caught:
        feed.fetch()
    assert len(wire.asked) == 1
    assert not isinstance(caught.value, NotAnswered)
    assert KEY not in str(caught.value) + repr(caught.value) + repr(vars(feed))
    assert caught.value.__cause__ is None


def test_too_many_requests_wait_as_long_as_asked() -> None:
    slept: list[float] = []
    patience = Patience(sleep=slept.append, jitter=random.Random(0))
    wire = Wire([article(0)])
    wire.answers = [refusal(429, "rateLimited", **{"Retry-After": "7"})]
    with feed_on(wire, patience=patience) as feed:
        assert len(feed.fetch().news) == 1
    assert slept == [7.0]


@pytest.mark.parametrize(
    "answer",
    [
        (200, "<html>sorry</html>"),
        (200, '{"status":"ok","articles":['),
        (200, "null"),
        (200, '{"status":"ok"}'),
        (200, '{"status":"ok","totalResults":"many","articles":[]}'),
        (502, "<html>bad gateway</html>"),
        (500, '{"status":"error","code":"unexpectedError","message":"x"}'),
    ],
)
def test_garbage_and_faults_of_the_server_are_asked_again(answer: tuple[int, str]) -> None:
    status, text = answer
    wire = Wire([article(0)])
    wire.answers = [web.Response(status=status, text=text) for _ in range(2)]
    with feed_on(wire) as feed:
        assert len(feed.fetch().news) == 1
    wire.answers = [web.Response(status=status, text=text) for _ in range(3)]
    with feed_on(wire) as feed, pytest.raises(NotAnswered):
        feed.fetch()


def test_articles_that_are_no_headlines_are_refused() -> None:
    tomorrow = (START + timedelta(days=1)).isoformat()
    broken: list[Any] = [
        article(1, title=None),
        article(2, title="[Removed]"),
        article(3, publishedAt="soon"),
        article(4, publishedAt=tomorrow),
        article(5, publishedAt=None),
        None,
        "text",
        article(6, source=None),
    ]
    wire = Wire(json.loads(json.dumps(broken)))
    with feed_on(wire) as feed:
        update = feed.fetch()
    assert update.n_refused == 7
    assert list(update.news["source"]) == ["NewsAPI"]
