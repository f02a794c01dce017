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
from dexml.data.storage.joined_rows import JoinedRows
from dexml.domain import PRICE_COLUMNS, Bars, same_place, unchecked
from dexml.errors import DataError

__all__ = ["Joined", "join", "parts_in", "parts_of"]

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]

_COLUMNS = ("closed_at", *PRICE_COLUMNS)
_LOOKED = 64  # rows that are looked through for the last basis, to begin with


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
    rows : JoinedRows, optional
        Where bars and closes stand, once something was new.
    """

    parts: Mapping[str, Bars]
    quotes: Mapping[str, str]
    bars: Bars
    closes: pd.DataFrame
    rows: JoinedRows | None = None


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


def parts_in(
    store: str,
    logs: Mapping[str, BarLog],
    timeframe: str,
    instruments: Sequence[str],
    as_of: datetime | None,
) -> dict[str, tuple[Mapping[str, Bars], Mapping[str, str]]]:
    """Return what `join` wants of each instrument, from the logs of some exchanges.

    Raises
    ------
    DataError
        If no exchange has bars of an instrument.
    """
    for log in logs.values():
        log.refresh()
    parts: dict[str, tuple[Mapping[str, Bars], Mapping[str, str]]] = {
        name: parts_of(logs, name, as_of) for name in instruments
    }
    for name, (found, _) in parts.items():
        if not found:
            raise DataError(
                f"store {store}",
                f"must hold {timeframe} bars of {name}",
                f"none at {', '.join(logs)}",
                "Backfill or import them first.",
            )
    return parts


def parts_of(
    logs: Mapping[str, BarLog], name: str, as_of: datetime | None
) -> tuple[dict[str, Bars], dict[str, str]]:
    """Return an instrument's bars by exchange, and the currency of those that quote another one.

    An exchange without bars of the instrument itself stands in with bars in dollars for tethers or
    the other way, see `STANDS_FOR`, if another one has some.
    """
    found = {venue: log.bars(name, as_of) for venue, log in logs.items()}
    parts = {venue: bars for venue, bars in found.items() if len(bars)}
    quotes = {venue: quote_at(venue, name) for venue in parts}
    base, own = name.split("/")
    for venue in (one for one in logs if parts and one not in parts):
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
        one, other = getattr(before, name), getattr(after, name)
        if not same_place(one, other):  # a series that only went on need not be compared
            same &= one[:n] == other[:n]
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
    closes = known.closes.to_numpy()[:n_same]
    named = np.array([known.quotes.get(venue, "") for venue in known.parts])
    quotes = sorted(set(known.quotes.values()))
    # a basis that cannot be measured now is the last one that could
    shared = (_last_shared(closes, named, quote) for quote in quotes)
    return max(0, min(n_same - BASIS_WINDOW, *shared))


def _last_shared(closes: Floats, named: NDArray[np.str_], quote: str) -> int:
    """Return the last row with a close in a currency and in the instrument's own; 0 if none."""
    own, foreign = named == "", named == quote
    end, n_looked = len(closes), _LOOKED
    while end > 0:
        first = max(0, end - n_looked)
        there = ~np.isnan(closes[first:end])
        common = np.flatnonzero(there[:, own].any(axis=1) & there[:, foreign].any(axis=1))
        if len(common):
            return first + int(common[-1])
        end, n_looked = first, 2 * n_looked
    return 0


def _together(rests: Sequence[_Rest]) -> list[Joined]:
    # side by side: one small table costs as much as fifty
    known = rests[0].before
    foreign = by_quote(known.parts, known.quotes, known.bars.instrument.split("/")[1])
    found = agreed(np.stack([rest.table for rest in rests], axis=2), foreign)
    return [_continued(rest, found[:, k]) for k, rest in enumerate(rests)]


def _continued(rest: _Rest, found: Floats) -> Joined:
    known, n, new = rest.before, rest.n_same, slice(len(rest.stamps) - rest.n_new, None)
    rows = known.rows or _standing(known)
    rows = rows.followed(n, rest.stamps[new], found[:, new], rest.table[3].T[new])
    fields = dict(zip(PRICE_COLUMNS, rows.agreed, strict=True))
    bars = unchecked(known.bars.instrument, known.bars.timeframe, rows.stamps, fields)
    index = pd.DatetimeIndex(rows.stamps, tz="UTC", name="closed_at")
    closes = pd.DataFrame(rows.closes, index=index, columns=known.closes.columns)
    return Joined(parts=rest.parts, quotes=known.quotes, bars=bars, closes=closes, rows=rows)


def _standing(known: Joined) -> JoinedRows:
    agreed_on = np.stack([getattr(known.bars, name) for name in PRICE_COLUMNS])
    return JoinedRows(known.bars.closed_at, agreed_on, known.closes.to_numpy())
