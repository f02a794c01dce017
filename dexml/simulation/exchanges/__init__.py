"""Local servers that speak the wire formats of exchanges, news feeds and macro series.

They show a recorded or planted `History` as it was known at the clock's present, so that the real
drivers (ccxt, feedparser) read it without knowing that it is not the world. Exchanges also stream,
and misbehave in every way that a `Switchboard` tells them to.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from dexml.clock import Clock
from dexml.domain import History
from dexml.simulation.exchanges import binance, coinbase, context, kraken
from dexml.simulation.exchanges.book import Book
from dexml.simulation.exchanges.faults import Fault, Switchboard
from dexml.simulation.exchanges.server import LocalServers, stamped
from dexml.simulation.exchanges.spoiling import spoiling

__all__ = ["EXCHANGES", "ExchangeServers", "Fault", "Switchboard"]

EXCHANGES = {
    "binance": binance.routes,
    "kraken": kraken.routes,
    "coinbaseexchange": coinbase.routes,
}


class ExchangeServers:
    """Binance, Kraken, Coinbase, an RSS feed and macro series, each on a port of 127.0.0.1.

    Parameters
    ----------
    history : History
        What there is to see. A bar that is open at `clock.now()` shows only its opening price.
    clock : Clock
        Decides what is known; it is also the `Date` of every answer.
    faults : Switchboard, optional
        What goes wrong; all is well until something is set there.

    Notes
    -----
    Kraken and Coinbase quote USD: they sell `BTC/USDT` under the name BTC/USD.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from dexml.clock import SimulatedClock
    >>> clock = SimulatedClock(datetime(2024, 1, 1, tzinfo=UTC))
    >>> with ExchangeServers(History(bars={}), clock) as servers:
    ...     sorted(servers.urls)
    ['binance', 'coinbaseexchange', 'kraken', 'macro', 'news']
    """

    def __init__(self, history: History, clock: Clock, faults: Switchboard | None = None) -> None:
        book, self.faults = Book(history, clock), faults or Switchboard()
        applications = {
            venue: stamped(
                routes(book, self.faults), clock, [spoiling(venue, book, self.faults, clock)]
            )
            for venue, routes in EXCHANGES.items()
        }
        applications["news"] = stamped(context.news_routes(history, clock), clock)
        applications["macro"] = stamped(context.macro_routes(history, clock), clock)
        self._servers = LocalServers(applications)
        self._news_path = "/news.rss"

    @property
    def urls(self) -> dict[str, str]:
        """Base address for each venue, and for "news" (the feed itself) and "macro"."""
        urls = dict(self._servers.urls)
        return urls | {"news": urls["news"] + self._news_path}

    def __enter__(self) -> Self:
        self._servers.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._servers.__exit__(kind, error, trace)
