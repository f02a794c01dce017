"""Recorded rows put into the store: new ones are kept, and what is stored is never contradicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.data.recorded.bar_tables import LeftOut
from dexml.data.recorded.clock_check import clock_fault
from dexml.data.sources.stories import Stories
from dexml.data.storage.store import Store
from dexml.domain import PRICE_COLUMNS, Bars, Timeframe
from dexml.errors import DataError

__all__ = [
    "Agreeing",
    "Delivery",
    "Deposit",
    "agreeing",
    "deposit_bars",
    "deposit_last_bar",
    "deposit_news",
    "deposit_refused",
    "deposit_series",
]

MAX_CONTRADICTING = 0.05
_OTHER = "other numbers are stored"
_AGREE = 1e-6  # sources round to six or more digits
_DAY = pd.Timedelta(days=1)


class Delivery(NamedTuple):
    """Where bars come from, of which exchange they are, and when they are in hand."""

    file: str
    venue: str
    seen_at: datetime


class Deposit(NamedTuple):
    """What became of rows: kept (new or stored alike), of these new, and left out with reasons.

    Attributes
    ----------
    last : tuple of Bars
        The last bar of each instrument, of which it is not known yet whether it was closed.
    aside : tuple of LeftOut
        Sound bars that the store did not believe after those before them.
    """

    n_kept: int
    n_new: int
    faults: list[LeftOut]
    last: tuple[Bars, ...] = ()
    aside: tuple[LeftOut, ...] = ()


class Agreeing(NamedTuple):
    """Bars that contradict nothing that is stored, and those that do."""

    bars: list[Bars]
    other: list[Bars]


def agreeing(
    store: Store, delivery: Delivery, several: Sequence[Bars], check_clock: bool
) -> Agreeing:
    """Part bars by whether other numbers are stored for them.

    Raises
    ------
    DataError
        If more than 5% of the bars that are stored already have other numbers there, or the bars
        run on another clock than the stored ones of the same coin.
    """
    found = Agreeing([], [])
    for bars in several:
        if check_clock:
            _refuse_another_clock(store, delivery.file, delivery.venue, bars)
        other = _contradicting(bars, store.bars(delivery.venue, bars.instrument, bars.timeframe))
        _refuse_another_market(store, delivery.file, delivery.venue, bars, int(other.sum()))
        found.bars.append(_chosen(bars, ~other))
        found.other.append(_chosen(bars, other))
    return found


def deposit_bars(store: Store, delivery: Delivery, found: Agreeing) -> Deposit:
    """Store bars that are new; the last one of each instrument waits for `deposit_last_bar`."""
    complete = [bars.take(slice(0, -1)) for bars in found.bars]
    stored = [_append(store, delivery, bars) for bars in complete]
    aside = tuple(one for _, several in stored for one in several)
    return Deposit(
        n_kept=sum(map(len, complete)) - len(aside),
        n_new=sum(n_new for n_new, _ in stored),
        faults=[one for bars in found.other for one in _contradicted(store, delivery, bars)],
        last=tuple(bars.take(slice(-1, None)) for bars in found.bars if len(bars)),
        aside=aside,
    )


def deposit_last_bar(store: Store, delivery: Delivery, last: Bars, shown: bool = False) -> Deposit:
    """Store the last bar of a file if a later one shows that it was closed.

    A file is often written while its last bar is still open, and nothing in the row says so.

    Parameters
    ----------
    shown : bool
        Whether a later one is in hand that is not stored yet.
    """
    known = store.bars(delivery.venue, last.instrument, last.timeframe)
    if _contradicting(last, known).any():
        return Deposit(0, 0, _contradicted(store, delivery, last))
    if shown or (len(known) and known.closed_at[-1] >= last.closed_at[0]):
        n_new, aside = _append(store, delivery, last)
        return Deposit(1 - len(aside), n_new, [], aside=tuple(aside))
    return Deposit(0, 0, [LeftOut(None, "last bar, may still have been open")])


def deposit_refused(
    store: Store, delivery: Delivery, timeframe: Timeframe, refused: Mapping[str, pd.DataFrame]
) -> None:
    """Put the rows of a file that cannot be bars into quarantine."""
    for name, rows in refused.items():
        if len(rows):
            store.set_aside(delivery.venue, name, timeframe, rows, delivery.seen_at)


def deposit_series(store: Store, macro: pd.DataFrame) -> Deposit:
    """Store the values of periods that are new; a file cannot revise what is stored."""
    name = macro["series"].iloc[0]
    known = store.macro()
    known = known[known["series"] == name]
    first = known.drop_duplicates("period_at", keep="last").set_index("period_at")["value"]
    before = macro["period_at"].map(first).to_numpy(dtype=np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.abs(macro["value"].to_numpy() - before) > _AGREE * np.abs(before)
    stamps = macro["period_at"].dt.tz_localize(None).to_numpy()[apart]
    faults = _contradictions("another value is stored", stamps)
    n_new = store.append_macro(macro[np.isnan(before)])
    return Deposit(n_kept=len(macro) - len(faults), n_new=n_new, faults=faults)


def deposit_news(store: Store, news: pd.DataFrame) -> Deposit:
    """Store the headlines that tell something new, each story once."""
    once = Stories().fold(news)
    known = store.news()
    first, last = once["published_at"].min() - _DAY, once["published_at"].max() + _DAY
    near = known["published_at"].between(first, last)
    stories = Stories()
    stories.recall(known[near])
    n_new = store.append_news(stories.fold(once))
    faults = [LeftOut(None, "story told before")] * (len(news) - len(once))
    return Deposit(n_kept=len(once), n_new=n_new, faults=faults)


def _contradictions(reason: str, stamps: NDArray[np.datetime64]) -> list[LeftOut]:
    return [LeftOut(None, f"{reason} (first at {stamps[0]:.16})") for _ in stamps]


def _contradicted(store: Store, delivery: Delivery, bars: Bars) -> list[LeftOut]:
    if not len(bars):
        return []
    rows = bars.frame().reset_index().assign(reason=_OTHER)
    deposit_refused(store, delivery, bars.timeframe, {bars.instrument: rows})
    return _contradictions(_OTHER, bars.closed_at)


def _append(store: Store, delivery: Delivery, bars: Bars) -> tuple[int, list[LeftOut]]:
    series = (delivery.venue, bars.instrument, bars.timeframe)
    fresh = _chosen(bars, _unknown(bars, store.bars(*series)))
    n_new = store.append_bars(delivery.venue, fresh, delivery.seen_at)
    if n_new == len(fresh):
        return n_new, []
    doubted = pd.DatetimeIndex(fresh.closed_at[_unknown(fresh, store.bars(*series))], tz="UTC")
    told = store.quarantine(*series).drop_duplicates("closed_at", keep="last")
    why = told.set_index("closed_at")["reason"]
    return n_new, [LeftOut(None, str(why.get(at, "not believed"))) for at in doubted]


def _refuse_another_market(store: Store, file: str, venue: str, bars: Bars, n_other: int) -> None:
    known = store.bars(venue, bars.instrument, bars.timeframe)
    n_shared = int((~_unknown(bars, known)).sum())
    if n_other > max(MAX_CONTRADICTING * n_shared, 1):
        raise DataError(
            f"file {file}",
            f"must agree with the bars of {bars.instrument} stored for {venue}",
            f"other numbers in {n_other} of {n_shared}",
            "Give the venue it is from with --venue.",
        )


def _contradicting(bars: Bars, known: Bars) -> NDArray[np.bool_]:
    at = np.searchsorted(known.closed_at, bars.closed_at)
    here = ~_unknown(bars, known)
    other = np.zeros(len(bars), dtype=np.bool_)
    for name in PRICE_COLUMNS:
        given, stored = getattr(bars, name)[here], getattr(known, name)[at[here]]
        other[here] |= np.abs(given - stored) > _AGREE * np.abs(stored)
    return other


def _unknown(bars: Bars, known: Bars) -> NDArray[np.bool_]:
    return ~np.isin(bars.closed_at, known.closed_at)


def _chosen(bars: Bars, rows: NDArray[np.bool_]) -> Bars:
    return Bars.from_frame(bars.instrument, bars.timeframe, bars.frame()[rows])


def _refuse_another_clock(store: Store, file: str, venue: str, bars: Bars) -> None:
    source = _longest_overlap(store, venue, bars)
    fault = None if source is None else clock_fault(bars, store.bars(*source))
    if source is None or fault is None:
        return
    late = "late" if fault.n_bars > 0 else "early"
    raise DataError(
        f"file {file}",
        f"must run on the clock of {source[0]} {source[1]}",
        f"one bar too {late} (returns correlate {fault.as_stamped:.4f} as stamped, "
        f"{fault.as_shifted:.4f} shifted)",
        "Its stamps are the ends of bars, or in another zone: give --stamps close, or --stamps "
        "open if it is right.",
    )


def _longest_overlap(store: Store, venue: str, bars: Bars) -> tuple[str, str, Timeframe] | None:
    mine, coin = (venue, bars.instrument, bars.timeframe), bars.instrument.split("/")[0]
    shared: Mapping[tuple[str, str, Timeframe], int] = {
        series: _n_shared(bars, store.bars(*series))
        for series in store.series()
        if series != mine and series[1].split("/")[0] == coin
    }
    best = max(shared, key=lambda series: shared[series], default=None)
    return best if best is not None and shared[best] > 0 else None


def _n_shared(bars: Bars, known: Bars) -> int:
    if not len(bars) or not len(known):
        return 0
    first, last = (np.searchsorted(known.closed_at, bars.closed_at[at]) for at in (0, -1))
    return int(last - first)
