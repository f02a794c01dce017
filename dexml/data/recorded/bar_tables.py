"""A table of recorded bars turned into `Bars`: labels, volumes and doubtful rows set right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.data.quality import Rule, check_rows
from dexml.data.recorded.layouts import TIMES, Layout, instrument_named, layout_of, timeframe_of
from dexml.data.recorded.times import mixed_units, read_times
from dexml.domain import PRICE_COLUMNS, Bars, Timeframe
from dexml.errors import DataError

__all__ = ["BarOptions", "LeftOut", "ParsedBars", "parse_bars", "reasons", "refuse_if_mostly_bad"]

MAX_REFUSED_SHARE = 0.05
MOST_TRADED = 1e12  # dollars a day at one venue; the busiest perpetual trades some 1e10
_DOLLARS = ("USD", "USDT", "USDC", "FDUSD", "BUSD", "TUSD", "DAI")
Places = np.ndarray[tuple[int], np.dtype[np.intp]]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row of a file that was left out: its place (from 0; None if it has none), and why."""

    row: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BarOptions:
    """What is known of bars beside their file.

    Attributes
    ----------
    timeframe : Timeframe, optional
        By default the commonest step between rows.
    instrument : str, optional
        By default the symbol column, else the file's name.
    stamps : {"open", "close"}, optional
        What the time column marks; by default the open, unless the file shows otherwise.
    volume_in_quote : bool
        Whether volumes are money and not coins.
    now : datetime, optional
        Bars that close later are refused.
    """

    timeframe: Timeframe | None = None
    instrument: str | None = None
    stamps: Literal["open", "close"] | None = None
    volume_in_quote: bool = False
    now: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedBars:
    """Bars by instrument, the rows left out, and what was made of the table, in words.

    Attributes
    ----------
    refused : mapping of instrument to DataFrame
        The rows that `faults` names, as `Store.set_aside` takes them: stamped with the close that
        they claim, numbers as they came, NaN for what is none.
    """

    bars: Mapping[str, Bars]
    faults: list[LeftOut]
    understood_as: str
    notes: tuple[str, ...] = field(default=())
    refused: Mapping[str, pd.DataFrame] = field(default_factory=dict)


def parse_bars(file: Path, table: pd.DataFrame, options: BarOptions) -> ParsedBars:
    """Read bars and stamp them with their close.

    Notes
    -----
    A row's volumes in base and quote currency are exchanged where only that agrees with its price.
    A time column that lies one step after another one is taken for the close.

    Raises
    ------
    DataError
        If a column is missing, the instrument or timeframe cannot be told, or more than 5% of the
        rows are unsound.
    """
    named = options.instrument or _named(file, table)
    layout = layout_of(file.name, list(table.columns), named)
    stamps = read_times(file.name, table[layout.time])
    step = options.timeframe or timeframe_of(file.name, stamps)
    closes = _are_closes(file, table, layout, stamps, step, options)
    # Binance ends a bar a millisecond before the next
    closed = stamps.ceil("s") if closes else stamps + pd.Timedelta(step.step)
    inside = _by_instrument(file, table, layout, named)
    rows, n_exchanged = _numbers(table, layout, options.volume_in_quote)
    faults = _off_the_grid(closed, step)
    off = np.array([fault.row for fault in faults], dtype=np.intp)
    bars: dict[str, Bars] = {}
    for name, places in inside.items():
        sound = places[~np.isin(places, off)]
        checked = check_rows(name, step, rows.set_index(closed).iloc[sound], options.now)
        bars[name] = checked.bars
        faults += [LeftOut(int(sound[fault.row]), str(fault.reason)) for fault in checked.faults]
    refuse_if_mostly_bad(file, len(table), faults)
    return ParsedBars(
        bars=bars,
        faults=faults,
        understood_as=_in_words(bars, step, layout.time, closes),
        notes=_notes(mixed_units(table[layout.time]), n_exchanged, bars),
        refused=_refused(rows, closed, inside, bars, faults),
    )


def _notes(mixed: str, n_exchanged: int, bars: Mapping[str, Bars]) -> tuple[str, ...]:
    exchanged = f"{n_exchanged} rows had base and quote volume exchanged" if n_exchanged else ""
    return tuple(filter(None, (mixed, exchanged, *map(_doubt, bars.values()))))


# Nobody guesses what a column means: it is stored as it is, and said.
def _doubt(bars: Bars) -> str:
    traded = bars.volume > 0
    base, _, quote = bars.instrument.partition("/")
    if quote not in _DOLLARS or not traded.any():
        return ""
    of_a_bar = float(np.median(bars.volume[traded] * bars.close[traded]))
    a_day = of_a_bar * 86_400 / bars.timeframe.seconds
    if a_day < MOST_TRADED:
        return ""
    return (
        f"volumes were taken for {base}, but that would be {a_day:.1e} {quote} a day, more than "
        "any market trades: if they are money, import the file with --quote-volume"
    )


def _refused(
    rows: pd.DataFrame,
    closed: pd.DatetimeIndex,
    inside: Mapping[str, Places],
    bars: Mapping[str, Bars],
    faults: list[LeftOut],
) -> dict[str, pd.DataFrame]:
    why = {fault.row: fault.reason for fault in faults if fault.row is not None}
    wrong = np.array(sorted(why), dtype=np.intp)
    found: dict[str, pd.DataFrame] = {}
    for name, places in inside.items():
        mine = wrong[np.isin(wrong, places)]
        part = rows.iloc[mine].assign(
            closed_at=closed[mine].as_unit("ns"), reason=[why[row] for row in mine.tolist()]
        )
        found[name] = part[~_said_before(part, bars[name])].reset_index(drop=True)
    return found


# a row that is there twice, alike, says nothing against the bar
def _said_before(refused: pd.DataFrame, bars: Bars) -> NDArray[np.bool_]:
    kept = bars.frame().reindex(pd.DatetimeIndex(refused["closed_at"]))
    alike = (kept.to_numpy() == refused[list(PRICE_COLUMNS)].to_numpy()).all(axis=1)
    return np.asarray(alike & (refused["reason"] == Rule.REPEAT).to_numpy())


def reasons(faults: list[LeftOut]) -> str:
    """Count the reasons for which rows were left out, with the first row of each.

    Examples
    --------
    >>> reasons([LeftOut(3, "not a number"), LeftOut(7, "not a number")])
    'not a number: 2, first in row 3'
    """
    counts = Counter(fault.reason for fault in faults)
    first: dict[str, int] = {}
    for fault in faults:
        if fault.row is not None:
            first[fault.reason] = min(fault.row, first.get(fault.reason, fault.row))
    where = {why: f", first in row {first[why]}" if why in first else "" for why in counts}
    return ", ".join(f"{why}: {n}{where[why]}" for why, n in counts.most_common())


def refuse_if_mostly_bad(file: Path, n_rows: int, faults: list[LeftOut]) -> None:
    """Refuse a file with more than 5% unsound rows."""
    if len(faults) > MAX_REFUSED_SHARE * n_rows:
        raise DataError(
            f"file {file}",
            f"must have at most {MAX_REFUSED_SHARE:.0%} unsound rows",
            f"{len(faults)} of {n_rows} ({reasons(faults)})",
            "Repair the file or fetch it again.",
        )


def _named(file: Path, table: pd.DataFrame) -> str | None:
    for column in table.columns:
        if column.lower() in ("symbol", "ticker"):
            return instrument_named(str(table[column].iloc[0])) or instrument_named(file.name)
    return instrument_named(file.name)


def _are_closes(
    file: Path,
    table: pd.DataFrame,
    layout: Layout,
    stamps: pd.DatetimeIndex,
    step: Timeframe,
    options: BarOptions,
) -> bool:
    if options.stamps is not None:
        return options.stamps == "close"
    others = [name for name in table.columns if name.strip().lower() in TIMES]
    for name in (name for name in others if name != layout.time):
        try:
            ahead = stamps - read_times(file.name, table[name])
        except DataError:
            continue
        if (ahead == pd.Timedelta(step.step)).mean() > 1 - MAX_REFUSED_SHARE:
            return True
    return layout.closes


def _numbers(
    table: pd.DataFrame, layout: Layout, volume_in_quote: bool
) -> tuple[pd.DataFrame, int]:
    # text that is no number becomes NaN, and its row is refused as such
    rows = pd.DataFrame({name: _floats(table[getattr(layout, name)]) for name in PRICE_COLUMNS})
    if volume_in_quote:
        return rows.assign(volume=rows["volume"] / rows["close"]), 0
    if layout.quote_volume is None:
        return rows, 0
    base, quote, price = rows["volume"], _floats(table[layout.quote_volume]), rows["close"]
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.log(quote) - np.log(base)  # should be the logarithm of the price
        exchanged = np.abs(apart + np.log(price)) < np.abs(apart - np.log(price))
    return rows.assign(volume=base.where(~exchanged, quote)), int(exchanged.sum())


def _floats(values: pd.Series[Any]) -> pd.Series[float]:
    return pd.to_numeric(values, errors="coerce").astype("float64")


def _off_the_grid(closed: pd.DatetimeIndex, step: Timeframe) -> list[LeftOut]:
    absent = np.asarray(closed.isna())
    off = (closed.asi8 % (step.seconds * 10**9) != 0) & ~absent
    return [LeftOut(int(row), "no time") for row in np.flatnonzero(absent)] + [
        LeftOut(int(row), f"not on a whole {step}") for row in np.flatnonzero(off)
    ]


def _by_instrument(
    file: Path, table: pd.DataFrame, layout: Layout, named: str | None
) -> dict[str, Places]:
    symbols = {} if layout.symbol is None else table.groupby(layout.symbol).indices
    read = {symbol: instrument_named(str(symbol)) for symbol in symbols}
    if len(symbols) > 1 and all(read.values()):
        places: dict[str, list[Places]] = {}
        for symbol, inside in symbols.items():
            places.setdefault(str(read[symbol]), []).append(np.asarray(inside, dtype=np.intp))
        return {name: np.sort(np.concatenate(parts)) for name, parts in places.items()}
    if named is None or len(symbols) > 1:
        raise DataError(
            f"file {file}",
            "must name its instrument",
            ", ".join(map(str, symbols)) or file.name,
            "Call the file BTCUSDT.parquet, add a column symbol, or give --instrument BTC/USDT.",
        )
    return {named: np.arange(len(table))}


def _in_words(bars: Mapping[str, Bars], step: Timeframe, time: str, closes: bool) -> str:
    full = [one for one in bars.values() if len(one)]
    first = min(one.closed_at[0] for one in full)
    last = max(one.closed_at[-1] for one in full)
    stamp = "close" if closes else "open"
    names = " ".join(sorted(bars))
    return f"{names} {step} bars, {time} = {stamp} (UTC), {first:.16} to {last:.16} closed"
