"""ccxt's websocket drivers, made to survive what they are told, and bounded in what they read.

The drivers are ccxt's own classes; only their documented hooks are overridden: what a message says
is heard before ccxt files it, a message that ccxt stumbles over no longer makes the socket deaf,
and the parsed answer and headers of each REST call reach the task that asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from dexml.data.feeds.venues import MAX_ANSWER_BYTES, Venue, is_local, is_untested, point_at

__all__ = ["ANSWER", "Answered", "open_async_driver", "open_session", "watching"]

KEEP_ALIVE_MS = 6_000  # three of these without a pong end a stream
_LOG = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Answered:
    """What the last REST call of a task brought: ccxt keeps it for the driver as a whole."""

    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


ANSWER: ContextVar[Answered] = ContextVar("dexml_answer")


class _Bounded(aiohttp.ClientResponse):
    """An answer of limited size, after unpacking: ccxt sets no limit."""

    async def read(self) -> bytes:
        if self._body is None:
            body = bytearray()
            async for chunk in self.content.iter_any():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    self.close()
                    raise aiohttp.ClientPayloadError(f"more than {MAX_ANSWER_BYTES} bytes")
            self._body = bytes(body)
        return self._body


def open_session() -> aiohttp.ClientSession:
    """Open a session for one driver; call it inside the loop that will use it."""
    return aiohttp.ClientSession(response_class=_Bounded)


def open_async_driver(
    venue: Venue,
    url: str | None,
    timeout_s: float,
    session: aiohttp.ClientSession,
    heard: Callable[[Any], None],
    stumbled: Callable[[Exception], None],
) -> Any:
    """Open ccxt's websocket driver, which also asks over REST.

    Parameters
    ----------
    url : str or None
        Base address of a local server; None for the real exchange.
    heard : callable
        Gets every message of the stream, parsed.
    stumbled : callable
        Gets the error for every message that could not be read.
    """
    import ccxt.pro

    # where ccxt knows no stream, its class for REST does
    known = getattr(ccxt.pro, venue.name, None) or getattr(ccxt.async_support, venue.name)

    class Driver(known):  # type: ignore[misc, valid-type]
        def handle_message(self, client: Any, message: Any) -> None:
            heard(message)
            super().handle_message(client, message)

        def client(self, url: str) -> Any:
            client = super().client(url)
            if not getattr(client, "guarded", False):
                client.guarded, read = True, client.handle_message
                client.handle_message = lambda message: _guarded(read, message, stumbled)
            return client

        def on_rest_response(self, *about: Any) -> Any:
            ANSWER.get(Answered()).headers = about[4]
            return super().on_rest_response(*about)

        def parse_json(self, text: Any) -> Any:
            parsed = super().parse_json(text)
            ANSWER.get(Answered()).json = parsed
            return parsed

    markets = {} if is_untested(venue.name) else {"fetchMarkets": {"types": ["spot"]}}
    driver = Driver(
        {
            "timeout": int(timeout_s * 1_000),
            "session": session,
            "enableRateLimit": not is_local(url),
            "options": {"ws": {"keepAlive": KEEP_ALIVE_MS}} | markets,
        }
    )
    if url is not None:
        _point(driver, venue, url)
    return driver


def _guarded(
    read: Callable[[Any], None], message: Any, stumbled: Callable[[Exception], None]
) -> None:
    try:
        read(message)
    except Exception as error:  # the stream's edge: else ccxt reads nothing more from this socket
        stumbled(error)


def _point(driver: Any, venue: Venue, url: str) -> None:
    point_at(driver, venue, url)
    if venue.stream is None:
        return
    parts = urlsplit(url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    address = f"{scheme}://{parts.netloc}{venue.stream.path}"
    if not venue.stream.keys:
        driver.urls["api"]["ws"] = address
    for key in venue.stream.keys:
        driver.urls["api"]["ws"][key] = address


def watching(driver: Any, venue: Venue, symbols: list[str], timeframe: str) -> list[Any]:
    """Return functions that each wait for news of a subscription, together for all symbols."""
    kind = None if venue.stream is None else venue.stream.watch
    if kind == "together":
        pairs = [[symbol, timeframe] for symbol in symbols]
        return [lambda: driver.watch_ohlcv_for_symbols(pairs)]
    if kind == "bars":
        return [lambda name=name: driver.watch_ohlcv(name, timeframe) for name in symbols]
    if kind == "trades":
        return [lambda name=name: driver.watch_trades(name) for name in symbols]
    return []
