"""Coinbase Exchange: `/currencies`, `/products`, `/products/{id}/candles`, channel `matches`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from dexml.simulation.exchanges.book import Book, Candle, number
from dexml.simulation.exchanges.channels import Channel, Message, Words
from dexml.simulation.exchanges.faults import Switchboard
from dexml.simulation.exchanges.spoiling import INSTRUMENT
from dexml.simulation.exchanges.trades import extremes, sizes_of

__all__ = ["routes"]

PAGE = 300
TRADES = 4  # of each bar: its opening, its extremes, its close
_NOBODY = "00000000-0000-0000-0000-000000000000"


def routes(book: Book, board: Switchboard) -> list[web.RouteDef]:
    """Return the routes that show `book` as Coinbase would, every instrument quoted in USD."""
    names = {usd.replace("/", "-"): name for usd, name in book.in_usd().items()}

    async def currencies(_request: web.Request) -> web.Response:
        bases = [product.split("-")[0] for product in names]
        return web.json_response([_currency(name) for name in (*bases, "USD")])

    async def products(_request: web.Request) -> web.Response:
        return web.json_response([_product(product) for product in names])

    async def candles(request: web.Request) -> web.Response:
        if request.match_info["product"] not in names:
            return _fault("NotFound", 404)
        if int(request.query.get("granularity", "60")) != book.step_s:
            return _fault("Unsupported granularity", 400)
        first, last = (_seconds(request.query.get(name)) for name in ("start", "end"))
        if first is not None and last is not None and (last - first) // book.step_s >= PAGE:
            return _fault("granularity too small for the requested time range", 400)
        instrument = request[INSTRUMENT] = names[request.match_info["product"]]
        rows = book.candles(instrument, first, last, newest=PAGE)
        return web.json_response([_row(candle) for candle in reversed(rows)])

    channel = Channel("coinbaseexchange", book, board, _words(book, names))
    return [
        web.get("/", channel.serve),
        web.get("/currencies", currencies),
        web.get("/products", products),
        web.get("/products/{product}/candles", candles),
    ]


def _words(book: Book, names: dict[str, str]) -> Words:
    products = {name: product for product, name in names.items()}

    def answer(said: Message) -> tuple[list[Message], list[str]]:
        if said.get("type") != "subscribe":
            return [], []
        known = [product for product in said["product_ids"] if product in names]
        channels = [{"name": "matches", "product_ids": known}]
        return [{"type": "subscriptions", "channels": channels}], [names[p] for p in known]

    def tell(instrument: str, candle: Candle) -> list[Message]:
        first = book.place(instrument, candle.opened_s) * TRADES + 1
        matches = _matches(products[instrument], candle, first, book.step_s)
        return matches[1:] if candle.closed else matches[:1]

    return Words([], answer, tell, _damaged)


def _matches(product: str, candle: Candle, first: int, step_s: int) -> list[Message]:
    prices = (candle.open, *extremes(candle), candle.close)
    sizes = sizes_of(candle.volume, TRADES)
    return [
        {
            "type": "match",
            "trade_id": first + place,
            "maker_order_id": _NOBODY,
            "taker_order_id": _NOBODY,
            "side": "sell",
            "size": format(size, "f"),
            "price": number(price),
            "product_id": product,
            "sequence": first + place,
            "time": _iso(candle.opened_s + place * step_s / TRADES),
        }
        for place, (price, size) in enumerate(zip(prices, sizes, strict=True))
    ]


def _iso(instant_s: float) -> str:
    return datetime.fromtimestamp(instant_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _damaged(message: Message, value: object) -> Message:
    other = {"size": number(float(message["size"]) / 2)}
    return message | (other if value is None else {"price": value})


def _row(candle: Candle) -> list[Any]:
    return [
        candle.opened_s,
        candle.low,
        candle.high,
        candle.open,
        candle.close,
        candle.volume,
    ]


def _seconds(text: str | None) -> int | None:
    return None if text is None else int(datetime.fromisoformat(text).timestamp())


def _currency(name: str) -> dict[str, Any]:
    kind = "fiat" if name == "USD" else "crypto"
    return {
        "id": name,
        "name": name,
        "status": "online",
        "max_precision": "0.00000001",
        "details": {"type": kind},
    }


def _product(product: str) -> dict[str, Any]:
    base, quote = product.split("-")
    return {
        "id": product,
        "base_currency": base,
        "quote_currency": quote,
        "base_increment": "0.00000001",
        "quote_increment": "0.00000001",
        "status": "online",
    }


def _fault(message: str, status: int) -> web.Response:
    return web.json_response({"message": message}, status=status)
