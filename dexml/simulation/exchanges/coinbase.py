"""Coinbase Exchange: `/currencies`, `/products`, `/products/{id}/candles`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aiohttp import web

from dexml.simulation.exchanges.book import Book, Candle

__all__ = ["routes"]

PAGE = 300


def routes(book: Book) -> list[web.RouteDef]:
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
        instrument = names[request.match_info["product"]]
        rows = book.candles(instrument, first, last, newest=PAGE)
        return web.json_response([_row(candle) for candle in reversed(rows)])

    return [
        web.get("/currencies", currencies),
        web.get("/products", products),
        web.get("/products/{product}/candles", candles),
    ]


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
