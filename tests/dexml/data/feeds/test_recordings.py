"""Genuine recordings of exchanges, read as ccxt reads them and as the exchanges sum them up."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from dexml.clock import SimulatedClock
from dexml.data.feeds import hearing
from dexml.data.feeds.hearing import Said, TradeBars, Traded
from dexml.data.feeds.live import LiveFeed
from dexml.data.feeds.rows import FeedUpdate
from dexml.data.feeds.venues import VENUES
from dexml.domain import Timeframe, to_datetime
from dexml.simulation.exchanges.server import LocalServers, stamped
from tests.dexml.data.feeds.markets import nap

pytestmark = pytest.mark.shared
ROOT = Path(__file__).resolve().parents[4]
HEARD: dict[str, Callable[[Any], list[Said | Traded]]] = {
    "binance": hearing.binance,
    "kraken": hearing.kraken,
    "coinbaseexchange": hearing.coinbase,
}


@pytest.fixture
def captures(shared: Path) -> Path:
    return shared / "data" / "raw_captures"


def read(captures: Path, path: str) -> Any:
    return json.loads((captures / path).read_text())


def streamed(path: Path) -> Iterator[Any]:
    """Yield the messages of a recording: lines of `epoch: json`."""
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        _, found, text = line.partition(": ")
        if found and text.startswith("{") and "<-" not in line:
            yield json.loads(text)


class _Client:
    # where ccxt leaves what it read; nobody waits here
    url = "wss://stream.binance.com/stream/ws/0"

    def resolve(self, *_result: Any) -> None:
        return


def ccxt_rows(venue: str, messages: list[Any]) -> dict[tuple[str, int], list[float]]:
    """Return the rows that ccxt's own stream driver makes of messages."""
    import ccxt.pro

    driver = getattr(ccxt.pro, venue)()
    for message in messages:
        event = message.get("data", message) if venue == "binance" else message
        driver.handle_ohlcv(_Client(), event)
    return {
        (symbol, row[0]): list(row)
        for symbol, frames in driver.ohlcvs.items()
        for rows in frames.values()
        for row in rows
    }


@pytest.mark.parametrize(
    ("file", "n_bars"), [("BINANCE.ws.1.0.gz", 2), ("BINANCE_FUTURES.ws.1.0.gz", 5)]
)
def test_recorded_klines_of_binance_are_heard_as_ccxt_parses_them(
    captures: Path, file: str, n_bars: int
) -> None:
    messages = [m for m in streamed(captures / "cryptofeed" / file) if hearing.binance(m)]
    wanted = ccxt_rows("binance", messages)
    heard = {
        (said.market, said.row.opened_s * 1_000): said.row
        for message in messages
        for said in hearing.binance(message)
        if isinstance(said, Said)
    }
    assert len(heard) == len(wanted) >= n_bars
    for key, row in heard.items():
        assert [row.opened_s * 1_000, *row[1:]] == wanted[key]


def test_an_ohlc_message_of_kraken_is_heard_as_ccxt_parses_it(captures: Path) -> None:
    message = read(captures, "nautilus/kraken/ws_ohlc_update.json")
    (said,) = hearing.kraken(message)
    assert isinstance(said, Said)
    assert ccxt_rows("kraken", [message]) == {
        ("BTC/USD", said.row.opened_s * 1_000): [said.row.opened_s * 1_000, *said.row[1:]]
    }


def test_recorded_matches_of_coinbase_are_heard_as_ccxt_parses_them(captures: Path) -> None:
    import ccxt

    driver, n_heard = ccxt.coinbaseexchange(), 0
    for message in streamed(captures / "cryptofeed/COINBASE.ws.28.0.gz"):
        for said in hearing.coinbase(message):
            assert isinstance(said, Traded)
            trade = driver.parse_trade(message)
            assert (str(said.number), float(said.price)) == (trade["id"], trade["price"])
            assert float(said.size) == trade["amount"]
            assert round(said.at_s * 1_000_000) // 1_000 == trade["timestamp"]
            n_heard += 1
    assert n_heard > 10


def test_bars_from_recorded_trades_equal_the_exchanges_own_bars(captures: Path) -> None:
    trades = read(captures, "nautilus/kraken/http_trades.json")["result"]["XBTUSDT"]
    rows = read(captures, "nautilus/kraken/http_ohlc.json")["result"]["XBTUSDT"]
    own = {row[0]: [float(row[place]) for place in (1, 2, 3, 4, 6)] for row in rows}
    bars = TradeBars(60)
    built = {}
    for price, size, at_s, *_, number in trades:
        traded = Traded("XBTUSDT", number, at_s, Decimal(price), Decimal(size))
        built |= {said.row.opened_s: said.row for said in bars.add(traded) if said.final}
    both = built.keys() & own.keys()
    assert len(both) > 250
    assert {at: list(built[at][1:]) for at in both} == {at: own[at] for at in both}


def answered(paths: dict[str, Any], venue: str, timeframe: Timeframe, now: datetime) -> FeedUpdate:
    """Let a live feed read recorded answers, by the end of their path, over HTTP."""

    async def answer(request: web.Request) -> web.Response:
        for end, body in paths.items():
            if request.path.rstrip("/").endswith(end):
                return web.json_response(body)
        return web.Response(status=404, text="{}")

    async def ask(url: str) -> FeedUpdate:
        clock = SimulatedClock(now)
        feed = LiveFeed(venue, url, ("BTC/USDT",), timeframe, {}, clock, 5.0, None, nap)
        told = FeedUpdate.empty()
        while not told.closed:
            told = await feed.turn(0.02)
            assert told.failed == {}
        await feed.close()
        return told

    routes = [web.get("/{path:.*}", answer)]
    with LocalServers({venue: stamped(routes, SimulatedClock(now))}) as servers:
        return asyncio.run(ask(servers.urls[venue]))


def test_a_recorded_answer_of_coinbase_gives_the_row_that_ccxt_expects(captures: Path) -> None:
    recorded = read(captures, "ccxt/coinbase_bitstamp_static.json")["coinbaseexchange"][
        "fetchOHLCV"
    ]
    product = {"id": "BTC-USD", "base_currency": "BTC", "quote_currency": "USD"}
    sizes = {"base_increment": "0.00000001", "quote_increment": "0.01", "status": "online"}
    coin = {"id": "BTC", "name": "BTC", "status": "online", "max_precision": "0.00000001"}
    coin |= {"details": {"type": "crypto"}}
    paths = {"/currencies": [coin], "/products": [product | sizes]}
    now = datetime(2024, 3, 13, 13, tzinfo=UTC)
    paths["/candles"] = recorded["httpResponse"]
    bars = answered(paths, "coinbaseexchange", Timeframe.H1, now).closed["BTC/USDT"]
    (wanted,) = recorded["parsedResponse"]
    bar = bars.bar(0)
    assert [bar.open, bar.high, bar.low, bar.close, bar.volume] == wanted[1:]
    assert bar.closed_at.timestamp() * 1_000 == wanted[0] + 3_600_000


def test_a_recorded_answer_of_kraken_gives_its_720_closed_bars(captures: Path) -> None:
    ohlc = read(captures, "nautilus/kraken/http_ohlc.json")
    own = ohlc["result"]["XBTUSDT"]
    asset = {"aclass": "currency", "decimals": 10, "display_decimals": 5}
    names = {"XXBT": "XBT", "ZUSD": "USD"}
    assets = {name: asset | {"altname": short} for name, short in names.items()}
    pair = {"altname": "XBTUSD", "base": "XXBT", "quote": "ZUSD", "pair_decimals": 5}
    paths: dict[str, Any] = {
        "/Assets": {"error": [], "result": assets},
        "/AssetPairs": {
            "error": [],
            "result": {"XXBTZUSD": pair | {"lot_decimals": 8, "status": "online"}},
        },
        "/OHLC": ohlc | {"result": {"XXBTZUSD": own}},
    }
    now = datetime.fromtimestamp(own[-1][0] + 30, UTC)  # while the last is open
    bars = answered(paths, "kraken", Timeframe.M1, now).closed["BTC/USDT"]
    assert len(bars) == 720
    assert [int(to_datetime(at).timestamp()) - 60 for at in bars.closed_at] == [
        r[0] for r in own[:-1]
    ]
    for place, column in ((1, "open"), (2, "high"), (3, "low"), (4, "close"), (6, "volume")):
        assert getattr(bars, column).tolist() == [float(row[place]) for row in own[:-1]]


def test_an_exchange_added_as_the_docs_say_gives_the_row_that_ccxt_expects(
    captures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/exchanges.md").read_text(), re.S)
    monkeypatch.setattr("dexml.data.feeds.venues.VENUES", dict(VENUES))
    for block in blocks:
        exec(block, {})
    recorded = read(captures, "ccxt/coinbase_bitstamp_static.json")["bitstamp"]["fetchOHLCV"]
    market: dict[str, Any] = {
        "market_symbol": "btcusdt",
        "base_currency": "BTC",
        "counter_currency": "USDT",
    }
    market |= {"market_type": "SPOT", "trading": "Enabled", "description": "Bitcoin / Tether"}
    market |= {"name": "BTC/USDT", "url_symbol": "btcusdt", "base_decimals": 8}
    market |= {"counter_decimals": 2, "minimum_order_amount": "0.0001", "minimum_order_value": "10"}
    paths = {"/currencies": [], "/markets": [market], "/ohlc/btcusdt": recorded["httpResponse"]}
    now = datetime(2024, 3, 13, 13, tzinfo=UTC)
    bar = answered(paths, "bitstamp", Timeframe.H1, now).closed["BTC/USDT"].bar(0)
    (wanted,) = recorded["parsedResponse"]
    assert [bar.open, bar.high, bar.low, bar.close, bar.volume] == wanted[1:]
    assert bar.closed_at.timestamp() * 1_000 == wanted[0] + 3_600_000
