"""A client that goes away is no error of the server: nothing is printed of it."""

from __future__ import annotations

import asyncio
import gc
import logging
from datetime import timedelta

import aiohttp
import pytest

from dexml.clock import SimulatedClock
from dexml.domain import History, to_datetime
from dexml.simulation.exchanges import EXCHANGES, ExchangeServers, Fault, Switchboard
from tests.random_walk import some_bars

BARS = some_bars("BTC/USDT", 50)
STREAMS = {"binance": "/stream/ws", "kraken": "/v2", "coinbaseexchange": "/"}
SUBSCRIPTION = {
    "binance": {"method": "SUBSCRIBE", "params": ["btcusdt@kline_1h"], "id": 1},
    "kraken": {
        "method": "subscribe",
        "params": {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 60},
    },
    "coinbaseexchange": {
        "type": "subscribe",
        "product_ids": ["BTC-USD"],
        "channels": ["matches"],
    },
}


async def hang_up(venue: str, url: str, clock: SimulatedClock) -> None:
    address = url.replace("http", "ws") + STREAMS[venue]
    for patience_s in (0.0, 0.001, 0.005, 0.02):
        async with aiohttp.ClientSession() as session:
            try:
                socket = await session.ws_connect(address)
                await socket.send_json(SUBSCRIPTION[venue])
                clock.advance(timedelta(hours=1))
                await asyncio.sleep(patience_s)
                socket._response.connection.transport.abort()
            except aiohttp.ClientError:
                continue
    for _ in range(3):
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"GET /products/BTC-USD/candles HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        writer.transport.abort()
    async with aiohttp.ClientSession() as session:
        for path in ("/products", "/0/public/AssetPairs", "/api/v3/exchangeInfo"):
            try:
                await (await session.get(url + path)).read()
            except aiohttp.ClientError:
                continue


@pytest.mark.parametrize("venue", EXCHANGES)
@pytest.mark.parametrize("fault", [None, Fault.RESET, Fault.DROP])
def test_a_client_that_hangs_up_leaves_no_traceback(
    venue: str,
    fault: Fault | None,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    clock, faults = SimulatedClock(to_datetime(BARS.closed_at[20])), Switchboard()
    if fault is not None:
        faults.set(fault)
    with (
        caplog.at_level(logging.WARNING),
        ExchangeServers(History(bars={"BTC/USDT": BARS}), clock, faults) as servers,
    ):
        for _ in range(5):
            asyncio.run(hang_up(venue, servers.urls[venue], clock))
    gc.collect()  # tasks whose errors nobody heard of speak as they go
    told = [(one.name, one.getMessage(), one.exc_info) for one in caplog.records]
    assert told == []
    assert "Traceback" not in capfd.readouterr().err
