"""Which rows are new, and which replace others: the first known stays readable for ever."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import pandas as pd

from dexml.domain import PRICE_COLUMNS, Bars

__all__ = [
    "HEADLINE",
    "PERIOD",
    "first_known",
    "first_seen",
    "fresh_refused",
    "fresh_values",
    "without",
]

PERIOD = ("series", "period_at")
HEADLINE = ("source", "title", "published_at")
_REFUSED = ["closed_at", *PRICE_COLUMNS, "reason"]
_TICK = pd.Timedelta(1, "us")


def without(bars: Bars, rows: Collection[int]) -> Bars:
    """Return `bars` less some rows."""
    if not rows:
        return bars
    kept = bars.frame().drop(bars.frame().index[list(rows)])
    return Bars.from_frame(bars.instrument, bars.timeframe, kept)


def first_known(headlines: pd.DataFrame) -> pd.DataFrame:
    """Return each headline (`HEADLINE`) as it was first known, by the instant it became known."""
    order = ["known_at", "published_at", "source", "title", "score", "instruments", "fetched_at"]
    return headlines.sort_values(order).drop_duplicates(list(HEADLINE), ignore_index=True)


def first_seen(refused: pd.DataFrame) -> pd.DataFrame:
    """Return each refused bar once, as it was first seen, by close."""
    if refused.empty:  # the usual case, asked at every close
        return refused
    ordered = refused.sort_values([*_REFUSED, "known_at"])
    return ordered.drop_duplicates(_REFUSED, ignore_index=True)


def fresh_refused(known: pd.DataFrame, refused: pd.DataFrame) -> pd.DataFrame:
    """Return the refused bars that were not seen before, each once."""
    before = pd.MultiIndex.from_frame(known[_REFUSED])
    once = refused.drop_duplicates(_REFUSED)
    return once[~pd.MultiIndex.from_frame(once[_REFUSED]).isin(before)]


def fresh_values(known: pd.DataFrame, given: pd.DataFrame) -> pd.DataFrame:
    """Return the macro values that are new or revised for their period."""
    last = {tuple(row[:2]): row[2:] for row in _values(known.sort_values("known_at"))}
    given = given.sort_values([*PERIOD, "known_at"], ignore_index=True)
    fresh: dict[int, pd.Timestamp] = {}
    for place, (series, period, known_at, value) in enumerate(_values(given)):
        before = last.get((series, period))
        if before is None or before[1] != value:
            later = known_at if before is None else max(known_at, before[0] + _TICK)
            last[series, period] = [later, value]
            fresh[place] = later
    rows = given.loc[list(fresh)]
    instants = pd.Series(fresh, dtype="datetime64[ns, UTC]")
    return rows.assign(known_at=instants)


def _values(rows: pd.DataFrame) -> Iterator[list[Any]]:
    columns = [rows[name].tolist() for name in (*PERIOD, "known_at", "value")]
    return map(list, zip(*columns, strict=True))
