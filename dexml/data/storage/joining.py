"""Bars over several exchanges, made again only from where something is new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.data.quotes import quote_at
from dexml.data.storage.bar_log import BarLog
from dexml.data.storage.consolidation import (
    BASIS_WINDOW,
    STANDS_FOR,
    agreed,
    by_quote,
    closes_by_venue,
    consolidate,
)
from dexml.domain import PRICE_COLUMNS, Bars, unchecked
from dexml.errors import DataError

__all__ = ["Joined", "join", "some_parts_of"]

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]

_COLUMNS = ("closed_at", *PRICE_COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Joined:
    """What exchanges say of an instrument.

    Attributes
    ----------
    parts : mapping of exchange to Bars
    quotes : mapping of exchange to str
        As `consolidate` takes them.
    bars : Bars
        `consolidate(parts, quotes)`.
    closes : DataFrame
        `closes_by_venue(parts)`.
    """

    parts: Mapping[str, Bars]
    quotes: Mapping[str, str]
    bars: Bars
    closes: pd.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rest:
    """What is new of an instrument, and the rows before it on which that depends.

    Attributes
    ----------
    n_same : int
        Rows of `before` that stay.
    stamps : ndarray, shape (n_rows,)
    table : ndarray, shape (5, n_exchanges, n_rows)
        As `agreed` takes it.
    n_new : int
        How many of the rows are new.
    """

    before: Joined
    parts: Mapping[str, Bars]
    n_same: int
    stamps: Times
    table: Floats
    n_new: int


def join(
    wanted: Mapping[str, tuple[Mapping[str, Bars], Mapping[str, str]]],
    before: Mapping[str, Joined],
) -> dict[str, Joined]:
    """Join the exchanges of many instruments.

    Parameters
    ----------
    wanted : mapping of instrument to (parts, quotes)
        As `consolidate` takes them.
    before : mapping of instrument to Joined
        What was made earlier, of any instruments. The result has the same bits without it; with it
        the cost is that of the rows that differ.

    Examples
    --------
    >>> from dexml.simulation.market import MarketConfig, plant
    >>> bars = plant(MarketConfig(n_bars=100)).history.bars["BTC/USDT"]
    >>> parts = {"a": bars, "b": bars.take(slice(0, 98))}
    >>> made = join({"BTC/USDT": ({"a": bars.take(slice(0, 99)), "b": parts["b"]}, {})}, {})
    >>> made = join({"BTC/USDT": (parts, {})}, made)
    >>> made["BTC/USDT"].bars.frame().equals(consolidate(parts).frame())
    True
    """
    made: dict[str, Joined] = {}
    rests: dict[tuple[object, ...], dict[str, _Rest]] = {}
    for name, (parts, quotes) in wanted.items():
        known = before.get(name)
        if known is None or not _alike(known, parts, quotes):
            made[name] = _whole(parts, quotes)
        elif (since := _first_change(known.parts, parts)) is None:
            made[name] = known
        else:
            rest = _rest(known, parts, since)
            shape = (*parts, *quotes.items(), known.bars.instrument.split("/")[1], len(rest.stamps))
            rests.setdefault(shape, {})[name] = rest
    for alike in rests.values():
        made |= zip(alike, _together(list(alike.values())), strict=True)
    return {name: made[name] for name in wanted}


def some_parts_of(
    logs: Mapping[str, BarLog], name: str, as_of: datetime | None, where: str, timeframe: str
) -> tuple[dict[str, Bars], dict[str, str]]:
    """Return an instrument's bars by exchange, and the currency of those that quote another one.

    Raises
    ------
    DataError
        If none of them has any; `where` names the store.

    Notes
    -----
    An exchange without bars of the instrument itself stands in with bars in dollars for tethers or
    the other way, see `STANDS_FOR`, if another one has some.
    """
    found = {venue: log.bars(name, as_of) for venue, log in logs.items()}
    parts = {venue: bars for venue, bars in found.items() if len(bars)}
    quotes = {venue: quote_at(venue, name) for venue in parts}
    if not parts:
        raise DataError(
            where,
            f"must hold {timeframe} bars of {name}",
            f"none at {', '.join(logs)}",
            "Backfill or import them first.",
        )
    base, own = name.split("/")
    for venue in (one for one in logs if one not in parts):
        for quote in STANDS_FOR.get(own, ()):
            bars = logs[venue].bars(f"{base}/{quote}", as_of)
            if len(bars) and venue not in parts:
                parts[venue], quotes[venue] = replace(bars, instrument=name), quote
    return parts, {venue: quote for venue, quote in quotes.items() if quote != own}


def _alike(known: Joined, parts: Mapping[str, Bars], quotes: Mapping[str, str]) -> bool:
    return len(parts) > 1 and list(parts) == list(known.parts) and quotes == known.quotes


def _whole(parts: Mapping[str, Bars], quotes: Mapping[str, str]) -> Joined:
    bars, closes = consolidate(parts, quotes), closes_by_venue(parts)
    return Joined(parts=parts, quotes=quotes, bars=bars, closes=closes)


def _first_change(before: Mapping[str, Bars], after: Mapping[str, Bars]) -> np.datetime64 | None:
    found = [_first_changed(bars, after[venue]) for venue, bars in before.items()]
    return min((at for at in found if at is not None), default=None)


def _first_changed(before: Bars, after: Bars) -> np.datetime64 | None:
    if before is after:
        return None
    n = min(len(before), len(after))
    same = np.ones(n, dtype=np.bool_)
    for name in _COLUMNS:
        same &= getattr(before, name)[:n] == getattr(after, name)[:n]
    place = n if same.all() else int(np.argmin(same))
    stamps = [bars.closed_at[place] for bars in (before, after) if place < len(bars)]
    return min(stamps, default=None)


def _rest(known: Joined, parts: Mapping[str, Bars], since: np.datetime64) -> _Rest:
    n_same = int(np.searchsorted(known.bars.closed_at, since))
    first = _needed(known, n_same)
    start = known.bars.closed_at[first] if first < n_same else since
    firsts = [int(np.searchsorted(bars.closed_at, start)) for bars in parts.values()]
    tails = [bars.closed_at[k:] for bars, k in zip(parts.values(), firsts, strict=True)]
    stamps = np.unique(np.concatenate(tails))
    table = np.full((len(PRICE_COLUMNS), len(parts), len(stamps)), np.nan)
    for venue, (bars, k) in enumerate(zip(parts.values(), firsts, strict=True)):
        places = np.searchsorted(stamps, tails[venue])
        for row, name in enumerate(PRICE_COLUMNS):
            table[row, venue, places] = getattr(bars, name)[k:]
    return _Rest(
        before=known,
        parts=parts,
        n_same=n_same,
        stamps=stamps,
        table=table,
        n_new=len(stamps) - (n_same - first),
    )


def _needed(known: Joined, n_same: int) -> int:
    """Return the first row on which rows after `n_same` depend."""
    if not known.quotes:
        return n_same
    there = ~np.isnan(known.closes.to_numpy()[:n_same])
    named = np.array([known.quotes.get(venue, "") for venue in known.parts])
    own = there[:, named == ""].any(axis=1)
    first = n_same - BASIS_WINDOW
    for quote in set(known.quotes.values()):
        # a basis that cannot be measured now is the last one that could
        common = np.flatnonzero(own & there[:, named == quote].any(axis=1))
        first = min(first, int(common[-1]) if len(common) else 0)
    return max(0, first)


def _together(rests: Sequence[_Rest]) -> list[Joined]:
    # side by side: one small table costs as much as fifty
    known = rests[0].before
    foreign = by_quote(known.parts, known.quotes, known.bars.instrument.split("/")[1])
    found = agreed(np.stack([rest.table for rest in rests], axis=2), foreign)
    return [_continued(rest, found[:, k]) for k, rest in enumerate(rests)]


def _continued(rest: _Rest, found: Floats) -> Joined:
    known, n, new = rest.before, rest.n_same, slice(len(rest.stamps) - rest.n_new, None)
    closed_at = np.concatenate([known.bars.closed_at[:n], rest.stamps[new]])
    fields = {
        name: np.concatenate([getattr(known.bars, name)[:n], row[new]])
        for name, row in zip(PRICE_COLUMNS, found, strict=True)
    }
    bars = unchecked(known.bars.instrument, known.bars.timeframe, closed_at, fields)
    table = np.concatenate([known.closes.to_numpy()[:n], rest.table[3].T[new]])
    index = pd.DatetimeIndex(closed_at, tz="UTC", name="closed_at")
    closes = pd.DataFrame(table, index=index, columns=known.closes.columns)
    return Joined(parts=rest.parts, quotes=known.quotes, bars=bars, closes=closes)
