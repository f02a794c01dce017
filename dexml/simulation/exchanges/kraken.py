"""Kraken's `/0/public/{Assets,AssetPairs,OHLC,Trades}`, and `ohlc` of stream v2."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from aiohttp import web

from dexml.simulation.exchanges.book import Book, Candle, number
from dexml.simulation.exchanges.channels import Channel, Message, Words
from dexml.simulation.exchanges.faults import Switchboard
from dexml.simulation.exchanges.spoiling import INSTRUMENT, TRADES
from dexml.simulation.exchanges.trades import NS, newest_ticks, ticks_after

__all__ = ["routes"]

KEPT = 720  # closed bars; the open one comes on top
PAGE_OF_TRADES = 1_000
OLD_NAMES = {"BTC": "XXBT", "ETH": "XETH", "XRP": "XXRP", "LTC": "XLTC", "DOGE": "XXDG"}
SHORT_NAMES = {"BTC": "XBT", "DOGE": "XDG"}


def routes(book: Book, board: Switchboard) -> list[web.RouteDef]:
    """Return the routes that show `book` as Kraken would, every instrument quoted in USD."""
    pairs = {_pair(usd): name for usd, name in book.in_usd().items()}
    alternatives = {_alternative(usd): _pair(usd) for usd in book.in_usd()}

    async def assets(_request: web.Request) -> web.Response:
        bases = [usd.split("/")[0] for usd in book.in_usd()]
        return _result({_asset_id(base): _asset(base) for base in (*bases, "USD")})

    async def asset_pairs(_request: web.Request) -> web.Response:
        return _result({_pair(usd): _asset_pair(usd) for usd in book.in_usd()})

    async def ohlc(request: web.Request) -> web.Response:
        asked = request.query.get("pair", "")
        pair = alternatives.get(asked, asked)
        if pair not in pairs:
            return _fault("EQuery:Unknown asset pair")
        if int(request.query.get("interval", "1")) * 60 != book.step_s:
            return _fault("EGeneral:Invalid arguments")
        first = int(request.query["since"]) + 1 if "since" in request.query else None
        request[INSTRUMENT] = pairs[pair]
        return _ohlc(book, pair, pairs[pair], first)

    async def trades(request: web.Request) -> web.Response:
        asked = request.query.get("pair", "")
        pair = alternatives.get(asked, asked)
        if pair not in pairs:
            return _fault("EQuery:Unknown asset pair")
        request[INSTRUMENT], request[TRADES] = pairs[pair], True
        return _trades(book, pair, pairs[pair], request.query)

    channel = Channel("kraken", book, board, _words(book))
    return [
        web.get("/0/public/Assets", assets),
        web.get("/0/public/AssetPairs", asset_pairs),
        web.get("/0/public/OHLC", ohlc),
        web.get("/0/public/Trades", trades),
        web.get("/v2", channel.serve),
    ]


def _words(book: Book) -> Words:
    names = book.in_usd()
    symbols = {name: usd for usd, name in names.items()}

    def answer(said: Message) -> tuple[list[Message], list[str]]:
        asked = said.get("req_id")
        if said.get("method") == "ping":
            return [{"method": "pong", "req_id": asked}], []
        if said.get("method") != "subscribe":
            return [], []
        known = [symbol for symbol in said["params"]["symbol"] if symbol in names]
        return [_subscribed(symbol, book, asked) for symbol in known], [names[s] for s in known]

    def tell(instrument: str, candle: Candle) -> list[Message]:
        row = _streamed(symbols[instrument], candle, book.step_s)
        return [
            {"channel": "ohlc", "type": "update", "timestamp": _iso(book.now_s()), "data": [row]}
        ]

    status = {"system": "online", "api_version": "v2", "version": "2.0.0", "connection_id": 1}
    return Words(
        [{"channel": "status", "type": "update", "data": [status]}], answer, tell, _damaged
    )


def _subscribed(symbol: str, book: Book, asked: object) -> Message:
    result = {"channel": "ohlc", "interval": book.step_s // 60, "snapshot": True, "symbol": symbol}
    return {"method": "subscribe", "result": result, "success": True, "req_id": asked}


def _streamed(symbol: str, candle: Candle, step_s: int) -> Message:
    names = ("open", "high", "low", "close", "volume")
    return {
        "symbol": symbol,
        **dict(zip(names, candle[1:6], strict=True)),
        "trades": 0,
        "vwap": candle.close,
        "interval_begin": _iso(candle.opened_s),
        "interval": step_s // 60,
        "timestamp": _iso(candle.opened_s + step_s),
    }


def _iso(instant_s: int) -> str:
    return datetime.fromtimestamp(instant_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000000Z")


def _damaged(message: Message, value: object) -> Message:
    row = message["data"][0]
    return message | {"data": [row | {"close": row["open"] if value is None else value}]}


def _ohlc(book: Book, pair: str, instrument: str, first_s: int | None) -> web.Response:
    kept = book.candles(instrument, newest=KEPT + 1)
    if kept and kept[-1].closed:
        kept = kept[-KEPT:]
    closed = [candle for candle in kept if candle.closed]
    rows = [_row(candle) for candle in kept if first_s is None or candle.opened_s >= first_s]
    return _result({pair: rows, "last": closed[-1].opened_s if closed else 0})


def _row(candle: Candle) -> list[Any]:
    o, h, low, c, v = (number(value) for value in candle[1:6])
    return [candle.opened_s, o, h, low, c, c, v, 0]


def _trades(book: Book, pair: str, instrument: str, query: Mapping[str, str]) -> web.Response:
    count, since = int(query.get("count", PAGE_OF_TRADES)), query.get("since")
    if not 1 <= count <= PAGE_OF_TRADES:
        return _fault("EGeneral:Invalid arguments")
    if since is None:
        ticks = newest_ticks(book, instrument, count)
    else:  # ten digits are seconds
        since_ns = int(since) * (NS if len(since) < len(str(NS)) + 1 else 1)
        ticks = list(islice(ticks_after(book, instrument, since_ns), count))
    rows = [
        [
            tick.price,
            tick.size,
            tick.at_ns / NS,
            "b" if tick.number % 2 else "s",
            "l",
            "",
            tick.number,
        ]
        for tick in ticks
    ]
    return _result({pair: rows, "last": str(ticks[-1].at_ns) if ticks else since or "0"})


def _asset_id(base: str) -> str:
    return "ZUSD" if base == "USD" else OLD_NAMES.get(base, base)


def _asset(base: str) -> dict[str, Any]:
    return {
        "aclass": "currency",
        "altname": SHORT_NAMES.get(base, base),
        "decimals": 10,
        "display_decimals": 5,
        "status": "enabled",
    }


def _alternative(usd: str) -> str:
    base = usd.split("/")[0]
    return SHORT_NAMES.get(base, base) + "USD"


def _pair(usd: str) -> str:
    base = usd.split("/")[0]
    old = OLD_NAMES.get(base)
    return f"{old}ZUSD" if old and base != "DOGE" else _alternative(usd)


def _asset_pair(usd: str) -> dict[str, Any]:
    base = usd.split("/")[0]
    return {
        "altname": _alternative(usd),
        "wsname": f"{SHORT_NAMES.get(base, base)}/USD",
        "base": _asset_id(base),
        "quote": "ZUSD",
        "pair_decimals": 5,
        "lot_decimals": 8,
        "status": "online",
    }


def _result(result: dict[str, Any]) -> web.Response:
    return web.json_response({"error": [], "result": result})


def _fault(text: str) -> web.Response:
    return web.json_response({"error": [text]})
