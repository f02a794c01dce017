"""Answers that are none: asked for again, refused by row, and never taken for no data."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from aiohttp import web

from dexml.clock import SimulatedClock
from dexml.data.feeds.exchange import ExchangeFeed
from dexml.data.http import Patience
from dexml.domain import History, Timeframe, to_datetime
from dexml.simulation.exchanges import ExchangeServers, Fault
from dexml.simulation.exchanges.server import LocalServers, stamped
from tests.dexml.data.feeds.test_exchange import HOUR, START, VENUES, faulty, feed_of
from tests.random_walk import some_bars

BINANCE_INFO = (
    '{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT",'
    '"filters":[]}]}'
)


def binance_with(klines: list[str | web.Response]) -> tuple[Callable[..., object], list[str]]:
    asked: list[str] = []

    def answer(path: str) -> str | web.Response:
        if path.endswith("exchangeInfo"):
            return BINANCE_INFO
        asked.append(path)
        return klines[min(len(asked), len(klines)) - 1]

    return answer, asked


def row(hour: int, *prices: object) -> str:
    import json

    stamp = int((START + hour * HOUR).timestamp() * 1_000)
    return json.dumps([stamp, *(prices or ("1", "3", "1", "2", "5")), 0, "0", 0, "0", "0", "0"])


GOOD = f"[{row(0)},{row(1)}]"


@pytest.mark.parametrize(
    "garbage",
    [
        "<html>down for maintenance</html>",
        "[[170406",
        "",
        "null",
        "{}",
        "[null]",
        '["a"]',
        f"[{row(0, None, '3', '1', '2', '5')}]",
    ],
)
def test_garbage_is_asked_for_again_and_never_taken_for_no_data(garbage: str) -> None:
    clock = SimulatedClock(START + timedelta(hours=1.5))
    answer, asked = binance_with([garbage, garbage, GOOD])
    with faulty(answer, clock) as url:  # type: ignore[arg-type]
        update = feed_of("binance", url, ("BTC/USDT",)).poll({})
    assert (len(asked), len(update.closed["BTC/USDT"])) == (3, 1)
    answer, asked = binance_with([garbage])
    with faulty(answer, clock) as url:  # type: ignore[arg-type]
        update = feed_of("binance", url, ("BTC/USDT",)).poll({})
    assert (len(asked), update.closed, list(update.failed)) == (3, {}, ["BTC/USDT"])


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(0, "1", "3", "-1", "2", "5"), "positive"),
        (row(0, "1", "0.5", "1", "2", "5"), "low <= open"),
        (row(0, "1", "NaN", "1", "2", "5"), "finite|five numbers"),
        (row(0).replace("1704067200000", "1704067200"), "milliseconds, not in seconds"),
        (row(0).replace("1704067200000", "1704067260000"), "whole"),
        (row(90), "future"),
    ],
)
def test_a_row_that_cannot_be_a_bar_is_refused_and_the_others_stay(bad: str, reason: str) -> None:
    import re

    answer, _ = binance_with([f"[{bad},{row(1)},{row(2)}]"])
    with faulty(answer, SimulatedClock(START + timedelta(hours=2.5))) as url:  # type: ignore[arg-type]
        update = feed_of("binance", url, ("BTC/USDT",)).poll({})
    assert [to_datetime(at) for at in update.closed["BTC/USDT"].closed_at] == [START + 2 * HOUR]
    assert re.search(reason, update.refused["BTC/USDT"][0].reason)


@pytest.mark.parametrize("venue", VENUES)
def test_a_web_page_is_not_taken_for_an_exchange_that_sells_nothing(venue: str) -> None:
    bars = {"BTC/USDT": some_bars("BTC/USDT", 10)}
    with ExchangeServers(History(bars=bars), SimulatedClock(START + 9 * HOUR)) as servers:
        servers.faults.set(Fault.PAGE, endpoint="markets")
        feed = feed_of(venue, servers.urls[venue], ("BTC/USDT",))
        assert set(feed.poll({}).failed) == {"BTC/USDT"}
        servers.faults.clear()
        assert len(feed.poll({}).closed["BTC/USDT"]) == 9


def test_retry_after_is_obeyed() -> None:
    waits: list[float] = []
    patience = Patience(sleep=waits.append, jitter=random.Random(0))
    answers = [
        web.Response(status=429, headers={"Retry-After": "7"}, text="{}"),
        GOOD,
    ]
    answer, _ = binance_with(answers)  # type: ignore[arg-type]
    with faulty(answer, SimulatedClock(START + timedelta(hours=1.5))) as url:  # type: ignore[arg-type]
        feed = ExchangeFeed("binance", url, ("BTC/USDT",), Timeframe.H1, patience=patience)
        update = feed.poll({})
    assert (len(update.closed["BTC/USDT"]), waits) == (1, [7.0])


def test_a_dripping_answer_ends_at_the_time_limit() -> None:
    import asyncio
    import time

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        for _ in range(100):
            await response.write(b" ")
            await asyncio.sleep(0.05)
        return response

    routes = [web.get("/{path:.*}", drip)]
    with LocalServers({"drip": stamped(routes, SimulatedClock(START))}) as servers:
        patience = Patience(n_tries=1)
        feed = ExchangeFeed(
            "binance", servers.urls["drip"], ("BTC/USDT",), Timeframe.H1, 0.5, patience
        )
        begun = time.monotonic()
        update = feed.poll({})
    assert "time" in update.failed["BTC/USDT"].lower()
    assert time.monotonic() - begun < 4.0  # the whole of it would take 5 s
