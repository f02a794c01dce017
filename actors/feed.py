"""Owners of what comes from outside: bars of one exchange each; news and macro series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dexml.domain import Timeframe, to_datetime
from dexml.errors import ActorNotReady

if TYPE_CHECKING:
    from dexml.data.context import Context, ContextReport
    from dexml.data.exchange import ExchangeFeed, FeedUpdate, Hole
    from dexml.data.macro import MacroSource
    from dexml.data.news import NewsSource
    from dexml.data.store import Store

__all__ = ["ContextActor", "FeedActor", "FeedReport"]

OVERLAP = 3  # bars read again at each poll: repairs refused rows, sees late corrections


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedReport:
    """What a visit to an exchange brought.

    Attributes
    ----------
    closed_at : datetime or None
        Newest close in the store for this exchange.
    n_new : int
        Bars that the store did not have.
    prices : dict of float
        Last price of the open bar, by instrument.
    behind : tuple of str
        Instruments without the bar of `closed_at`.
    holes : dict of tuple of Hole
        Missing bars, by instrument (only those that have any).
    n_refused : int
        Rows that broke a rule.
    failed : dict of str
        Instruments that could not be read, with the reason.
    """

    venue: str
    closed_at: datetime | None
    n_new: int
    prices: dict[str, float]
    behind: tuple[str, ...]
    holes: dict[str, tuple[Hole, ...]]
    n_refused: int
    failed: dict[str, str]


class FeedActor:
    """Own the bars of one exchange: read them, check them, append them to the store.

    Nothing can fail or be lost in `__init__`; after a restart `start` rebuilds what is known from
    the store. Doing anything twice changes nothing.
    """

    def __init__(
        self,
        venue: str,
        url: str | None,
        instruments: Sequence[str],
        timeframe: Timeframe,
        storage_root: str | Path,
    ) -> None:
        self._venue, self._url = venue, url
        self._instruments, self._timeframe = tuple(instruments), timeframe
        self._storage_root = Path(storage_root)
        self._epoch: int | None = None
        self._feed: ExchangeFeed | None = None
        self._store: Store | None = None
        self._last: dict[str, datetime | None] = {}

    def start(self, epoch: int) -> None:
        """Open the store and the driver, and recall the last bar of each instrument."""
        from dexml.data.exchange import ExchangeFeed
        from dexml.data.store import Store

        if self._feed is not None:
            self._feed.close()
        self._store = Store(self._storage_root)
        self._feed = ExchangeFeed(self._venue, self._url, self._instruments, self._timeframe)
        self._last = {name: self._recall(self._store, name) for name in self._instruments}
        self._epoch = epoch

    def health(self) -> dict[str, Any]:
        """Return the epoch (None before `start`) and the newest close stored."""
        newest = max((at for at in self._last.values() if at is not None), default=None)
        return {"venue": self._venue, "epoch": self._epoch, "closed_at": newest}

    def backfill(self, since: datetime, until: datetime) -> FeedReport:
        """Store the bars closed in (since, until]."""
        feed, store = self._ready()
        return self._keep(store, feed.backfill(since, until))

    def poll(self) -> FeedReport:
        """Store what has closed since the last visit; whatever was missed is fetched first."""
        feed, store = self._ready()
        overlap = OVERLAP * Timeframe(self._timeframe).step
        since = {name: at and at - overlap for name, at in self._last.items()}
        return self._keep(store, feed.poll(since))

    def _ready(self) -> tuple[ExchangeFeed, Store]:
        if self._feed is None or self._store is None or self._epoch is None:
            raise _not_ready(f"feed of {self._venue}")
        return self._feed, self._store

    def _recall(self, store: Store, name: str) -> datetime | None:
        bars = store.bars(self._venue, name, Timeframe(self._timeframe))
        return to_datetime(bars.closed_at[-1]) if len(bars) else None

    def _keep(self, store: Store, update: FeedUpdate) -> FeedReport:
        n_new = 0
        for name, bars in update.closed.items():
            n_new += store.append_bars(self._venue, bars)
            newest, last = to_datetime(bars.closed_at[-1]), self._last[name]
            self._last[name] = newest if last is None else max(newest, last)
        closed_at = self.health()["closed_at"]
        return FeedReport(
            venue=self._venue,
            closed_at=closed_at,
            n_new=n_new,
            prices=update.prices,
            behind=tuple(name for name, at in self._last.items() if at != closed_at),
            holes={name: holes for name, holes in update.holes.items() if holes},
            n_refused=sum(map(len, update.refused.values())),
            failed=update.failed,
        )


class ContextActor:
    """Own news and macro series: read them, fold duplicates, append them to the store.

    Parameters
    ----------
    news_url : str or None
        RSS feed; None for no news.
    macro_url : str or None
        Base address of the series; None for none.
    series : sequence of str
        Names of macro series at `macro_url`.
    more_news : sequence of NewsSource
        Read beside the feed: NewsAPI, for one. Each has a name of its own.
    more_series : sequence of MacroSource
        Read beside `macro_url`: Yahoo, recorded social series.
    """

    def __init__(
        self,
        news_url: str | None,
        macro_url: str | None,
        instruments: Sequence[str],
        series: Sequence[str],
        storage_root: str | Path,
        more_news: Sequence[NewsSource] = (),
        more_series: Sequence[MacroSource] = (),
    ) -> None:
        self._news_url, self._macro_url = news_url, macro_url
        self._instruments, self._series = tuple(instruments), tuple(series)
        self._storage_root = Path(storage_root)
        self._more_news, self._more_series = tuple(more_news), tuple(more_series)
        self._epoch: int | None = None
        self._context: Context | None = None

    def start(self, epoch: int) -> None:
        """Open the store and the sources, and recall what is stored."""
        from dexml.data.context import Context
        from dexml.data.macro import MacroFeed
        from dexml.data.news import NewsFeed
        from dexml.data.store import Store

        news, series = self._more_news, self._more_series
        if self._news_url is not None:
            news = (NewsFeed(self._news_url, self._instruments), *news)
        if self._macro_url is not None:
            series = (MacroFeed(self._macro_url, self._series), *series)
        self._context = Context(Store(self._storage_root), news, series)
        self._epoch = epoch

    def health(self) -> dict[str, Any]:
        """Return the epoch (None before `start`) and until when each source is known."""
        read_at = {} if self._context is None else dict(self._context.read_at)
        return {"epoch": self._epoch, "read_at": read_at}

    def poll(self) -> ContextReport:
        """Store the headlines and values that are new; the first visit takes all there are."""
        if self._context is None or self._epoch is None:
            raise _not_ready("context feed")
        return self._context.poll()


def _not_ready(subject: str) -> ActorNotReady:
    return ActorNotReady(subject, "must be started first", "not started", "Call start(epoch).")
