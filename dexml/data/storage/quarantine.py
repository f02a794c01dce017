"""Bars that were not believed, kept by series with the reason and when they were first seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from dexml.data.quality import Rule
from dexml.data.storage.logs import Logs
from dexml.data.storage.revisions import first_seen, fresh_refused
from dexml.data.storage.segments import SegmentLog
from dexml.domain import REFUSED_COLUMNS, Bars, Timeframe, empty_refused, to_datetime

__all__ = ["MOST_KEPT", "refusals", "seen_late", "set_aside", "suspected"]

_NEVER = pd.Timestamp(0, tz="UTC")
MOST_KEPT = 10_000  # rows of a series: no exchange fills the disk with rubbish


def refusals(
    logs: Logs, venues: Sequence[str], instruments: Collection[str], timeframe: Timeframe
) -> pd.DataFrame:
    """Return what some exchanges sent of some instruments and nobody believed, by close.

    One listing tells which series were ever refused a bar; the others cost nothing.

    Returns
    -------
    DataFrame
        Columns `REFUSED_COLUMNS`; a bar that was seen several times counts once, from the first.
    """
    found = [
        first_seen(logs.quarantine(*series).read()).assign(exchange=series[0], instrument=series[1])
        for series in logs.refused_series()
        if series[0] in venues and series[1] in instruments and series[2] == timeframe
    ]
    if not found:
        return empty_refused()
    rows = pd.concat(found)[list(REFUSED_COLUMNS)]
    return rows.sort_values(["closed_at", "known_at"], kind="stable", ignore_index=True)


def seen_late(refused: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that were seen at their close or later; others say nothing of that close."""
    return refused[refused["closed_at"] <= refused["known_at"]]


def suspected(
    bars: Bars, wrong: Mapping[int, Rule], seen_at: pd.Timestamp
) -> tuple[pd.DataFrame, pd.Timestamp]:
    """Return the rows of `bars` that broke a rule, and from when that is known.

    Parameters
    ----------
    wrong : mapping of row to Rule
    """
    rows = bars.frame().reset_index().iloc[list(wrong)]
    rows = rows.assign(reason=[str(rule) for rule in wrong.values()])
    return rows, max(seen_at, pd.Timestamp(to_datetime(bars.closed_at[-1])))


def set_aside(
    log: SegmentLog, rows: pd.DataFrame, known_at: pd.Timestamp | pd.Series[pd.Timestamp]
) -> int:
    """Keep rows that were not seen before while there is room; return how many.

    Parameters
    ----------
    rows : DataFrame
        Columns `closed_at` (NaT: 1970, for a row without a stamp), the prices and volume as they
        came, `reason`.
    """
    closed_at = rows["closed_at"].fillna(_NEVER)
    rows = rows.assign(closed_at=closed_at, known_at=known_at).fillna({"known_at": _NEVER})
    with log.locked():
        known = log.read()
        fresh = fresh_refused(known, rows).iloc[: max(0, MOST_KEPT - len(known))]
        log.append(fresh)
    log.compact_if_many()
    return len(fresh)
