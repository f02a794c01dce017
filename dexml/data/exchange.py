"""Bars from exchanges through unmodified ccxt drivers.

Exchanges stamp a bar with its opening; here, at the border, it gets the stamp of its close. The
bar that is still open never counts as closed: its last price is reported apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from dexml.data.http import NotAnswered, Patience, answered_at, retry_after_s
from dexml.data.venues import open_driver, raw_rows, translated, venue_named
from dexml.domain import PRICE_COLUMNS, Bars, Timeframe, check_instrument, price_fault
from dexml.errors import DataError

__all__ = ["ExchangeFeed", "FeedUpdate", "Hole", "RefusedRow"]

SETTLE_S = 2  # an exchange may still book trades of a bar for a moment after its end


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """Bars that were asked for and did not come; stamps are closes, both ends included."""

    first: datetime
    last: datetime
    n_bars: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRow:
    """A row of an exchange that cannot be a bar."""

    row: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedUpdate:
    """What an exchange said, by instrument.

    Attributes
    ----------
    closed : dict of Bars
        Closed bars only, stamped with their close; an instrument without any is absent.
    prices : dict of float
        Last price of the bar that is still open.
    holes, refused : dict of tuples
        What is missing among the closed bars, and rows that broke a rule.
    failed : dict of str
        Instruments that could not be read at all, with the reason.
    """

    closed: dict[str, Bars]
    prices: dict[str, float]
    holes: dict[str, tuple[Hole, ...]]
    refused: dict[str, tuple[RefusedRow, ...]]
    failed: dict[str, str]


class _Row(NamedTuple):
    opened_s: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class _Fetched(NamedTuple):
    rows: list[_Row]
    refused: list[RefusedRow]
    now_s: int | None


class ExchangeFeed:
    """Read bars of one exchange; every answer is checked before it is believed.

    Parameters
    ----------
    venue : str
        "binance", "kraken" or "coinbaseexchange". The latter two quote USD: `BTC/USDT` is read
        from their BTC/USD market.
    url : str or None
        Base address of a local server; None for the real exchange.
    instruments : sequence of str
    timeframe : Timeframe
    timeout_s : float
        For each answer as a whole.
    patience : Patience, optional
        How reads are repeated.
    """

    def __init__(
        self,
        venue: str,
        url: str | None,
        instruments: Sequence[str],
        timeframe: Timeframe,
        timeout_s: float = 10.0,
        patience: Patience | None = None,
    ) -> None:
        self.venue = venue_named(venue)
        self.instruments = tuple(check_instrument(name) for name in instruments)
        self.timeframe = Timeframe(timeframe)
        self._url, self._timeout_s = url, timeout_s
        self._patience = patience or Patience()

    @cached_property
    def _driver(self) -> Any:
        driver = open_driver(self.venue, self._url, self._timeout_s)
        subject = f"{self.venue.name} markets"
        self._patience.call(partial(translated, driver.load_markets, subject))
        return driver

    def backfill(self, since: datetime, until: datetime) -> FeedUpdate:
        """Return the bars closed in (since, until], asking page by page."""
        return self._update({name: since for name in self.instruments}, until)

    def poll(self, since: Mapping[str, datetime | None]) -> FeedUpdate:
        """Return the bars closed after `since`, which is given for each instrument.

        Parameters
        ----------
        since : mapping of instrument to instant or None
            None (or no entry): the newest page only.
        """
        return self._update({name: since.get(name) for name in self.instruments}, None)

    def close(self) -> None:
        """Close the connections."""
        if "_driver" in self.__dict__:
            self._driver.session.close()

    def _update(self, since: Mapping[str, datetime | None], until: datetime | None) -> FeedUpdate:
        update = FeedUpdate(closed={}, prices={}, holes={}, refused={}, failed={})
        for name, start in since.items():
            try:
                self._read(name, start, until, update)
            except DataError as error:
                update.failed[name] = str(error)
        return update

    def _read(
        self, name: str, since: datetime | None, until: datetime | None, update: FeedUpdate
    ) -> None:
        step = self.timeframe.seconds
        first = None if since is None else int(since.timestamp()) // step * step
        until_s = None if until is None else int(until.timestamp())
        fetched = self._pages(name, first, until_s)
        closed, still_open = self._split(fetched)
        if still_open is not None:
            update.prices[name] = still_open.close
        kept = [row for row in closed if until_s is None or row.opened_s + step <= until_s]
        if kept:
            update.closed[name] = self._bars(name, kept)
        update.holes[name] = self._holes(first, until_s, kept, fetched.now_s)
        update.refused[name] = tuple(fetched.refused)

    def _split(self, fetched: _Fetched) -> tuple[list[_Row], _Row | None]:
        # a bar is closed when a later one exists, or when the exchange's own clock says so
        if not fetched.rows:
            return [], None
        last = fetched.rows[-1]
        ended = last.opened_s + self.timeframe.seconds + SETTLE_S
        if fetched.now_s is not None and ended <= fetched.now_s:
            return fetched.rows, None
        return fetched.rows[:-1], last

    def _pages(self, name: str, first: int | None, until: int | None) -> _Fetched:
        rows, refused = [], []
        cursor: int | None = first
        while True:
            page = self._patience.call(partial(self._page, name, cursor))
            rows += page.rows
            refused += page.refused
            stop = min((s for s in (until, page.now_s) if s is not None), default=None)
            if cursor is not None:
                cursor = self._next(cursor, page)
            if cursor is None or stop is None or cursor >= stop:
                return _Fetched(rows, refused, page.now_s)

    def _next(self, cursor: int, page: _Fetched) -> int | None:
        if page.rows:
            return page.rows[-1].opened_s + self.timeframe.seconds
        if self.venue.by_window:
            return cursor + self.venue.page * self.timeframe.seconds
        return None

    def _page(self, name: str, first: int | None) -> _Fetched:
        driver, symbol = self._driver, self.venue.symbol(name)
        subject = f"{self.venue.name} {symbol}"
        driver.last_json_response = driver.last_response_headers = None
        limit = self.venue.page if self.venue.asks_limit else None
        since_ms = None if first is None else first * 1_000
        ask = partial(driver.fetch_ohlcv, symbol, self.timeframe.value, since_ms, limit)
        try:
            rows = translated(ask, subject)
            n_raw = len(raw_rows(self.venue, driver.last_json_response))
        except NotAnswered as error:
            error.retry_after_s = retry_after_s(driver.last_response_headers)
            raise
        answered = answered_at(driver.last_response_headers)
        now_s = None if answered is None else int(answered.timestamp())
        page = self._checked(rows, first, now_s)
        if n_raw and page.refused and not page.rows:
            raise NotAnswered(subject, "must give bars", page.refused[0], "Try again later.")
        return page

    def _checked(self, rows: Iterable[Any], first: int | None, now_s: int | None) -> _Fetched:
        good: dict[int, _Row] = {}
        refused = []
        for row in rows:
            fault = self._fault(row, first, now_s)
            if fault is None:
                kept = _Row(row[0] // 1_000, *(float(value) for value in row[1:6]))
                good[kept.opened_s] = kept
            else:
                refused.append(RefusedRow(row=repr(row), reason=fault))
        return _Fetched([good[stamp] for stamp in sorted(good)], refused, now_s)

    def _fault(self, row: Any, first: int | None, now_s: int | None) -> str | None:
        if len(row) != 6 or not all(isinstance(value, int | float) for value in row):
            return "must hold a stamp and five numbers"
        if row[0] % (self.timeframe.seconds * 1_000):
            return f"must open on a whole {self.timeframe}"
        if row[0] < (first or 1) * 1_000:
            return "must not be older than asked for"
        if now_s is not None and row[0] > now_s * 1_000:
            return "must not lie in the future"
        return price_fault(*row[1:6])

    def _bars(self, name: str, rows: list[_Row]) -> Bars:
        opened = np.array([row.opened_s for row in rows], dtype=np.int64)
        closed_at = (opened + self.timeframe.seconds).astype("datetime64[s]")
        columns = {
            column: np.array([getattr(row, column) for row in rows], dtype=np.float64)
            for column in PRICE_COLUMNS
        }
        return Bars(
            instrument=name,
            timeframe=self.timeframe,
            closed_at=closed_at.astype("datetime64[ns]"),
            **columns,
        )

    def _holes(
        self, first: int | None, until: int | None, rows: list[_Row], now_s: int | None
    ) -> tuple[Hole, ...]:
        if first is None:
            return ()
        opened = [row.opened_s for row in rows]
        if until is not None:  # a poll does not complain of a bar that is a moment late
            due = min(until, now_s or until) // self.timeframe.seconds
            opened.append(due * self.timeframe.seconds)
        edges = zip((first - self.timeframe.seconds, *opened), opened, strict=False)
        return tuple(
            self._hole(before, after, leading=before < first)
            for before, after in edges
            if after - before > self.timeframe.seconds
        )

    def _hole(self, before: int, after: int, *, leading: bool) -> Hole:
        step, reason = self.timeframe.seconds, "the exchange has no bars there"
        if leading and self.venue.keeps is not None:
            reason = (
                f"{self.venue.name} shows only its last {self.venue.keeps} bars; "
                f"read older ones from another exchange"
            )
        return Hole(
            first=datetime.fromtimestamp(before + 2 * step, UTC),
            last=datetime.fromtimestamp(after, UTC),
            n_bars=(after - before) // step - 1,
            reason=reason,
        )
