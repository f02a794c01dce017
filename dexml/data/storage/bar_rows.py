"""Bars as they are stored: each revision of each bar with the instant from which it was known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from dexml.data.storage.schemas import BARS
from dexml.domain import PRICE_COLUMNS, Bars, Timeframe, price_fault, sound_rows, unchecked
from dexml.errors import DataError

__all__ = [
    "ARRIVAL_S",
    "BarRows",
    "bars_of",
    "believed",
    "fresh_rows",
    "in_time_for",
    "latest",
    "timeframe_of",
    "united",
    "withdrawn",
]

_MARKS = ("closed_at", "revision", "known_at")
_INSTANT = BARS.field("closed_at").type
_TICK = 1_000  # nanoseconds
ARRIVAL_S = 10  # a bar seen no later was in time for the decision at its close


class BarRows(NamedTuple):
    """Rows of one series in columns.

    Attributes
    ----------
    marks : ndarray of int64, shape (3, n_rows)
        `closed_at` and `known_at` in nanoseconds UTC, `revision` between them: 0, 1, ... of a bar
        that was changed, negative where the bar was withdrawn, see `withdrawn`.
    prices : ndarray of float64, shape (5, n_rows)
        `PRICE_COLUMNS`.
    """

    marks: NDArray[np.int64]
    prices: NDArray[np.float64]

    @classmethod
    def empty(cls) -> BarRows:
        """Return no rows."""
        return cls(np.empty((3, 0), dtype=np.int64), np.empty((5, 0)))

    @classmethod
    def of(cls, table: pa.Table) -> BarRows:
        """Return the rows of a table with the columns of `BARS`.

        Raises
        ------
        DataError
            If one of them is no bar.
        """
        marks = [table[name].to_numpy().astype(np.int64, copy=False) for name in _MARKS]
        rows = cls(np.stack(marks), np.stack([table[name].to_numpy() for name in PRICE_COLUMNS]))
        sound = sound_rows(rows.prices)
        if not sound.all():
            raise _no_bar(rows.take(int(np.argmin(sound))))
        return rows

    @property
    def n_rows(self) -> int:
        return int(self.marks.shape[1])

    @property
    def closed_at(self) -> NDArray[np.int64]:
        stamps: NDArray[np.int64] = self.marks[0]
        return stamps

    @property
    def are_withdrawn(self) -> NDArray[np.bool_]:
        """Tell which rows say that there is no such bar."""
        negative: NDArray[np.bool_] = self.marks[1] < 0
        return negative

    @property
    def months(self) -> NDArray[np.datetime64]:
        """Return the month in which each bar closed."""
        return self.closed_at.view("M8[ns]").astype("M8[M]")

    def take(self, rows: Any) -> BarRows:
        """Return some rows: a slice, places or a mask."""
        return BarRows(self.marks[:, rows], self.prices[:, rows])

    @classmethod
    def joined(cls, parts: Iterable[BarRows]) -> BarRows:
        """Return the rows of some parts after one another."""
        marks, prices = zip(cls.empty(), *parts, strict=True)
        return cls(np.concatenate(marks, axis=1), np.concatenate(prices, axis=1))

    def known_at(self, instant: pd.Timestamp) -> BarRows:
        """Return what was known at an instant."""
        return self.take(self.marks[2] <= instant.value)

    def is_after(self, closed_at: int) -> bool:
        """Tell whether each bar is later than the one before it, and the first than an instant."""
        return bool((np.diff(self.closed_at, prepend=closed_at) > 0).all())

    def table(self) -> pa.Table:
        """Return the rows as a table with the columns of `BARS`."""
        closed_at, revision, known_at = self.marks
        stamps = {"closed_at": closed_at, "known_at": known_at}
        columns = {
            "revision": pa.array(revision),
            **{name: pa.array(at.view("M8[ns]"), _INSTANT) for name, at in stamps.items()},
            **{name: pa.array(row) for name, row in zip(PRICE_COLUMNS, self.prices, strict=True)},
        }
        return pa.table([columns[name] for name in BARS.names], schema=BARS)


def latest(rows: BarRows) -> BarRows:
    """Return the last revision of each bar, oldest bar first, whatever the order of `rows`.

    A bar that was withdrawn is among them, see `believed`.
    Revisions of one bar are ordered by when they were known. Two writers without a lock may make
    two at one instant; then their numbers decide, the same ones for every reader.
    """
    if rows.n_rows and rows.is_after(rows.closed_at[0] - 1):
        return rows
    closed_at, revision, known_at = rows.marks
    order = np.lexsort((*rows.prices[::-1], revision, known_at, closed_at))
    ordered = rows.take(order)
    return ordered.take(np.diff(ordered.closed_at, append=np.iinfo(np.int64).max) != 0)


def believed(rows: BarRows) -> BarRows:
    """Return what `latest` gave, less the bars that were withdrawn."""
    gone = rows.are_withdrawn
    return rows.take(~gone) if gone.any() else rows


def withdrawn(rows: BarRows, seen: int) -> BarRows:
    """Return the revisions by which stored bars are no longer believed.

    They keep the numbers of the bars, so that one that is offered again is recognised.

    Parameters
    ----------
    seen : int
        From when that is known, in nanoseconds.
    """
    closed_at, revision, known_at = rows.marks
    marks = [closed_at, -np.abs(revision) - 1, np.maximum(known_at + _TICK, seen)]
    return BarRows(np.stack(marks), rows.prices)


def united(parts: Sequence[BarRows]) -> BarRows:
    """Return the rows of all, each once, by close, revision and when they were known."""
    rows = BarRows.joined(parts)
    ordered = rows.take(np.lexsort((*rows.prices[::-1], *rows.marks[::-1])))
    new = np.ones(rows.n_rows, dtype=np.bool_)
    new[1:] = (np.diff(ordered.marks) != 0).any(axis=0)
    new[1:] |= (np.diff(ordered.prices) != 0).any(axis=0)
    return ordered.take(new)


def bars_of(instrument: str, timeframe: Timeframe, rows: BarRows) -> Bars:
    """Return rows that `believed` gave as `Bars`."""
    prices = dict(zip(PRICE_COLUMNS, rows.prices, strict=True))
    return unchecked(instrument, timeframe, rows.closed_at.view("M8[ns]"), prices)


def fresh_rows(
    known: BarRows,
    bars: Bars,
    seen_at: pd.Timestamp,
    live: bool = False,
    followed_from: int | None = None,
) -> BarRows:
    """Return the rows of `bars` that are new or changed.

    Parameters
    ----------
    known : BarRows
        The last revision of each bar, see `latest`.
    seen_at : Timestamp
        When `bars` were in hand; never taken to be before the newest close given or stored.
    live : bool
        Whether they came as they closed, and not as history that was fetched later.
    followed_from : int, optional
        The close, in nanoseconds, after which somebody listened to the instrument at any exchange.

    Notes
    -----
    A changed bar is known from `seen_at`, and so is a new one that what is stored had passed over
    (there are bars before it and after it). Any other new bar is known from its close, unless it
    is seen over `ARRIVAL_S` later and closed after `followed_from`, or came live to a series that
    had bars already: then whoever listened decided without it. What came live up to `ARRIVAL_S`
    after a close counts as seen at that close, whose decision used it.
    """
    closed_at = bars.closed_at.view(np.int64)
    given = np.stack([getattr(bars, name) for name in PRICE_COLUMNS])
    marks = np.stack([closed_at, np.zeros_like(closed_at), closed_at])
    places = np.searchsorted(known.closed_at, closed_at)
    there = np.flatnonzero(places < known.n_rows)
    there = there[known.closed_at[places[there]] == closed_at[there]]
    before = known.take(places[there])
    changed = (before.prices != given[:, there]).any(axis=0)
    marks[1, there] = np.abs(before.marks[1]) + 1
    ends = [int(stamps[-1]) for stamps in (closed_at, known.closed_at) if len(stamps)]
    came_at = in_time_for(seen_at.value, bars.timeframe) if live else seen_at.value
    seen = max(came_at, *ends, 0)
    late = _passed_over(known, closed_at)
    since = np.iinfo(np.int64).min if live and known.n_rows else followed_from
    if since is not None:
        late |= (seen - closed_at > ARRIVAL_S * 10**9) & (closed_at > since)
    marks[2, late] = seen
    # a revision is later than what it replaces, else a past decision would see it
    marks[2, there] = np.maximum(before.marks[2] + _TICK, seen)
    kept = np.ones(len(closed_at), dtype=np.bool_)
    kept[there] = changed
    return BarRows(marks, given).take(kept)


def in_time_for(instant: int, timeframe: Timeframe) -> int:
    """Return the close whose decision could use what was seen at an instant, or the instant.

    Examples
    --------
    >>> hour = 3_600 * 10**9
    >>> in_time_for(hour + 9 * 10**9, Timeframe.H1) == hour, in_time_for(hour - 1, Timeframe.H1)
    (True, 3599999999999)
    """
    after_close = instant % (timeframe.seconds * 10**9)
    return instant - after_close if after_close <= ARRIVAL_S * 10**9 else instant


def timeframe_of(bars: Iterable[Bars]) -> Timeframe:
    """Return the one timeframe of some bars; raises DataError if there are several."""
    found = sorted({one.timeframe for one in bars})
    if len(found) > 1:
        raise DataError(
            "bars of one append",
            "must be of one timeframe",
            ", ".join(found),
            "Append each timeframe by itself.",
        )
    return found[0]


def _passed_over(known: BarRows, closed_at: NDArray[np.int64]) -> NDArray[np.bool_]:
    if not known.n_rows:
        return np.zeros(len(closed_at), dtype=np.bool_)
    between: NDArray[np.bool_] = closed_at > known.closed_at[0]
    between &= closed_at < known.closed_at[-1]
    return between


def _no_bar(row: BarRows) -> DataError:
    prices = row.prices.tolist()
    return DataError(
        f"stored bar closed at {row.marks[0].view('M8[ns]')}",
        price_fault(*prices) or "must be a bar",
        tuple(prices),
        "Delete its file and fetch its range again.",
    )
