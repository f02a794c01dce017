"""Owners of what comes from outside: bars of one exchange each; news and macro series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dexml.domain import Timeframe
from dexml.errors import ActorNotReady

if TYPE_CHECKING:
    from dexml.clock import Clock
    from dexml.data.feeds.exchange import ExchangeFeed, FeedUpdate, Hole
    from dexml.data.feeds.following import Following
    from dexml.data.feeds.keeping import Keeper
    from dexml.data.sources.context import Context, ContextReport
    from dexml.data.sources.macro import MacroSource
    from dexml.data.sources.news import NewsSource

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
    the store. Doing anything twice changes nothing. After `listen` bars are stored as they close,
    and `poll` tells what came; without it, or should the listening end, `poll` asks.
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
        self._storage_root = storage_root
        self._epoch: int | None = None
        self._feed: ExchangeFeed | None = None
        self._keeper: Keeper | None = None
        self._following: Following | None = None

    def start(self, epoch: int) -> None:
        """Open the store and the driver, and recall the last bar of each instrument."""
        from dexml.data.feeds.exchange import ExchangeFeed
        from dexml.data.feeds.keeping import Keeper
        from dexml.data.storage.store import Store

        self._end_following()
        if self._feed is not None:
            self._feed.close()
        store = Store(self._storage_root)
        self._feed = ExchangeFeed(self._venue, self._url, self._instruments, self._timeframe)
        self._keeper = Keeper(store, self._venue, self._instruments, self._timeframe)
        self._epoch = epoch

    def health(self) -> dict[str, Any]:
        """Return the epoch (None before `start`), the newest close stored, and if it listens."""
        newest = None if self._keeper is None else self._keeper.newest
        return {
            "venue": self._venue,
            "epoch": self._epoch,
            "closed_at": newest,
            "listening": self._following is not None and self._following.is_alive,
        }

    def listen(self, clock: Clock | None = None, tick_s: float = 1.0) -> None:
        """Store bars as they close, until `start`; what was missed since the last one first.

        Parameters
        ----------
        clock : Clock, optional
            Says when a bar has ended; the wall clock unless given.
        tick_s : float
            How often it is looked at.
        """
        from dexml.clock import SystemClock
        from dexml.data.feeds.following import Following
        from dexml.data.feeds.live import LiveFeed

        _, keeper = self._ready()
        self._end_following()
        where = (self._venue, self._url, self._instruments, self._timeframe)
        live = LiveFeed(*where, keeper.last, clock or SystemClock())
        self._following = Following(live, keeper.keep, tick_s)

    def _end_following(self) -> None:
        if self._following is not None:
            self._following.stop()
        self._following = None

    def backfill(self, since: datetime, until: datetime) -> FeedReport:
        """Store the bars closed in (since, until], each instrument's as soon as they are read."""
        feed, keeper = self._ready()
        whole, n_new = feed.backfill(since, until, ()), 0
        for name in self._instruments:
            update = feed.backfill(since, until, (name,))
            n_new += keeper.keep(update, live=False)
            whole = whole.with_what(update).without_bars()
        return self._report(keeper, whole, n_new)

    def poll(self, at: datetime | None = None) -> FeedReport:
        """Store what has closed since the last visit; whatever was missed is fetched first.

        Parameters
        ----------
        at : datetime, optional
            What time it is for who asks; the wall clock unless given.
        """
        feed, keeper = self._ready()
        if self._following is not None and self._following.is_alive:
            return self._report(keeper, *self._following.told())
        overlap = OVERLAP * Timeframe(self._timeframe).step
        update = feed.poll({name: at and at - overlap for name, at in keeper.last.items()})
        if at is not None:
            update = replace(update, seen_at=at)
        return self._report(keeper, update, keeper.keep(update))

    def _ready(self) -> tuple[ExchangeFeed, Keeper]:
        if self._feed is None or self._keeper is None or self._epoch is None:
            raise _not_ready(f"feed of {self._venue}")
        return self._feed, self._keeper

    def _report(self, keeper: Keeper, update: FeedUpdate, n_new: int) -> FeedReport:
        closed_at = keeper.newest
        return FeedReport(
            venue=self._venue,
            closed_at=closed_at,
            n_new=n_new,
            prices=update.prices,
            behind=tuple(name for name, at in keeper.last.items() if at != closed_at),
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
        self._storage_root = storage_root
        self._more_news, self._more_series = tuple(more_news), tuple(more_series)
        self._epoch: int | None = None
        self._context: Context | None = None

    def start(self, epoch: int) -> None:
        """Open the store and the sources, and recall what is stored."""
        from dexml.data.sources.context import Context
        from dexml.data.sources.macro import MacroFeed
        from dexml.data.sources.news import NewsFeed
        from dexml.data.storage.store import Store

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
