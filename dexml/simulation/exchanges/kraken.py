"""Kraken's public market data: `/0/public/{Assets,AssetPairs,OHLC}`."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from dexml.simulation.exchanges.book import Book, Candle, number

__all__ = ["routes"]

KEPT = 720  # closed bars; the open one comes on top
OLD_NAMES = {"BTC": "XXBT", "ETH": "XETH", "XRP": "XXRP", "LTC": "XLTC", "DOGE": "XXDG"}
SHORT_NAMES = {"BTC": "XBT", "DOGE": "XDG"}


def routes(book: Book) -> list[web.RouteDef]:
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
        return _ohlc(book, pair, pairs[pair], first)

    return [
        web.get("/0/public/Assets", assets),
        web.get("/0/public/AssetPairs", asset_pairs),
        web.get("/0/public/OHLC", ohlc),
    ]


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
