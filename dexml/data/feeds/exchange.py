"""Bars from exchanges through unmodified ccxt drivers.

Exchanges stamp a bar with its opening; here, at the border, it gets the stamp of its close. The
bar that is still open never counts as closed: its last price is reported apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from dexml.clock import Clock, SystemClock
from dexml.data.feeds.past_trades import TradePage
from dexml.data.feeds.rows import (
    FeedUpdate,
    Fetched,
    Hole,
    RefusedRow,
    Row,
    bars_of,
    checked,
    holes_of,
    paging,
    split,
)
from dexml.data.feeds.translating import translated
from dexml.data.feeds.venues import (
    open_driver,
    past_trades_of,
    raw_rows,
    refuse_no_markets,
    venue_named,
)
from dexml.data.http import NotAnswered, Patience, answered_at, retry_after_s
from dexml.data.quotes import market_at
from dexml.domain import Timeframe, check_instrument
from dexml.errors import DataError

__all__ = ["ExchangeFeed", "FeedUpdate", "Hole", "RefusedRow"]


class ExchangeFeed:
    """Read bars of one exchange; every answer is checked before it is believed.

    Parameters
    ----------
    venue : str
        "binance", "kraken", "coinbaseexchange", or any other whose bars ccxt reads. Kraken and
        Coinbase quote USD: `BTC/USDT` is read from their BTC/USD market.
    url : str or None
        Base address of a local server; None for the real exchange.
    instruments : sequence of str
    timeframe : Timeframe
    timeout_s : float
        For each answer as a whole.
    patience : Patience, optional
        How reads are repeated.
    clock : Clock, optional
        Says when an answer was in hand; the wall clock unless given.
    """

    def __init__(
        self,
        venue: str,
        url: str | None,
        instruments: Sequence[str],
        timeframe: Timeframe,
        timeout_s: float = 10.0,
        patience: Patience | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.venue = venue_named(venue)
        self.instruments = tuple(check_instrument(name) for name in instruments)
        self.timeframe = Timeframe(timeframe)
        self._url, self._timeout_s = url, timeout_s
        self._patience = patience or Patience()
        self.clock: Clock = clock or SystemClock()

    @cached_property
    def _driver(self) -> Any:
        driver = open_driver(self.venue, self._url, self._timeout_s)

        def read() -> None:
            translated(partial(driver.load_markets, True), f"{self.venue.name} markets")
            refuse_no_markets(self.venue, driver)

        self._patience.call(read)
        return driver

    def backfill(
        self, since: datetime, until: datetime, instruments: Sequence[str] | None = None
    ) -> FeedUpdate:
        """Return the bars closed in (since, until], asking page by page.

        Parameters
        ----------
        instruments : sequence of str, optional
            Only these.
        """
        names = self.instruments if instruments is None else instruments
        return self._update(dict.fromkeys(names, since), until)

    def poll(self, since: Mapping[str, datetime | None]) -> FeedUpdate:
        """Return the bars closed after `since`, which is given for each instrument.

        Parameters
        ----------
        since : mapping of instrument to instant or None
            None (or no entry): the newest page only.
        """
        return self._update({name: since.get(name) for name in self.instruments}, None)

    def past_trades(
        self, instrument: str, since_ns: int | None, count: int | None = None
    ) -> TradePage:
        """Return a page of trades, oldest first.

        Parameters
        ----------
        since_ns : int or None
            Those after this instant; None: the newest.
        count : int, optional
            How many at most; the exchange's whole page unless given.

        Raises
        ------
        NotAnswered
            If the exchange does not answer, or not with trades.
        DataError
            If it will not: an instrument that it does not sell, an exchange without past trades.
        """
        return self._patience.call(partial(self._trades_page, instrument, since_ns, count))

    def close(self) -> None:
        """Close the connections."""
        if "_driver" in self.__dict__:
            self._driver.session.close()

    def _update(self, since: Mapping[str, datetime | None], until: datetime | None) -> FeedUpdate:
        update = FeedUpdate.empty()
        for name, start in since.items():
            try:
                self._read(name, start, until, update)
            except DataError as error:
                update.failed[name] = str(error)
        return replace(update, seen_at=self.clock.now())

    def _read(
        self, name: str, since: datetime | None, until: datetime | None, update: FeedUpdate
    ) -> None:
        step = self.timeframe.seconds
        first = None if since is None else int(since.timestamp()) // step * step
        until_s = None if until is None else int(until.timestamp())
        fetched = self._pages(name, first, until_s)
        closed, still_open = split(fetched.rows, step, fetched.now_s)
        if still_open is not None:
            update.prices[name] = still_open.close
        kept = [row for row in closed if until_s is None or row.opened_s + step <= until_s]
        if kept:
            update.closed[name] = bars_of(name, self.timeframe, kept)
        update.holes[name] = self._holes(first, until_s, kept, fetched.now_s)
        update.refused[name] = tuple(fetched.refused)

    def _pages(self, name: str, first: int | None, until: int | None) -> Fetched:
        asking = paging(self.venue, self.timeframe.seconds, first, until)
        cursor = next(asking)
        while True:
            page = self._patience.call(partial(self._page, name, cursor))
            try:
                cursor = asking.send(page)
            except StopIteration as ended:
                fetched: Fetched = ended.value
                return fetched

    def _page(self, name: str, first: int | None) -> Fetched:
        driver, symbol = self._driver, market_at(self.venue.name, name)
        subject = f"{self.venue.name} {symbol}"
        driver.last_json_response = driver.last_response_headers = None
        limit = self.venue.page if self.venue.asks_limit else None
        since_ms = None if first is None else first * 1_000
        ask = partial(driver.fetch_ohlcv, symbol, self.timeframe.value, since_ms, limit)
        try:
            rows = translated(ask, subject)
            n_raw = len(raw_rows(self.venue, driver.last_json_response, rows))
        except NotAnswered as error:
            error.retry_after_s = retry_after_s(driver.last_response_headers)
            raise
        answered = answered_at(driver.last_response_headers)
        now_s = None if answered is None else int(answered.timestamp())
        page = checked(rows, self.timeframe.seconds, first, now_s, now_s)
        if n_raw and page.refused and not page.rows:
            raise NotAnswered(subject, "must give bars", page.refused[0], "Try again later.")
        return page

    def _trades_page(self, name: str, since_ns: int | None, count: int | None) -> TradePage:
        driver, symbol = self._driver, market_at(self.venue.name, name)
        subject = f"trades of {self.venue.name} {symbol}"
        driver.last_json_response = driver.last_response_headers = None
        # ccxt's own `since` is cut to whole seconds
        asked = {} if since_ns is None else {"since": str(since_ns)}
        read = past_trades_of(self.venue).read
        try:
            translated(partial(driver.fetch_trades, symbol, None, count, asked), subject)
            page: TradePage = translated(lambda: read(driver.last_json_response), subject)
        except NotAnswered as error:
            error.retry_after_s = retry_after_s(driver.last_response_headers)
            raise
        answered = answered_at(driver.last_response_headers)
        return page._replace(now_s=None if answered is None else int(answered.timestamp()))

    def _holes(
        self, first: int | None, until: int | None, rows: list[Row], now_s: int | None
    ) -> tuple[Hole, ...]:
        if first is None:
            return ()
        # a poll does not complain of a bar that is a moment late
        due = None if until is None else min(until, now_s or until)
        opened = [row.opened_s for row in rows]
        return holes_of(self.venue, self.timeframe.seconds, first, due, opened)
