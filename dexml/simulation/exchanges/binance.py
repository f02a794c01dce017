"""Binance's spot market data: `/api/v3/exchangeInfo`, `/api/v3/klines`, the kline stream."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from dexml.simulation.exchanges.book import Book, Candle, number
from dexml.simulation.exchanges.channels import Channel, Message, Words
from dexml.simulation.exchanges.faults import Switchboard
from dexml.simulation.exchanges.spoiling import INSTRUMENT

__all__ = ["routes"]

DEFAULT_LIMIT, MAXIMUM_LIMIT = 500, 1_000
INTERVALS = {60: "1m", 300: "5m", 900: "15m", 3_600: "1h", 14_400: "4h", 86_400: "1d"}


def routes(book: Book, board: Switchboard) -> list[web.RouteDef]:
    """Return the routes that show `book` as Binance would."""
    names = {name.replace("/", ""): name for name in book.instruments}

    async def exchange_info(_request: web.Request) -> web.Response:
        return web.json_response(
            {"timezone": "UTC", "symbols": [_symbol(name) for name in names.values()]}
        )

    async def klines(request: web.Request) -> web.Response:
        query = request.query
        if query.get("symbol") not in names:
            return _fault(-1121, "Invalid symbol.")
        if query.get("interval") != INTERVALS.get(book.step_s):
            return _fault(-1120, "Invalid interval.")
        request[INSTRUMENT] = names[query["symbol"]]
        candles = _page(book, names[query["symbol"]], query)
        return web.json_response([_kline(candle, book.step_s) for candle in candles])

    channel = Channel("binance", book, board, _words(book, names))
    return [
        web.get("/api/v3/exchangeInfo", exchange_info),
        web.get("/api/v3/klines", klines),
        web.get("/stream/ws/{n}", channel.serve),
    ]


def _words(book: Book, names: dict[str, str]) -> Words:
    ids = {name: market for market, name in names.items()}

    def answer(said: Message) -> tuple[list[Message], list[str]]:
        if said.get("method") != "SUBSCRIBE":
            return [], []
        markets = [stream.partition("@")[0].upper() for stream in said["params"]]
        wanted = [names[market] for market in markets if market in names]
        return [{"result": None, "id": said["id"]}], wanted

    def tell(instrument: str, candle: Candle) -> list[Message]:
        return [_event(ids[instrument], candle, book)]

    return Words([], answer, tell, _damaged)


def _event(market: str, candle: Candle, book: Book) -> Message:
    opened, closed, quote = candle.opened_s * 1_000, candle.opened_s + book.step_s, candle.close
    o, h, low, c, v = (number(value) for value in candle[1:6])
    kline = {"t": opened, "T": closed * 1_000 - 1, "s": market, "i": INTERVALS[book.step_s]}
    kline |= {"f": -1, "L": -1, "o": o, "c": c, "h": h, "l": low, "v": v, "n": 0}
    kline |= {"x": candle.closed, "q": number(candle.volume * quote), "V": "0", "Q": "0", "B": "0"}
    return {"e": "kline", "E": book.now_s() * 1_000, "s": market, "k": kline}


def _damaged(message: Message, value: object) -> Message:
    kline = message["k"]
    return message | {"k": kline | {"c": kline["o"] if value is None else value}}


def _page(book: Book, instrument: str, query: Any) -> list[Candle]:
    limit = min(int(query.get("limit", DEFAULT_LIMIT)), MAXIMUM_LIMIT)
    first = -(-int(query["startTime"]) // 1_000) if "startTime" in query else None
    last = int(query["endTime"]) // 1_000 if "endTime" in query else None
    if first is None:
        return book.candles(instrument, None, last, newest=limit)
    return book.candles(instrument, first, last, oldest=limit)


def _kline(candle: Candle, step_s: int) -> list[Any]:
    quote_volume = number(candle.volume * candle.close)
    return [
        candle.opened_s * 1_000,
        *(number(value) for value in candle[1:6]),
        (candle.opened_s + step_s) * 1_000 - 1,
        quote_volume,
        0,
        "0",
        "0",
        "0",
    ]


def _symbol(instrument: str) -> dict[str, Any]:
    base, quote = instrument.split("/")
    price = {"filterType": "PRICE_FILTER", "minPrice": "0.00000001", "maxPrice": "1000000"}
    size = {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000000"}
    return {
        "symbol": base + quote,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": quote,
        "filters": [price | {"tickSize": "0.00000001"}, size | {"stepSize": "0.00001"}],
    }


def _fault(code: int, message: str) -> web.Response:
    return web.json_response({"code": code, "msg": message}, status=400)
