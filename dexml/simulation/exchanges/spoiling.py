"""Spoils good REST answers as the switchboard says; rows keep the layout of their exchange."""

from __future__ import annotations

import gzip
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import cache
from typing import Any, NamedTuple

from aiohttp import web
from aiohttp.typedefs import Middleware

from dexml.clock import Clock
from dexml.simulation.exchanges.book import Book
from dexml.simulation.exchanges.faults import Fault, Switchboard

__all__ = ["INSTRUMENT", "REFUSALS", "SKEW", "TRADES", "refusal", "spoiling"]

INSTRUMENT = web.RequestKey("instrument", str)  # a handler of bars leaves it in the request
TRADES = web.RequestKey("trades", bool)  # and this, if what it answers are trades
SKEW = web.RequestKey("skew", timedelta)
RETRY_AFTER_S = 1
REFUSALS = {Fault.TOO_MANY: 429, Fault.BANNED: 418, Fault.UNAVAILABLE: 503}
BOMB_BYTES = 64 << 20
PAGE = "<html><head><title>Just a moment...</title></head><body>Maintenance</body></html>"
CLOSE = 4  # the place of the close in a row of every exchange here

Rows = list[list[Any]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def refusal(fault: Fault) -> web.Response:
    """Return the answer of a server that will not answer."""
    headers = {"Retry-After": str(RETRY_AFTER_S)} if fault in (Fault.TOO_MANY, Fault.BANNED) else {}
    body = {"code": -1003, "msg": "Too many requests."}
    return web.json_response(body, status=REFUSALS[fault], headers=headers)


def spoiling(venue: str, book: Book, board: Switchboard, clock: Clock) -> Middleware:
    """Return a middleware that spoils the answers of one exchange."""
    frozen: dict[str, int] = {}  # by instrument, when it froze

    @web.middleware
    async def spoil(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if not isinstance(response, web.Response):
            return response  # a stream spoils its own messages
        instrument = request.get(INSTRUMENT)
        faults = board.strike(venue, _endpoint(request), instrument)
        name, now_s = instrument or "", int(clock.now().timestamp())
        if Fault.FROZEN not in faults:
            frozen.pop(name, None)
        view = _View(now_s=now_s, frozen_s=frozen.get(name, now_s), step_s=book.step_s)
        if Fault.FROZEN in faults:
            frozen.setdefault(name, now_s)
        return _spoilt(request, response, faults, view)

    return spoil


def _endpoint(request: web.Request) -> str:
    if request.get(TRADES):
        return "trades"
    return "markets" if request.get(INSTRUMENT) is None else "bars"


class _View(NamedTuple):
    now_s: int
    frozen_s: int
    step_s: int


def _spoilt(
    request: web.Request, response: web.Response, faults: tuple[Fault, ...], view: _View
) -> web.Response:
    for fault in faults:
        if fault in REFUSALS:
            return refusal(fault)
        if fault in (Fault.FAST_CLOCK, Fault.SLOW_CLOCK):
            sign = 1 if fault is Fault.FAST_CLOCK else -1
            request[SKEW] = timedelta(seconds=sign * 1.5 * view.step_s)
        elif fault in (Fault.RESET, Fault.DROP):
            if request.transport is not None:
                request.transport.abort()
        elif fault in _BODIES:
            response = _BODIES[fault](response)
        elif fault in _ROWS and _endpoint(request) == "bars":
            response = _with_rows(response, fault, view)
    return response


def _with_rows(response: web.Response, fault: Fault, view: _View) -> web.Response:
    answer = json.loads(response.text or "null")
    holder = answer.get("result", {}) if isinstance(answer, dict) else {"": answer}
    for name, rows in holder.items():
        if isinstance(rows, list) and rows:
            newest_first = len(rows) > 1 and rows[0][0] > rows[-1][0]
            spoilt = _ROWS[fault](rows[::-1] if newest_first else rows, view)
            holder[name] = spoilt[::-1] if newest_first else spoilt
    return web.json_response(answer if isinstance(answer, dict) else holder[""])


def _opened_s(row: list[Any]) -> int:
    stamp = int(row[0])
    return stamp // 1_000 if stamp > 10**11 else stamp


def _newest_closed(rows: Rows, view: _View) -> int | None:
    closed = [i for i, row in enumerate(rows) if _opened_s(row) + view.step_s <= view.now_s]
    return closed[-1] if closed else None


def _revised(rows: Rows, view: _View) -> Rows:
    place = _newest_closed(rows, view)
    if place is not None:  # within low and high, but another close
        rows[place][CLOSE] = rows[place][1]
    return rows


def _with_close(value: object) -> Callable[[Rows, _View], Rows]:
    def put(rows: Rows, view: _View) -> Rows:
        place = _newest_closed(rows, view)
        rows[-1 if place is None else place][CLOSE] = value
        return rows

    return put


def _known_at(rows: Rows, view: _View, instant: int) -> Rows:
    return [row for row in rows if _opened_s(row) + view.step_s <= instant]


def _late(rows: Rows, view: _View) -> Rows:
    return _known_at(rows, view, view.now_s - view.step_s)


def _frozen(rows: Rows, view: _View) -> Rows:
    return _known_at(rows, view, view.frozen_s)


def _duplicate(rows: Rows, _view: _View) -> Rows:
    return [row for row in rows for _ in range(2)]


def _disorder(rows: Rows, _view: _View) -> Rows:
    return rows[1::2] + rows[::2]


_ROWS: dict[Fault, Callable[[Rows, _View], Rows]] = {
    Fault.WRONG_TYPES: _with_close({"price": []}),
    Fault.NAN: _with_close("NaN"),
    Fault.LATE: _late,
    Fault.DUPLICATE: _duplicate,
    Fault.DISORDER: _disorder,
    Fault.REVISED: _revised,
    Fault.FROZEN: _frozen,
}


def _cut(response: web.Response) -> web.Response:
    text = response.text or ""
    return web.Response(text=text[: len(text) // 2], content_type="application/json")


def _page(_response: web.Response) -> web.Response:
    return web.Response(text=PAGE, content_type="text/html")


def _bomb(_response: web.Response) -> web.Response:
    return web.Response(
        body=_packed(), headers={"Content-Encoding": "gzip", "Content-Type": "application/json"}
    )


@cache
def _packed() -> bytes:
    return gzip.compress(b"[" + b" " * BOMB_BYTES + b"]", compresslevel=9)


_BODIES: dict[Fault, Callable[[web.Response], web.Response]] = {
    Fault.CUT: _cut,
    Fault.PAGE: _page,
    Fault.BOMB: _bomb,
}
