"""An exchange that nobody described: ccxt's own driver against a server that speaks its format."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import ccxt
import pytest
from aiohttp import web

from dexml.clock import SimulatedClock
from dexml.data.feeds.exchange import ExchangeFeed
from dexml.data.feeds.live import LiveFeed
from dexml.data.feeds.venues import Venue, venue_named
from dexml.data.http import Patience
from dexml.data.storage.store import Store
from dexml.domain import Bars, History, Timeframe, to_datetime
from dexml.errors import ConfigError
from dexml.simulation.exchanges.book import Book
from dexml.simulation.exchanges.server import LocalServers, stamped
from tests.dexml.conftest import Dexml
from tests.random_walk import some_bars

NAME = "BTC/USD"
BARS = some_bars(NAME, 1_600)
START, END = (to_datetime(BARS.closed_at[row]) for row in (0, -1))
HOUR = timedelta(hours=1)
ONCE = Patience(n_tries=1)
NO_SUCH_PAIR = {"code": "404.002", "reason": "No such pair."}


def bitstamp(bars: Bars, clock: SimulatedClock, spoil: Callable[[Any], Any]) -> web.Application:
    """Bitstamp's `/api/v2/markets/` and `/api/v2/ohlc/{pair}/`, spoilt as a test likes."""
    book = Book(History(bars={NAME: bars}), clock)

    async def markets(_request: web.Request) -> web.Response:
        market = {"name": NAME, "market_symbol": "btcusd", "market_type": "SPOT"}
        market |= {"description": "Bitcoin / U.S. dollar", "instant_and_market_orders": "Enabled"}
        market |= {"base_currency": "BTC", "counter_currency": "USD", "trading": "Enabled"}
        decimals = {"base_decimals": 8, "counter_decimals": 2, "minimum_order_value": "10"}
        return web.json_response([market | decimals])

    async def ohlc(request: web.Request) -> web.Response:
        query = request.query
        assert (request.match_info["pair"], query["step"]) == ("btcusd", "3600")
        first, last = (int(query[one]) if one in query else None for one in ("start", "end"))
        n_rows = min(int(query["limit"]), 1_000)
        rows = [
            {"timestamp": str(row.opened_s)}
            | {name: repr(getattr(row, name)) for name in ("open", "high", "low", "close")}
            | {"volume": repr(row.volume)}
            for row in book.candles(NAME, first, last, newest=n_rows)
        ]
        return web.json_response(spoil({"data": {"pair": NAME, "ohlc": rows}}))

    routes = [
        web.get("/api/v2/markets/", markets),
        web.get("/api/v2/ohlc/{pair}/", ohlc),
    ]
    return stamped(routes, clock)


def serving(
    bars: Bars = BARS, spoil: Callable[[Any], Any] = lambda answer: answer
) -> tuple[LocalServers, SimulatedClock]:
    clock = SimulatedClock(END + timedelta(minutes=1))
    return LocalServers({"bitstamp": bitstamp(bars, clock, spoil)}), clock


def test_a_backfill_from_it_stores_its_bars_and_says_that_nobody_tested_it(
    dexml: Dexml, empty: Path
) -> None:
    servers, _ = serving()
    with servers:
        arguments = ("backfill", "--exchange", "bitstamp", "--symbols", NAME)
        arguments += ("--since", (START - HOUR).isoformat(), "--until", END.isoformat())
        said = dexml(*arguments, "--url", servers.urls["bitstamp"])
        again = dexml(*arguments, "--url", servers.urls["bitstamp"], "--json").last_line()
    assert said.code == 0, said.err
    assert "bitstamp is not tested with dexml" in said.out
    assert again["untested"] == ["bitstamp"]
    (row,) = again["bars"]
    assert (row["rows"], row["stored"], row["missing"]) == (len(BARS), 0, 0)
    stored = Store(empty / ".dexml" / "store").bars("bitstamp", NAME, "1h")
    assert stored.frame().equals(BARS.frame())
    assert "not tested with dexml: bitstamp" in dexml("status").out
    (told,) = dexml("status", "--json").last_line()["data"]
    assert told["untested"] == ["bitstamp"]


def test_empty_pages_do_not_end_its_history() -> None:
    frame = BARS.frame()
    gap = Bars.from_frame(NAME, Timeframe.H1, frame.drop(frame.index[100:1_500]))
    servers, _ = serving(gap)
    with servers:
        feed = ExchangeFeed("bitstamp", servers.urls["bitstamp"], (NAME,), Timeframe.H1)
        update = feed.backfill(START - 2_000 * HOUR, END)
        feed.close()
    assert update.closed[NAME].frame().equals(gap.frame())
    assert [hole.n_bars for hole in update.holes[NAME]] == [1_999, 1_400]


def without_numbers(answer: Any) -> Any:
    answer["data"]["ohlc"] = [row | {"open": "none"} for row in answer["data"]["ohlc"]]
    return answer


@pytest.mark.parametrize("spoil", [lambda _: NO_SUCH_PAIR, lambda _: None, without_numbers])
def test_an_answer_without_rows_is_no_answer(spoil: Callable[[Any], Any]) -> None:
    servers, _ = serving(spoil=spoil)
    with servers:
        where = servers.urls["bitstamp"]
        feed = ExchangeFeed("bitstamp", where, (NAME,), Timeframe.H1, patience=ONCE)
        update = feed.backfill(START, END)
        feed.close()
    assert NAME in update.failed
    assert not update.closed


def test_it_is_followed_over_rest() -> None:
    servers, clock = serving()

    async def follow() -> list[Bars]:
        url = servers.urls["bitstamp"]
        stored = {NAME: to_datetime(BARS.closed_at[-5])}
        feed = LiveFeed("bitstamp", url, (NAME,), Timeframe.H1, stored, clock, patience=ONCE)
        found: list[Bars] = []
        for _ in range(400):
            update = await feed.turn(0.02)
            found += update.closed.values()
            if found and found[-1].closed_at[-1] == BARS.closed_at[-1]:
                break
        await feed.close()
        return found

    with servers:
        found = asyncio.run(follow())
    assert found[-1].closed_at[-1] == BARS.closed_at[-1]


def test_every_exchange_whose_bars_ccxt_reads_can_be_named_and_no_other() -> None:
    read = [name for name in ccxt.exchanges if getattr(ccxt, name)().has["fetchOHLCV"]]
    assert len(read) > 50
    for name in read:
        venue = venue_named(name)
        assert isinstance(venue, Venue)
        assert venue.page >= 100
    for name in sorted({*ccxt.exchanges} - {*read}):
        with pytest.raises(ConfigError, match="must be one of"):
            venue_named(name)


def test_a_name_that_nobody_knows_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="another that ccxt reads bars of, was 'bitstmap'") as no:
        venue_named("bitstmap")
    assert "bitstamp" in str(no.value)
    with pytest.raises(ConfigError, match="Choose one of them, or coinbaseexchange"):
        venue_named("coinbasexchange")
