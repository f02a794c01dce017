"""News and series from any number of sources into the store: once each, and never into the past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd

from dexml.data.sources.macro import MacroSource, MacroUpdate
from dexml.data.sources.news import NewsSource, NewsUpdate
from dexml.data.sources.stories import Stories, oldest_kept
from dexml.data.storage.store import Store
from dexml.errors import DataError

__all__ = ["Context", "ContextReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextReport:
    """What a visit to the sources brought; `failed` tells why not, by source or series."""

    n_news: int
    n_macro: int
    failed: dict[str, str]


class Context:
    """Visit sources, and store what is new.

    Parameters
    ----------
    store : Store
        What it holds is recalled, so that a restart repeats nothing.
    news, series : sequences of sources
        Each has a name of its own.

    Attributes
    ----------
    read_at : dict of datetime
        Until when each news source and each series is known.
    """

    def __init__(
        self, store: Store, news: Sequence[NewsSource], series: Sequence[MacroSource]
    ) -> None:
        self._store, self._news, self._series = store, tuple(news), tuple(series)
        self._stories = Stories()
        self._values: dict[tuple[str, pd.Timestamp], float] = {}
        self.read_at: dict[str, datetime] = {}
        self._recall()

    def poll(self) -> ContextReport:
        """Store the headlines and values that are new; the first visit takes all there are."""
        failed: dict[str, str] = {}
        n_news = self._poll_news(failed)
        n_macro = sum(self._poll_series(source, failed) for source in self._series)
        return ContextReport(n_news=n_news, n_macro=n_macro, failed=failed)

    def _recall(self) -> None:
        news = self._store.news()
        if len(news):  # a source that never answered is asked from the newest headline of all
            self._stories = Stories(since=oldest_kept(news))
            self._stories.recall(news)
            newest = news["known_at"].max().to_pydatetime()
            self.read_at |= {source.name: newest for source in self._news}
        macro = self._store.macro().sort_values("known_at", kind="stable")
        self._remember(macro)
        for series, known_at in zip(macro["series"], macro["known_at"], strict=True):
            self.read_at[series] = known_at.to_pydatetime()

    def _poll_news(self, failed: dict[str, str]) -> int:
        updates = {}
        for source in self._news:
            try:
                since = self.read_at.get(source.name)
                updates[source.name] = _never_before(source.fetch(since), since)
            except DataError as error:
                failed[source.name] = str(error)
        told = [update.news for update in updates.values() if len(update.news)]
        # folded together, so that the order of the sources does not matter
        fresh = self._folded(pd.concat(told, ignore_index=True)) if told else pd.DataFrame()
        if len(fresh):
            self._keep(fresh)
        self.read_at |= {name: update.fetched_at for name, update in updates.items()}
        return len(fresh)

    def _keep(self, fresh: pd.DataFrame) -> None:
        try:
            self._store.append_news(fresh)
        except BaseException:  # what is not kept was not told, and is new when it is read again
            self._stories = Stories()
            self._stories.recall(self._store.news())
            raise

    def _folded(self, told: pd.DataFrame) -> pd.DataFrame:
        first = told["published_at"].min()
        if not self._stories.reaches(first):  # an archive: its stories are compared with the store
            self._stories = Stories()
            self._stories.recall(self._store.news())
        return self._stories.fold(told)

    def _poll_series(self, source: MacroSource, failed: dict[str, str]) -> int:
        visits = [self.read_at.get(name) for name in source.series]
        seen = [at for at in visits if at is not None]
        try:
            update = source.fetch(min(seen) if seen and len(seen) == len(visits) else None)
        except DataError as error:
            failed[source.name] = str(error)
            return 0
        failed |= update.failed
        fresh = self._fresh(update)
        if len(fresh):
            self._store.append_macro(fresh)
        self._remember(fresh)
        self.read_at |= update.fetched_at
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
        read_at = pd.to_datetime(fresh["series"].map(self.read_at), utc=True)
        late = fresh["revised"] | (fresh["known_at"] <= read_at)
        now = pd.to_datetime(fresh["series"].map(dict(update.fetched_at)), utc=True)
        known_at = fresh["known_at"].where(~late, now.dt.as_unit("ns"))
        return fresh.assign(known_at=known_at).drop(columns="revised").reset_index(drop=True)


# After the first visit nothing is known before it was fetched: who decided by then did not have it.
def _never_before(update: NewsUpdate, since: datetime | None) -> NewsUpdate:
    if since is None or not len(update.news):
        return update
    known_at, now = update.news["known_at"], pd.Timestamp(update.fetched_at).as_unit("ns")
    return replace(update, news=update.news.assign(known_at=known_at.where(known_at > now, now)))
