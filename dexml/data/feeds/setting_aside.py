"""Rows of an exchange that cannot be bars, put into the store's quarantine as they came."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from dexml.data.feeds.rows import OLDER, FeedUpdate, RefusedRow
from dexml.data.storage.store import Store
from dexml.domain import PRICE_COLUMNS, Timeframe

__all__ = ["keep_refused", "refused_rows"]

_LATEST_S = 9e9  # what is stamped later has no instant in nanoseconds


def keep_refused(store: Store, venue: str, timeframe: Timeframe, update: FeedUpdate) -> None:
    """Put the refused rows of an update into quarantine, known from when they were seen.

    What is only older than asked for is left out: nothing that was asked for is lost with it.
    """
    for name, refused in update.refused.items():
        wrong = [one for one in refused if one.reason != OLDER]
        if wrong:
            rows = refused_rows(timeframe, wrong)
            store.set_aside(venue, name, timeframe, rows, update.seen_at)


def refused_rows(timeframe: Timeframe, refused: Sequence[RefusedRow]) -> pd.DataFrame:
    """Return refused rows as `Store.set_aside` takes them.

    Examples
    --------
    >>> row = RefusedRow.of([1_700_000_000_000, None, 2.0, -1.0, 1.5, 9.0], "no open")
    >>> rows = refused_rows(Timeframe.H1, [row])
    >>> str(rows["closed_at"][0]), bool(rows["open"].isna()[0]), float(rows["low"][0])
    ('2023-11-14 23:13:20+00:00', True, -1.0)
    """
    stamps = [_closed_s(one.opened_s, timeframe) for one in refused]
    numbers = pd.DataFrame(
        [one.numbers for one in refused], columns=list(PRICE_COLUMNS), dtype="float64"
    )
    closed_at = pd.to_datetime(pd.Series(stamps, dtype="float64"), unit="s", utc=True)
    return numbers.assign(
        closed_at=closed_at.dt.as_unit("ns"), reason=[one.reason for one in refused]
    )


def _closed_s(opened_s: float | None, timeframe: Timeframe) -> float:
    if opened_s is None or abs(opened_s) > _LATEST_S:
        return math.nan
    return opened_s + timeframe.seconds
