"""Bars that an exchange no longer shows, stored as they are summed up from its trades."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.data.feeds.backfill import BarsReport, joined_holes
from dexml.data.feeds.exchange import Hole
from dexml.data.feeds.past_trades import SILENCE_S, TradesCost
from dexml.data.feeds.rows import Row, bars_of
from dexml.data.feeds.trade_history import TradeHistory
from dexml.data.storage.store import Store
from dexml.domain import Timeframe, to_datetime64
from dexml.errors import DataError

__all__ = ["Span", "add_from_trades", "spans_to_build", "without_stored"]

STORED_TOGETHER = 24  # bars; a backfill that is killed loses no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Bars of an instrument to be built: they open in [first_s, until_s); and what it takes."""

    instrument: str
    first_s: int
    until_s: int
    cost: TradesCost

    def __str__(self) -> str:
        first, last = (datetime.fromtimestamp(at, UTC) for at in (self.first_s, self.until_s))
        return (
            f"{self.instrument}: bars from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} take "
            f"{self.cost.n_trades:,} trades, {self.cost.n_requests:,} requests, about "
            f"{ceil(self.cost.seconds / 60):,} min"
        )


def spans_to_build(
    history: TradeHistory, reports: Mapping[str, BarsReport]
) -> tuple[list[Span], dict[str, str]]:
    """Return the holes of `reports` with what it takes to fill them; and who did not answer."""
    spans, failed = [], {}
    for name, report in reports.items():
        try:
            spans += [_span(history, name, hole) for hole in report.holes]
        except DataError as error:
            failed[name] = str(error)
    return spans, failed


def _span(history: TradeHistory, name: str, hole: Hole) -> Span:
    first_s = int(hole.first.timestamp()) - history.timeframe.seconds
    until_s = int(hole.last.timestamp())
    cost = history.cost(name, first_s, until_s)
    return Span(instrument=name, first_s=first_s, until_s=until_s, cost=cost)


def add_from_trades(
    history: TradeHistory,
    store: Store,
    venue: str,
    spans: list[Span],
    reports: Mapping[str, BarsReport],
    tell: Callable[[], None] = lambda: None,
) -> dict[str, BarsReport]:
    """Build and store the spans; return the reports with what came of it.

    Every `STORED_TOGETHER` bars are stored at once, and what is stored is not built again: one that
    was killed is simply started again.

    Parameters
    ----------
    tell : callable
        Called after each request.
    """
    found = dict(reports)
    for span in spans:
        name, timeframe = span.instrument, history.timeframe
        n_rows = n_new = 0
        try:
            for rows in _together(history.rows(name, span.first_s, span.until_s), tell):
                n_rows += len(rows)
                bars = bars_of(name, timeframe, rows)
                n_new += store.append_bars(venue, bars, history.now())
        except DataError as error:
            found[name] = replace(found[name], failed=found[name].failed or str(error))
        report = found[name]
        found[name] = replace(report, rows=report.rows + n_rows, stored=report.stored + n_new)
    for name in sorted({span.instrument for span in spans}):
        left = without_stored(store, venue, history.timeframe, found[name])
        bars = store.bars(venue, name, history.timeframe)
        found[name] = _explained(left, bars.closed_at[:1], history.timeframe.step)
    return found


def _together(answers: Iterator[list[Row]], tell: Callable[[], None]) -> Iterator[list[Row]]:
    waiting: list[Row] = []
    for rows in answers:
        tell()
        waiting += rows
        if len(waiting) >= STORED_TOGETHER:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def without_stored(
    store: Store, venue: str, timeframe: Timeframe, report: BarsReport
) -> BarsReport:
    """Return the report with its holes narrowed to what neither store nor quarantine has."""
    name, step_s = report.instrument, timeframe.seconds
    aside = store.quarantine(venue, name, timeframe)["closed_at"]
    bars = store.bars(venue, name, timeframe)
    have = np.concatenate([bars.closed_at, pd.DatetimeIndex(aside).asi8.view("M8[ns]")])
    have_s = have.astype("datetime64[s]").astype(np.int64)
    left = []
    for hole in report.holes:
        first_s, last_s = int(hole.first.timestamp()), int(hole.last.timestamp())
        closes = np.setdiff1d(np.arange(first_s, last_s + 1, step_s), have_s)
        parted = np.split(closes, np.flatnonzero(np.diff(closes) > step_s) + 1)
        left += [_hole(run, hole.reason) for run in parted if len(run)]
    return replace(report, holes=tuple(left))


def _hole(closes_s: NDArray[np.int64], reason: str) -> Hole:
    first, last = (datetime.fromtimestamp(int(closes_s[end]), UTC) for end in (0, -1))
    return Hole(first=first, last=last, n_bars=len(closes_s), reason=reason)


def _explained(report: BarsReport, first: NDArray[np.datetime64], step: timedelta) -> BarsReport:
    told = [replace(hole, reason=_why(report, hole, first)) for hole in report.holes]
    holes: tuple[Hole, ...] = ()
    for hole in told:
        holes = joined_holes(holes, (hole,), step)
    return replace(report, holes=holes)


def _why(report: BarsReport, hole: Hole, first: NDArray[np.datetime64]) -> str:
    if report.failed:
        return "the trades could not be read"
    if not len(first) or to_datetime64(hole.first) < first[0]:
        return "nobody had traded yet"
    return (
        f"nobody traded, and after {SILENCE_S // 3_600} h without a trade no bars are made up: "
        "the market was halted, or is gone"
    )
