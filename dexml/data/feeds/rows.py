"""What an exchange answered, row by row: checked, split into closed and open, made into bars.

Nothing here reads or waits; the feeds do. Instants are whole seconds, and a row is stamped with its
opening, as exchanges do it; bars are stamped with their close.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from dexml.data.feeds.hearing import Row
from dexml.data.feeds.venues import Venue
from dexml.data.quality import SECONDS
from dexml.domain import PRICE_COLUMNS, Bars, Timeframe, price_fault

__all__ = [
    "OLDER",
    "SETTLE_S",
    "FeedUpdate",
    "Fetched",
    "Hole",
    "RefusedRow",
    "Row",
    "bars_of",
    "checked",
    "holes_of",
    "paging",
    "row_fault",
    "split",
]

OLDER = "must not be older than asked for"  # says nothing against the numbers
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
    """A row of an exchange that cannot be a bar.

    Attributes
    ----------
    row : str
        As it came, cut to 200 characters.
    opened_s : float or None
        The opening it was stamped with, if that is a number.
    numbers : tuple of float
        `PRICE_COLUMNS`, NaN for what is no number.
    """

    row: str
    reason: str
    opened_s: float | None = None
    numbers: tuple[float, ...] = (math.nan,) * len(PRICE_COLUMNS)

    @classmethod
    def of(cls, row: Any, reason: str) -> RefusedRow:
        """Read what can be read of a row: a stamp in milliseconds and five numbers."""
        values = list(row[:6]) if isinstance(row, list | tuple) else []
        stamp, *numbers = [_number(value) for value in [*values, *[None] * 6][:6]]
        return cls(
            row=repr(row)[:200],
            reason=reason,
            opened_s=stamp / 1_000 if math.isfinite(stamp) else None,
            numbers=tuple(numbers),
        )


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


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
    seen_at : datetime or None
        When the feed's clock had it in hand; None: nobody noted it.
    """

    closed: dict[str, Bars]
    prices: dict[str, float]
    holes: dict[str, tuple[Hole, ...]]
    refused: dict[str, tuple[RefusedRow, ...]]
    failed: dict[str, str]
    seen_at: datetime | None = None

    @classmethod
    def empty(cls) -> FeedUpdate:
        """Return an update that says nothing yet."""
        return cls(closed={}, prices={}, holes={}, refused={}, failed={})

    def with_what(self, later: FeedUpdate) -> FeedUpdate:
        """Return both updates as one; of what both say of an instrument the later stays.

        A failure is forgotten when the instrument is heard of again.
        """
        failed = {name: why for name, why in self.failed.items() if name not in later.closed}
        return FeedUpdate(
            closed=self.closed | later.closed,
            prices=self.prices | later.prices,
            holes=self.holes | later.holes,
            refused=self.refused | later.refused,
            failed=failed | later.failed,
            seen_at=later.seen_at,
        )

    def without_bars(self) -> FeedUpdate:
        """Return the update without its bars, for when they are stored."""
        return replace(self, closed={})


class Fetched(NamedTuple):
    """Sound rows in order, the others, and the exchange's own time of the answer if it told."""

    rows: list[Row]
    refused: list[RefusedRow]
    now_s: int | None


def checked(
    rows: Iterable[Any], step_s: int, first: int | None, now_s: int | None, latest_s: int | None
) -> Fetched:
    """Keep the rows (a stamp in milliseconds and five numbers each) that can be bars.

    Parameters
    ----------
    first : int or None
        Older rows were not asked for.
    now_s : int or None
        The exchange's own time.
    latest_s : int or None
        Rows that open later lie in the future.
    """
    good: dict[int, Row] = {}
    refused = []
    for row in rows:
        fault = _raw_fault(row) or row_fault(_row(row), row[0] % 1_000, step_s, first, latest_s)
        if fault is None:
            kept = _row(row)
            good[kept.opened_s] = kept
        else:
            refused.append(RefusedRow.of(row, fault))
    return Fetched([good[stamp] for stamp in sorted(good)], refused, now_s)


def _raw_fault(row: Any) -> str | None:
    numbers = isinstance(row, list) and len(row) == 6
    if not numbers or not all(isinstance(value, int | float) for value in row):
        return "must hold a stamp and five numbers"
    if not isinstance(row[0], int):
        return "must have a stamp in whole milliseconds"
    if SECONDS[0] <= row[0] < SECONDS[1]:
        return "must have a stamp in milliseconds, not in seconds"
    return None


def _row(row: Sequence[Any]) -> Row:
    return Row(row[0] // 1_000, *(float(value) for value in row[1:6]))


def row_fault(
    row: Row, broken_ms: int, step_s: int, first: int | None, latest_s: int | None
) -> str | None:
    """Name the first rule that a row breaks, or return None."""
    if row.opened_s % step_s or broken_ms:
        return f"must open on a whole bar of {step_s} s"
    if row.opened_s < (1 if first is None else first):
        return OLDER
    if latest_s is not None and row.opened_s > latest_s:
        return "must not lie in the future"
    return price_fault(*row[1:])


def paging(
    venue: Venue, step_s: int, first: int | None, until: int | None
) -> Generator[int | None, Fetched, Fetched]:
    """Ask for page after page: yields where the next begins, is sent it, and returns all of them.

    Parameters
    ----------
    first : int or None
        Opening of the oldest bar wanted; None: the newest page only.
    until : int or None
        Where to stop; None: at the exchange's own time.
    """
    rows, refused, cursor = [], [], first
    while True:
        page = yield cursor
        rows += page.rows
        refused += page.refused
        stop = min((s for s in (until, page.now_s) if s is not None), default=None)
        if cursor is not None:
            cursor = _next_page(venue, step_s, cursor, page)
        if cursor is None or stop is None or cursor >= stop:
            return Fetched(rows, refused, page.now_s)


def _next_page(venue: Venue, step_s: int, cursor: int, page: Fetched) -> int | None:
    if page.rows:
        return page.rows[-1].opened_s + step_s
    return cursor + venue.page * step_s if venue.by_window else None


def split(rows: list[Row], step_s: int, now_s: int | None) -> tuple[list[Row], Row | None]:
    """Return the closed rows, and the one that is still open.

    A bar is closed when a later one exists, or when the time `now_s` says so.
    """
    if not rows:
        return [], None
    last = rows[-1]
    if now_s is not None and last.opened_s + step_s + SETTLE_S <= now_s:
        return rows, None
    return rows[:-1], last


def bars_of(name: str, timeframe: Timeframe, rows: Sequence[Row]) -> Bars:
    """Stamp rows with their close."""
    opened = np.array([row.opened_s for row in rows], dtype=np.int64)
    closed_at = (opened + timeframe.seconds).astype("datetime64[s]")
    columns = {
        column: np.array([getattr(row, column) for row in rows], dtype=np.float64)
        for column in PRICE_COLUMNS
    }
    return Bars(
        instrument=name,
        timeframe=timeframe,
        closed_at=closed_at.astype("datetime64[ns]"),
        **columns,
    )


def holes_of(
    venue: Venue, step_s: int, first: int, until: int | None, opened: Sequence[int]
) -> tuple[Hole, ...]:
    """Return what is missing between `first`, the openings that came, and `until` if given."""
    ends = list(opened)
    if until is not None:
        ends.append(until // step_s * step_s)
    edges = zip((first - step_s, *ends), ends, strict=False)
    return tuple(
        _hole(venue, step_s, before, after, leading=before < first)
        for before, after in edges
        if after - before > step_s
    )


def _hole(venue: Venue, step_s: int, before: int, after: int, *, leading: bool) -> Hole:
    reason = "the exchange has no bars there"
    if leading and venue.keeps is not None:
        way = "read older ones from another exchange"
        if venue.past_trades is not None:
            way = "`dexml backfill --trades` sums older ones up from its trades"
        reason = f"{venue.name} shows only its last {venue.keeps} bars; {way}"
    return Hole(
        first=datetime.fromtimestamp(before + 2 * step_s, UTC),
        last=datetime.fromtimestamp(after, UTC),
        n_bars=(after - before) // step_s - 1,
        reason=reason,
    )
