"""A server that speaks the wire format of Yahoo's chart service, as far as yfinance asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd
from aiohttp import web


class YahooWire:
    """Daily closes by symbol; what is asked for beyond them is answered as Yahoo does.

    Attributes
    ----------
    closes : mapping of symbol to Series
        Index: midnight of the day in the exchange's zone.
    answers : list of responses
        Given to chart requests before anything else.
    """

    def __init__(self, closes: Mapping[str, pd.Series[float]]) -> None:
        self.closes = dict(closes)
        self.answers: list[web.Response] = []
        self.asked: list[str] = []

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v8/finance/chart/{symbol}", self._chart),
            web.get("/v1/test/getcrumb", self._crumb),
            web.get("/{rest:.*}", self._cookie),
        ]

    async def _cookie(self, _request: web.Request) -> web.Response:
        return web.Response(text="", headers={"Set-Cookie": "A3=none"})

    async def _crumb(self, _request: web.Request) -> web.Response:
        return web.Response(text="crumb")

    async def _chart(self, request: web.Request) -> web.Response:
        symbol = request.match_info["symbol"]
        self.asked.append(f"{symbol} {request.query_string}")
        if self.answers:
            return self.answers.pop(0)
        if symbol not in self.closes:
            error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
            return web.json_response({"chart": {"result": None, "error": error}}, status=404)
        first, last = (int(request.query.get(name, end)) for name, end in _RANGE.items())
        rows = self.closes[symbol]
        stamps = rows.index.map(datetime.timestamp).astype("int64")
        kept = rows[(stamps >= first) & (stamps <= last)]
        return web.json_response({"chart": {"result": [_result(symbol, kept)], "error": None}})


_RANGE = {"period1": "0", "period2": "99999999999"}


def _result(symbol: str, rows: pd.Series[float]) -> dict[str, Any]:
    stamps = [int(at.timestamp()) for at in rows.index]
    values = [None if pd.isna(value) else float(value) for value in rows]
    session = {"timezone": "EST", "start": 0, "end": 0, "gmtoffset": -18_000}
    meta = {
        "currency": "USD",
        "symbol": symbol,
        "exchangeName": "CBO",
        "instrumentType": "INDEX",
        "firstTradeDate": stamps[0] if stamps else 0,
        "regularMarketTime": stamps[-1] if stamps else 0,
        "gmtoffset": -18_000,
        "timezone": "EST",
        "exchangeTimezoneName": "America/New_York",
        "regularMarketPrice": values[-1] if values else 0.0,
        "priceHint": 2,
        "currentTradingPeriod": {name: session for name in ("pre", "regular", "post")},
        "dataGranularity": "1d",
        "range": "",
        "validRanges": ["1d", "max"],
    }
    quote = {name: values for name in ("open", "high", "low", "close")}
    quote["volume"] = [0 for _ in values]
    indicators = {"quote": [quote], "adjclose": [{"adjclose": values}]}
    return {"meta": meta, "timestamp": stamps, "indicators": indicators}
