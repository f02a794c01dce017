"""Bars of one exchange fetched into the store, window by window, and what is missing of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
import pandas as pd

from dexml.data.feeds.exchange import FeedUpdate, Hole
from dexml.data.feeds.setting_aside import keep_refused
from dexml.data.quality import Rule, lone_jumps
from dexml.data.storage.revisions import without
from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe

__all__ = ["BarSource", "BarsReport", "backfill_bars", "joined_holes", "windows"]

BARS_A_WINDOW = 720
DEAF_WINDOWS = 2  # an exchange that answered nothing for so many is not asked for the rest


class BarSource(Protocol):
    """Whatever can be asked for the bars closed in (since, until]; see `ExchangeFeed`."""

    instruments: tuple[str, ...]
    timeframe: Timeframe

    def backfill(self, since: datetime, until: datetime) -> FeedUpdate: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BarsReport:
    """What became of an instrument.

    Attributes
    ----------
    rows, stored, refused, aside : int
        Bars that came, those that the store did not have, rows that were no bars, and bars that
        nobody believed; the last two lie in quarantine.
    holes : tuple of Hole
        Bars that were asked for and did not come.
    failed : str
        Why a window could not be read; empty if all could.
    """

    instrument: str
    rows: int = 0
    stored: int = 0
    refused: int = 0
    aside: int = 0
    holes: tuple[Hole, ...] = ()
    failed: str = ""

    @property
    def n_missing(self) -> int:
        return sum(hole.n_bars for hole in self.holes)


def windows(
    since: datetime, until: datetime, timeframe: Timeframe
) -> Iterator[tuple[datetime, datetime]]:
    """Cut (since, until] into windows of 720 bars.

    Examples
    --------
    >>> from datetime import UTC
    >>> at = datetime(2024, 1, 1, tzinfo=UTC)
    >>> [str(end - start) for start, end in windows(at, at + timedelta(days=50), Timeframe.H1)]
    ['30 days, 0:00:00', '20 days, 0:00:00']
    """
    step = BARS_A_WINDOW * timeframe.step
    while since < until:
        yield since, min(since + step, until)
        since += step


def backfill_bars(
    feed: BarSource,
    store: Store,
    venue: str,
    since: datetime,
    until: datetime,
    tell: Callable[[], None] = lambda: None,
) -> dict[str, BarsReport]:
    """Store the bars closed in (since, until].

    Each window is stored before the next is asked for; doing it again stores nothing, so a backfill
    that was killed, or ended because the exchange was down, is simply started again. The last bar
    of a window waits for the next one, by which it is judged, so that what is stored does not
    depend on how the time was cut.

    Parameters
    ----------
    tell : callable
        Called after each window.

    Returns
    -------
    dict of instrument to BarsReport
    """
    reports = {name: BarsReport(instrument=name) for name in feed.instruments}
    waiting = {name: _Waiting(store, venue) for name in feed.instruments}
    n_deaf = 0
    for start, end in windows(since, until, feed.timeframe):
        update = feed.backfill(start, end)
        keep_refused(store, venue, feed.timeframe, update)
        for name, report in reports.items():
            waiting[name].take_in(update.closed.get(name), update.seen_at)
            reports[name] = _added(report, update, feed.timeframe.step)
        tell()
        n_deaf = n_deaf + 1 if set(update.failed) >= set(reports) else 0
        if n_deaf == DEAF_WINDOWS and end < until:
            ended = f"Not asked for what closed after {end:%Y-%m-%d %H:%M}."
            reports = {
                name: replace(report, failed=f"{report.failed} {ended}")
                for name, report in reports.items()
            }
            break
    return {name: waiting[name].ended(report) for name, report in reports.items()}


class _Waiting:
    """An instrument's bars on their way into the store.

    The newest waits for the next one, by which it is judged; the one before it stays at hand, as
    it came, so that bars have the same neighbours wherever a window ends.
    """

    def __init__(self, store: Store, venue: str) -> None:
        self._store, self._venue = store, venue
        self._rows: Bars | None = None
        self._n_judged = 0  # of those rows
        self._seen_at: datetime | None = None
        self._n_new = self._n_aside = 0

    def take_in(self, bars: Bars | None, seen_at: datetime | None) -> None:
        """Store all but the last; without bars that follow, the last of those before, too."""
        if bars is None or self._rows is None or bars.closed_at[0] <= self._rows.closed_at[-1]:
            self._end()
        if bars is None:
            return
        rows = bars if self._rows is None else _joined(self._rows, bars)
        lone, last = lone_jumps(rows), len(rows) - 1
        self._seen_at = seen_at
        judged = {row - self._n_judged: rule for row, rule in lone.items()}
        self._keep(rows.take(slice(self._n_judged, last)), judged)
        # what jumped alone is no neighbour
        self._n_judged = int(last > 0 and last - 1 not in lone)
        self._rows = rows.take(slice(last - self._n_judged, None))

    def ended(self, report: BarsReport) -> BarsReport:
        """Store what still waits; return the report with what became of all."""
        self._end()
        return replace(report, stored=self._n_new, aside=self._n_aside)

    def _end(self) -> None:
        if self._rows is not None:
            self._keep(self._rows.take(slice(self._n_judged, None)), {})
        self._rows, self._n_judged = None, 0

    def _keep(self, bars: Bars, lone: Mapping[int, Rule]) -> None:
        series = (self._venue, bars.instrument, bars.timeframe)
        if lone:
            rows = bars.frame().reset_index().iloc[list(lone)].assign(reason=str(Rule.LONE))
            self._store.set_aside(*series, rows, self._seen_at)
        self._n_new += self._store.append_bars(self._venue, without(bars, lone), self._seen_at)
        kept = self._store.bars(*series).closed_at
        self._n_aside += int((~np.isin(bars.closed_at, kept)).sum())


def _joined(bars: Bars, more: Bars) -> Bars:
    both = pd.concat([bars.frame(), more.frame()])
    return Bars.from_frame(bars.instrument, bars.timeframe, both)


def _added(report: BarsReport, update: FeedUpdate, step: timedelta) -> BarsReport:
    name = report.instrument
    return replace(
        report,
        rows=report.rows + len(update.closed.get(name, ())),
        refused=report.refused + len(update.refused.get(name, ())),
        holes=joined_holes(report.holes, update.holes.get(name, ()), step),
        failed=report.failed or update.failed.get(name, ""),
    )


def joined_holes(
    before: tuple[Hole, ...], after: tuple[Hole, ...], step: timedelta
) -> tuple[Hole, ...]:
    """Return the holes of two spans in a row; one over the edge between them is one hole."""
    if not before or not after:
        return before + after
    last, first = before[-1], after[0]
    if first.first - last.last != step or first.reason != last.reason:
        return before + after
    both = replace(last, last=first.last, n_bars=last.n_bars + first.n_bars)
    return (*before[:-1], both, *after[1:])
