"""Which rows are new, and which replace others: the first known stays readable for ever."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pandas as pd

from dexml.domain import PRICE_COLUMNS, Bars, Timeframe

__all__ = [
    "HEADLINE",
    "PERIOD",
    "bars_of",
    "believed_before",
    "first_known",
    "first_seen",
    "fresh_bars",
    "fresh_values",
    "latest",
    "without",
]

PERIOD = ("series", "period_at")
HEADLINE = ("source", "title", "published_at")
_REFUSED = ["closed_at", *PRICE_COLUMNS, "reason"]
_TICK = pd.Timedelta(1, "us")


def latest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the last revision of each bar, oldest bar first, whatever the order of `rows`.

    Revisions of one bar are ordered by when they were known. Two writers without a lock may make
    two at one instant; then their numbers decide, the same ones for every reader.
    """
    stamps = pd.DatetimeIndex(rows["closed_at"]).asi8
    if len(stamps) < 2 or (stamps[1:] > stamps[:-1]).all():
        return rows
    ordered = rows.sort_values(["closed_at", "known_at", "revision", *PRICE_COLUMNS])
    return ordered.drop_duplicates("closed_at", keep="last")


def bars_of(instrument: str, timeframe: Timeframe | str, rows: pd.DataFrame) -> Bars:
    """Return the last revision of each bar as `Bars`."""
    indexed = latest(rows).set_index("closed_at")
    return Bars.from_frame(instrument, Timeframe(timeframe), indexed)


def believed_before(known: pd.DataFrame, bars: Bars, n_bars: int) -> Bars:
    """Return the last `n_bars` known bars before the first of `bars`."""
    stamps = pd.DatetimeIndex(known["closed_at"]).asi8
    first = bars.closed_at[:1].astype("datetime64[ns]").view("int64")
    past = np.unique(stamps[stamps < (first[0] if len(first) else 0)])[-n_bars:]
    return bars_of(bars.instrument, bars.timeframe, known[np.isin(stamps, past)])


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
    """Return the refused bars that were not seen before."""
    before = pd.MultiIndex.from_frame(known[_REFUSED])
    return refused[~pd.MultiIndex.from_frame(refused[_REFUSED]).isin(before)]


def fresh_bars(known: pd.DataFrame, bars: Bars, seen_at: pd.Timestamp) -> pd.DataFrame:
    """Return the rows of `bars` that are new or changed, with their revision and `known_at`."""
    given = bars.frame().reset_index()
    if given.empty:
        return given
    prices = list(PRICE_COLUMNS)
    overlap = known[known["closed_at"] >= given["closed_at"].iloc[0]]
    if overlap.empty:
        return given.assign(revision=0, known_at=given["closed_at"])
    both = given.merge(latest(overlap), on="closed_at", how="left", suffixes=("", "_known"))
    new = both["revision"].isna().to_numpy()
    before = both[[f"{name}_known" for name in prices]].to_numpy()
    changed = ~new & (given[prices].to_numpy() != before).any(axis=1)
    given["revision"] = np.where(new, 0, both["revision"].fillna(0) + 1).astype(np.int64)
    seen_at = max(seen_at, pd.Timestamp(given["closed_at"].iloc[-1]))
    # a revision is later than what it replaces, else a past decision would see it
    later = both["known_at"] + _TICK
    later = later.where(later > seen_at, seen_at)
    given["known_at"] = given["closed_at"].where(new, later)
    fresh: pd.DataFrame = given.loc[new | changed]
    return fresh


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
