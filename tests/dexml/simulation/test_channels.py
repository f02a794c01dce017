"""The streams of the local exchanges: wire formats, and what the switchboard does to them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from dexml.clock import SimulatedClock
from dexml.domain import Bars, History, Timeframe
from dexml.simulation.exchanges import ExchangeServers, Fault
from tests.random_walk import some_bars

START = datetime(2024, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NAMES = ("BTC/USDT", "ETH/USDT")
KLINES = {"method": "SUBSCRIBE", "params": ["btcusdt@kline_1m", "ethusdt@kline_1m"], "id": 7}
OHLC = {
    "method": "subscribe",
    "params": {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 1},
    "req_id": 3,
}
MATCHES = {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["matches"]}

Talk = Callable[[aiohttp.ClientWebSocketResponse], Awaitable[Any]]


@pytest.fixture
def bars() -> dict[str, Bars]:
    return {name: some_bars(name, 100, seed, Timeframe.M1) for seed, name in enumerate(NAMES)}


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START + 10.5 * MINUTE)


@pytest.fixture
def servers(bars: dict[str, Bars], clock: SimulatedClock) -> Iterator[ExchangeServers]:
    with ExchangeServers(History(bars=bars), clock) as running:
        yield running


def on_stream(url: str, talk: Talk) -> Any:
    async def connect() -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, autoping=True, max_msg_size=64 << 20) as socket,
        ):
            return await talk(socket)

    return asyncio.run(connect())


async def hear(socket: aiohttp.ClientWebSocketResponse, n_messages: int) -> list[Any]:
    return [json.loads((await socket.receive(5.0)).data) for _ in range(n_messages)]


def seconds(minute: int) -> int:
    return int((START + minute * MINUTE).timestamp())


def test_binance_tells_the_open_bar_and_then_that_it_closed(
    servers: ExchangeServers, bars: dict[str, Bars], clock: SimulatedClock
) -> None:
    async def talk(socket: aiohttp.ClientWebSocketResponse) -> None:
        await socket.send_json(KLINES)
        acknowledged, *first = await hear(socket, 3)
        assert acknowledged == {"result": None, "id": 7}
        assert {event["s"] for event in first} == {"BTCUSDT", "ETHUSDT"}
        assert not any(event["k"]["x"] for event in first)
        clock.advance(2 * MINUTE)  # bars 10 and 11 close, bar 12 opens
        events = [e["k"] for e in await hear(socket, 8) if e["s"] == "BTCUSDT"]
        told = [(kline["t"] // 1_000, kline["x"]) for kline in events]
        eleven, twelve = (seconds(minute) for minute in (11, 12))
        assert told == [(seconds(10), True), (eleven, False), (eleven, True), (twelve, False)]
        bar = bars["BTC/USDT"].bar(11)
        numbers = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        assert [events[2][name] for name in "ohlcv"] == [repr(number) for number in numbers]

    on_stream(servers.urls["binance"] + "/stream/ws/0", talk)


def test_kraken_tells_bars_as_numbers_without_a_closed_flag_and_answers_pings(
    servers: ExchangeServers, bars: dict[str, Bars], clock: SimulatedClock
) -> None:
    async def talk(socket: aiohttp.ClientWebSocketResponse) -> None:
        await socket.send_json({"method": "ping"})
        status, pong = await hear(socket, 2)
        assert (status["channel"], pong["method"]) == ("status", "pong")
        await socket.send_json(OHLC)
        acknowledged, _ = await hear(socket, 2)
        assert (acknowledged["success"], acknowledged["req_id"]) == (True, 3)
        clock.advance(MINUTE)
        closed, opened = [message["data"][0] for message in await hear(socket, 2)]
        assert closed["close"] == bars["BTC/USDT"].close[10]
        assert closed["interval_begin"] == "2024-01-01T00:10:00.000000000Z"
        assert (opened["volume"], "closed" in closed) == (0.0, False)

    on_stream(servers.urls["kraken"] + "/v2", talk)


def test_coinbase_tells_trades_that_add_up_to_the_bar(
    servers: ExchangeServers, bars: dict[str, Bars], clock: SimulatedClock
) -> None:
    async def talk(socket: aiohttp.ClientWebSocketResponse) -> None:
        await socket.send_json(MATCHES)
        subscribed, opening = await hear(socket, 2)
        assert subscribed["type"] == "subscriptions"
        clock.advance(MINUTE)
        trades = [opening, *await hear(socket, 3)]
        prices = [float(trade["price"]) for trade in trades]
        bar = bars["BTC/USDT"].bar(10)
        assert (prices[0], max(prices), min(prices), prices[-1]) == (
            bar.open,
            bar.high,
            bar.low,
            bar.close,
        )
        assert float(sum(Decimal(trade["size"]) for trade in trades)) == bar.volume
        assert [trade["trade_id"] for trade in trades] == [41, 42, 43, 44]
        assert trades[0]["time"] == "2024-01-01T00:10:00.000000Z"

    on_stream(servers.urls["coinbaseexchange"] + "/", talk)


def heard_under(
    fault: Fault, servers: ExchangeServers, clock: SimulatedClock, n_messages: int, n_bars: int = 1
) -> list[str]:
    """Return what Binance's stream says of one instrument as bars close under a fault."""

    async def talk(socket: aiohttp.ClientWebSocketResponse) -> list[str]:
        await socket.send_json(KLINES | {"params": KLINES["params"][:1]})  # type: ignore[index]
        await hear(socket, 2)
        servers.faults.set(fault, venue="binance", endpoint="stream", instrument="BTC/USDT")
        for _ in range(n_bars):
            clock.advance(MINUTE)
            await asyncio.sleep(0.05)
        return [(await socket.receive(5.0)).data for _ in range(n_messages)]

    said: list[str] = on_stream(servers.urls["binance"] + "/stream/ws/0", talk)
    return said


def closing(text: str) -> tuple[int, bool]:
    kline = json.loads(text)["k"]
    return kline["t"] // 1_000, kline["x"]


@pytest.mark.parametrize("fault", [Fault.DUPLICATE, Fault.REVISED])
def test_a_bar_is_told_twice_and_the_first_may_be_wrong(
    fault: Fault, servers: ExchangeServers, clock: SimulatedClock
) -> None:
    heard = heard_under(fault, servers, clock, 4)
    ten, eleven = seconds(10), seconds(11)
    assert [closing(text) for text in heard] == [(ten, True)] * 2 + [(eleven, False)] * 2
    closes = [json.loads(text)["k"]["c"] for text in heard[:2]]
    assert (closes[0] == closes[1]) == (fault is Fault.DUPLICATE)


def test_a_frozen_stream_says_its_last_words_again(
    servers: ExchangeServers, clock: SimulatedClock
) -> None:
    heard = heard_under(Fault.FROZEN, servers, clock, 4, n_bars=2)
    assert [closing(text) for text in heard] == [(seconds(10), False)] * 4


@pytest.mark.parametrize(("fault", "lag"), [(Fault.DISORDER, 1), (Fault.LATE, 3)])
def test_a_message_is_overtaken_by_those_after_it(
    fault: Fault, lag: int, servers: ExchangeServers, clock: SimulatedClock
) -> None:
    async def talk(socket: aiohttp.ClientWebSocketResponse) -> list[tuple[int, bool]]:
        await socket.send_json(KLINES | {"params": ["btcusdt@kline_1m"]})
        await hear(socket, 2)
        servers.faults.set(fault, endpoint="stream", times=1)
        clock.advance(2 * MINUTE)
        kept = [(await socket.receive(5.0)).data for _ in range(4)]
        return [closing(text) for text in kept]

    ten, eleven, twelve = ((seconds(minute)) for minute in (10, 11, 12))
    others = [(eleven, False), (eleven, True), (twelve, False)]
    told = on_stream(servers.urls["binance"] + "/stream/ws/0", talk)
    assert told == [*others[:lag], (ten, True), *others[lag:]]


def test_damaged_and_cut_messages(servers: ExchangeServers, clock: SimulatedClock) -> None:
    assert json.loads(heard_under(Fault.NAN, servers, clock, 1)[0])["k"]["c"] == "NaN"
    servers.faults.clear()
    types = heard_under(Fault.WRONG_TYPES, servers, clock, 1)
    assert json.loads(types[0])["k"]["c"] == {"price": []}
    servers.faults.clear()
    with pytest.raises(json.JSONDecodeError):
        json.loads(heard_under(Fault.CUT, servers, clock, 1)[0])
    servers.faults.clear()
    assert heard_under(Fault.PAGE, servers, clock, 1)[0].startswith("<html>")
    servers.faults.clear()
    assert len(heard_under(Fault.BOMB, servers, clock, 1)[0]) > 10 << 20


def test_a_dropped_stream_ends_and_a_refused_one_never_begins(
    servers: ExchangeServers, clock: SimulatedClock
) -> None:
    for fault in (Fault.DROP, Fault.RESET):
        assert not isinstance(heard_under(fault, servers, clock, 1)[0], str)
        servers.faults.clear()
    servers.faults.set(Fault.TOO_MANY, endpoint="dial")
    with pytest.raises(aiohttp.WSServerHandshakeError, match="429"):
        heard_under(Fault.DROP, servers, clock, 1)
