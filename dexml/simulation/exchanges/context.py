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


class _Shelf:
    # rows written once, shown as they become known

    def __init__(self, rows: pd.DataFrame, texts: list[str], clock: Clock) -> None:
        self._known_at, self._texts, self._clock = rows["known_at"], texts, clock

    def texts(self, since: pd.Timestamp | None = None) -> list[str]:
        start = 0 if since is None else int(self._known_at.searchsorted(since, side="right"))
        now = pd.Timestamp(self._clock.now())
        return self._texts[start : int(self._known_at.searchsorted(now, side="right"))]


def news_routes(history: History, clock: Clock) -> list[web.RouteDef]:
    """Return `/news.rss?since=ISO`: headlines known now and not yet at `since`, newest first."""
    news = history.news.sort_values("known_at", kind="stable", ignore_index=True)
    shelf = _Shelf(news, [_item(key, row) for key, row in news.to_dict("index").items()], clock)

    async def feed(request: web.Request) -> web.Response:
        since = request.query.get("since")
        items = shelf.texts(None if since is None else pd.Timestamp(since))
        text = f"{HEAD}{''.join(reversed(items))}</channel></rss>\n"
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
    shelves = {}
    for name, rows in history.macro.groupby("series", sort=True):
        ordered = rows.sort_values("known_at", kind="stable", ignore_index=True)
        write = _index if name == FEAR_GREED else _line
        texts = [write(row) for row in ordered.to_dict("records")]
        shelves[str(name)] = _Shelf(ordered, texts, clock)

    async def fear_greed(request: web.Request) -> web.Response:
        limit = int(request.query.get("limit", "1"))
        rows = shelves[FEAR_GREED].texts()[::-1] if FEAR_GREED in shelves else []
        data = ",".join(rows[:limit] if limit else rows)
        body = f'{{"name":"Fear and Greed Index","data":[{data}],"metadata":{{"error":null}}}}'
        return web.Response(text=body, content_type="application/json")

    async def table(request: web.Request) -> web.Response:
        name = request.match_info["series"]
        if name not in shelves or name == FEAR_GREED:
            raise web.HTTPNotFound(text=f"no table {name}")
        text = "period_at,known_at,value\n" + "".join(shelves[name].texts())
        return web.Response(text=text, content_type="text/csv")

    return [web.get("/fng/", fear_greed), web.get("/macro/{series}.csv", table)]


def _index(row: dict[Hashable, Any]) -> str:
    # `known_at` is ours: the real index has no word on when a value was published
    return json.dumps(
        {
            "value": repr(float(row["value"])),
            "timestamp": str(int(row["period_at"].timestamp())),
            "known_at": row["known_at"].isoformat(),
        }
    )


def _line(row: dict[Hashable, Any]) -> str:
    value = repr(float(row["value"]))
    return f"{row['period_at'].isoformat()},{row['known_at'].isoformat()},{value}\n"
