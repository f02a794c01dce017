"""Bars of one exchange fetched into the store, window by window, and what is missing of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from dexml.data.feeds.exchange import FeedUpdate, Hole
from dexml.data.feeds.setting_aside import keep_refused
from dexml.data.quality import Rule, lone_jumps
from dexml.data.storage.revisions import without
from dexml.data.storage.store import Store
from dexml.domain import Timeframe

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
    that was killed, or ended because the exchange was down, is simply started again.

    Parameters
    ----------
    tell : callable
        Called after each window.

    Returns
    -------
    dict of instrument to BarsReport
    """
    reports = {name: BarsReport(instrument=name) for name in feed.instruments}
    n_deaf = 0
    for start, end in windows(since, until, feed.timeframe):
        update = feed.backfill(start, end)
        keep_refused(store, venue, feed.timeframe, update)
        for name, report in reports.items():
            n_new, n_aside = _store(store, venue, name, update)
            report = replace(report, aside=report.aside + n_aside)
            reports[name] = _added(report, update, n_new, feed.timeframe.step)
        tell()
        n_deaf = n_deaf + 1 if set(update.failed) >= set(reports) else 0
        if n_deaf == DEAF_WINDOWS and end < until:
            ended = f"Not asked for what closed after {end:%Y-%m-%d %H:%M}."
            return {
                name: replace(report, failed=f"{report.failed} {ended}")
                for name, report in reports.items()
            }
    return reports


def _store(store: Store, venue: str, name: str, update: FeedUpdate) -> tuple[int, int]:
    """Keep the bars of an instrument; return how many were new, and how many not believed."""
    bars = update.closed.get(name)
    if bars is None:
        return 0, 0
    lone = lone_jumps(bars)  # history shows what came after; live bars must do without
    if lone:
        rows = bars.frame().reset_index().iloc[list(lone)].assign(reason=str(Rule.LONE))
        store.set_aside(venue, name, bars.timeframe, rows, update.seen_at)
    n_new = store.append_bars(venue, without(bars, lone), update.seen_at)
    kept = store.bars(venue, name, bars.timeframe).closed_at
    return n_new, int((~np.isin(bars.closed_at, kept)).sum())


def _added(report: BarsReport, update: FeedUpdate, n_new: int, step: timedelta) -> BarsReport:
    name = report.instrument
    return replace(
        report,
        rows=report.rows + len(update.closed.get(name, ())),
        stored=report.stored + n_new,
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
