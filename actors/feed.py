"""Owners of what comes from outside: bars of one exchange each; news and macro series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from dexml.domain import Timeframe
from dexml.errors import ActorNotReady, DataError

if TYPE_CHECKING:
    from dexml.clock import Clock
    from dexml.data.exchange import ExchangeFeed, FeedUpdate, Hole
    from dexml.data.following import Following
    from dexml.data.keeping import Keeper
    from dexml.data.macro import MacroFeed, MacroUpdate
    from dexml.data.news import NewsFeed, Stories
    from dexml.data.store import Store

__all__ = ["ContextActor", "ContextReport", "FeedActor", "FeedReport"]

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
        self._storage_root = Path(storage_root)
        self._epoch: int | None = None
        self._feed: ExchangeFeed | None = None
        self._keeper: Keeper | None = None
        self._following: Following | None = None

    def start(self, epoch: int) -> None:
        """Open the store and the driver, and recall the last bar of each instrument."""
        from dexml.data.exchange import ExchangeFeed
        from dexml.data.keeping import Keeper
        from dexml.data.store import Store

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
        from dexml.data.following import Following
        from dexml.data.live import LiveFeed

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
            n_new += keeper.keep(update)
            whole = whole.with_what(update).without_bars()
        return self._report(keeper, whole, n_new)

    def poll(self) -> FeedReport:
        """Store what has closed since the last visit; whatever was missed is fetched first."""
        feed, keeper = self._ready()
        if self._following is not None and self._following.is_alive:
            return self._report(keeper, *self._following.told())
        overlap = OVERLAP * Timeframe(self._timeframe).step
        update = feed.poll({name: at and at - overlap for name, at in keeper.last.items()})
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextReport:
    """What a visit to the news and macro sources brought."""

    n_news: int
    n_macro: int
    failed: dict[str, str]


class ContextActor:
    """Own news and macro series: read them, fold duplicates, append them to the store.

    Parameters
    ----------
    news_url : str or None
        RSS feed; None for no news.
    macro_url : str or None
        Base address of the series; None for none.
    series : sequence of str
        Names of macro series.
    """

    def __init__(
        self,
        news_url: str | None,
        macro_url: str | None,
        instruments: Sequence[str],
        series: Sequence[str],
        storage_root: str | Path,
    ) -> None:
        self._news_url, self._macro_url = news_url, macro_url
        self._instruments, self._series = tuple(instruments), tuple(series)
        self._storage_root = Path(storage_root)
        self._epoch: int | None = None
        self._store: Store | None = None
        self._news: NewsFeed | None = None
        self._macro: MacroFeed | None = None
        self._read_at: dict[str, datetime] = {}
        self._stories: Stories | None = None
        self._values: dict[tuple[str, pd.Timestamp], float] = {}

    def start(self, epoch: int) -> None:
        """Open the store and the sources, and recall what is stored."""
        from dexml.data.macro import MacroFeed
        from dexml.data.news import NewsFeed, Stories
        from dexml.data.store import Store

        self._store, self._stories = Store(self._storage_root), Stories()
        self._read_at, self._values = {}, {}
        if self._news_url is not None:
            self._news = NewsFeed(self._news_url, self._instruments)
        if self._macro_url is not None:
            self._macro = MacroFeed(self._macro_url, self._series)
        self._recall(self._store.news(), self._store.macro(), self._stories)
        self._epoch = epoch

    def health(self) -> dict[str, Any]:
        """Return the epoch (None before `start`) and until when each source is known."""
        return {"epoch": self._epoch, "read_at": dict(self._read_at)}

    def poll(self) -> ContextReport:
        """Store the headlines and values that are new; the first visit takes all there are."""
        if self._store is None or self._stories is None or self._epoch is None:
            raise _not_ready("context feed")
        failed: dict[str, str] = {}
        n_news = self._poll_news(self._store, self._stories, failed)
        n_macro = self._poll_macro(self._store, failed)
        return ContextReport(n_news=n_news, n_macro=n_macro, failed=failed)

    def _recall(self, news: pd.DataFrame, macro: pd.DataFrame, stories: Stories) -> None:
        stories.recall(news)
        if len(news):
            self._read_at["news"] = news["known_at"].max().to_pydatetime()
        macro = macro.sort_values("known_at", kind="stable")
        self._remember(macro)
        for series, known_at in zip(macro["series"], macro["known_at"], strict=True):
            self._read_at[series] = known_at.to_pydatetime()

    def _poll_news(self, store: Store, stories: Stories, failed: dict[str, str]) -> int:
        if self._news is None:
            return 0
        try:
            update = self._news.fetch(self._read_at.get("news"))
        except DataError as error:
            failed["news"] = str(error)
            return 0
        fresh = stories.fold(update.news)
        if len(fresh):
            store.append_news(fresh)
        self._read_at["news"] = update.fetched_at
        return len(fresh)

    def _poll_macro(self, store: Store, failed: dict[str, str]) -> int:
        if self._macro is None:
            return 0
        update = self._macro.fetch()
        failed |= update.failed
        fresh = self._fresh(update)
        if len(fresh):
            store.append_macro(fresh)
        self._remember(fresh)
        self._read_at |= update.fetched_at
        return len(fresh)

    def _remember(self, macro: pd.DataFrame) -> None:
        keys = zip(macro["series"], macro["period_at"], strict=True)
        self._values.update(zip(keys, macro["value"], strict=True))

    def _fresh(self, update: MacroUpdate) -> pd.DataFrame:
        rows = update.macro
        stored = [
            self._values.get(key) for key in zip(rows["series"], rows["period_at"], strict=True)
        ]
        new = [old != value for old, value in zip(stored, rows["value"], strict=True)]
        revised = [old is not None for old in stored]
        fresh = rows.assign(revised=revised)[pd.Series(new, index=rows.index, dtype=bool)]
        # what claims to be older than the last visit was not there then: it is known from now
        read_at = pd.to_datetime(fresh["series"].map(self._read_at), utc=True)
        late = fresh["revised"] | (fresh["known_at"] <= read_at)
        now = pd.to_datetime(fresh["series"].map(dict(update.fetched_at)), utc=True)
        known_at = fresh["known_at"].where(~late, now.dt.as_unit("ns"))
        return fresh.assign(known_at=known_at).drop(columns="revised").reset_index(drop=True)


def _not_ready(subject: str) -> ActorNotReady:
    return ActorNotReady(subject, "must be started first", "not started", "Call start(epoch).")
