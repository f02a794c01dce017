"""Streams that say anything: the feed neither falls, nor grows, nor goes deaf."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psutil
import pytest
from aiohttp import WSMsgType, web

from dexml.clock import SimulatedClock
from dexml.data.feeds.live import LiveFeed
from dexml.domain import History, Timeframe
from dexml.simulation.exchanges import EXCHANGES, Switchboard
from dexml.simulation.exchanges.book import Book
from dexml.simulation.exchanges.server import LocalServers, stamped
from tests.dexml.data.feeds.markets import MINUTE, NAMES, START, VENUES, market, nap

NOW = START + 20 * MINUTE + timedelta(seconds=8)
OPENED_S = int((START + 20 * MINUTE).timestamp())
JUNK = (None, float("nan"), 1e308 * 10, -1, 2**70, "", "x", "NaN", "9" * 60, [], {}, True, [[]])


def kline(price: str) -> Any:
    bar = {"t": OPENED_S * 1_000, "T": 0, "s": "BTCUSDT", "i": "1m", "x": True, "v": "2"}
    return {"e": "kline", "E": 1, "s": "BTCUSDT", "k": bar | dict.fromkeys("ohlc", price)}


def ohlc(price: str) -> Any:
    bar = {"symbol": "BTC/USD", "interval": 1, "interval_begin": "2024-01-01T00:20:00.000000000Z"}
    names = ("open", "high", "low", "close", "volume")
    bar |= dict.fromkeys(names, float(price))  # type: ignore[arg-type]
    return {"channel": "ohlc", "type": "update", "data": [bar]}


def match(price: str) -> Any:
    number = 1 if price == "100" else 2
    trade = {"type": "match", "trade_id": number, "side": "sell", "size": "1", "price": price}
    return trade | {"product_id": "BTC-USD", "time": "2024-01-01T00:20:01.000000Z"}


MESSAGES = {"binance": kline, "kraken": ohlc, "coinbaseexchange": match}
PATHS = {"binance": "/stream/ws/{n}", "kraken": "/v2", "coinbaseexchange": "/"}


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a tree of dicts and lists: what holds it, and its key."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(items):
        yield tree, key
        if isinstance(value, dict | list):
            yield from places(value)


def garbled(message: Callable[[str], Any], dice: random.Random) -> str | bytes:
    good = message("100")
    text = json.dumps(good)
    kind = dice.randrange(7)
    if kind == 0:
        return text[: dice.randrange(len(text))]
    if kind == 1:
        at = dice.randrange(len(text))
        return text[:at] + dice.choice('{}[]",:0x\\') + text[at + 1 :]
    if kind == 2:
        return bytes(dice.randrange(256) for _ in range(40))
    if kind == 3:
        return "[" * dice.choice((1, 50, 5_000))
    if kind == 4:
        return json.dumps(dice.choice(JUNK))
    holder, key = dice.choice(list(places(good)))
    if kind == 5 and isinstance(holder, dict):
        del holder[key]
    else:
        holder[key] = dice.choice(JUNK)
    return json.dumps(good)


def babbling(venue: str, clock: SimulatedClock, n_messages: int) -> web.Application:
    """Make an exchange whose answers are sound and whose stream is not, but for its last words."""
    sent = MESSAGES[venue]

    async def babble(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        while (await socket.receive()).type is not WSMsgType.TEXT:
            pass
        dice = random.Random(7)
        for _ in range(n_messages):
            said = garbled(sent, dice)
            await (socket.send_str if isinstance(said, str) else socket.send_bytes)(said)
        await socket.send_str(json.dumps(sent("123.5")))
        async for _ in socket:
            pass
        return socket

    book = Book(History(bars=market(30)), clock)
    sound = [route for route in EXCHANGES[venue](book, Switchboard()) if route.path != PATHS[venue]]
    return stamped([*sound, web.get(PATHS[venue], babble)], clock)


async def listen(feed: LiveFeed, limit_s: float) -> tuple[float, float]:
    """Take turns until the last words are heard; return the price, and how memory grew (MB)."""
    process = psutil.Process()
    await feed.turn(0.01)
    before = peak = process.memory_info().rss
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    price = 0.0
    while price != 123.5 and loop.time() < deadline:
        update = await feed.turn(0.05)
        price = update.prices.get("BTC/USDT", 0.0)
        peak = max(peak, process.memory_info().rss)
    assert feed.n_restarts == 0
    assert feed.n_garbled > 0
    await feed.close()
    return price, (peak - before) / 2**20


def check_garbage(venue: str, n_messages: int) -> None:
    clock = SimulatedClock(NOW)
    with LocalServers({venue: babbling(venue, clock, n_messages)}) as servers:
        stored = dict.fromkeys(NAMES, START + 20 * MINUTE)
        feed = LiveFeed(venue, servers.urls[venue], NAMES, Timeframe.M1, stored, clock, pause=nap)
        price, grown_mb = asyncio.run(listen(feed, 20 + n_messages / 500))
    assert price == 123.5
    assert grown_mb < 100


@pytest.mark.parametrize("venue", VENUES)
def test_ten_thousand_malformed_messages_change_nothing(venue: str) -> None:
    check_garbage(venue, 10_000)


@pytest.mark.soak
@pytest.mark.parametrize("venue", VENUES)
def test_a_hundred_thousand_malformed_messages_change_nothing(venue: str) -> None:
    check_garbage(venue, 100_000)
