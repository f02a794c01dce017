"""News as RSS 2.0, the Fear & Greed index as alternative.me gives it, other series as CSV."""

from __future__ import annotations

import json
from collections.abc import Hashable
from email.utils import format_datetime
from typing import Any
from xml.sax.saxutils import escape

import pandas as pd
from aiohttp import web

from dexml.clock import Clock
from dexml.domain import History

__all__ = ["macro_routes", "news_routes"]

FEAR_GREED = "fear_greed"
HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel>'
    "<title>News</title><link>http://127.0.0.1/</link><description>Headlines</description>\n"
)


def news_routes(history: History, clock: Clock) -> list[web.RouteDef]:
    """Return `/news.rss?since=ISO`: headlines known now and not yet at `since`, newest first."""
    news = history.news.sort_values("known_at", kind="stable")

    async def feed(request: web.Request) -> web.Response:
        known = news[news["known_at"] <= pd.Timestamp(clock.now())]
        if "since" in request.query:
            known = known[known["known_at"] > pd.Timestamp(request.query["since"])]
        items = "".join(_item(key, row) for key, row in known[::-1].to_dict("index").items())
        text = f"{HEAD}{items}</channel></rss>\n"
        return web.Response(text=text, content_type="application/rss+xml")

    return [web.get("/news.rss", feed)]


def _item(key: Hashable, row: dict[Hashable, Any]) -> str:
    categories = "".join(f"<category>{escape(c)}</category>" for c in row["instruments"].split())
    return (
        f"<item><title>{escape(row['title'])}</title><guid isPermaLink='false'>{key}</guid>"
        f"<pubDate>{format_datetime(row['published_at'].to_pydatetime())}</pubDate>"
        f"<dc:date>{row['known_at'].isoformat()}</dc:date>"
        f"<source url='http://127.0.0.1/'>{escape(row['source'])}</source>{categories}</item>\n"
    )


def macro_routes(history: History, clock: Clock) -> list[web.RouteDef]:
    """Return `/fng/?limit=` (JSON, newest first) and `/macro/{series}.csv` (oldest first)."""
    series = {
        str(name): rows.sort_values("known_at", kind="stable")
        for name, rows in history.macro.groupby("series", sort=True)
    }

    def known(name: str) -> pd.DataFrame:
        rows = series.get(name, history.macro.iloc[:0])
        return rows[rows["known_at"] <= pd.Timestamp(clock.now())]

    async def fear_greed(request: web.Request) -> web.Response:
        limit = int(request.query.get("limit", "1"))
        rows = known(FEAR_GREED)[::-1]
        rows = rows.head(limit) if limit else rows
        data = [_index(row) for row in rows.to_dict("records")]
        body = {"name": "Fear and Greed Index", "data": data, "metadata": {"error": None}}
        return web.Response(text=json.dumps(body), content_type="application/json")

    async def table(request: web.Request) -> web.Response:
        name = request.match_info["series"]
        if name not in series:
            raise web.HTTPNotFound(text=f"no series {name}")
        return web.Response(text=_csv(known(name)), content_type="text/csv")

    return [web.get("/fng/", fear_greed), web.get("/macro/{series}.csv", table)]


def _index(row: dict[Hashable, Any]) -> dict[str, str]:
    # `known_at` is ours: the real index has no word on when a value was published
    return {
        "value": repr(float(row["value"])),
        "timestamp": str(int(row["period_at"].timestamp())),
        "known_at": row["known_at"].isoformat(),
    }


def _csv(rows: pd.DataFrame) -> str:
    lines = [
        f"{row['period_at'].isoformat()},{row['known_at'].isoformat()},{float(row['value'])!r}\n"
        for row in rows.to_dict("records")
    ]
    return "period_at,known_at,value\n" + "".join(lines)
