"""Row checks: what may not reach a model is put in quarantine with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from statistics import median

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.clock import utc
from dexml.domain import PRICE_COLUMNS, Bars, Timeframe, to_datetime

__all__ = [
    "LONE_RATIO",
    "SECONDS",
    "Checked",
    "Fault",
    "Gap",
    "Rule",
    "check_rows",
    "gaps",
    "jumped_alone",
    "lone_jumps",
    "suspects",
]

SPIKE_RATIO = 50.0
LONE_RATIO, _BACK = 3.0, 1.5
SPIKE_WINDOW = 11
_ENOUGH = SPIKE_WINDOW // 2 + 1  # closes that make a majority of the window
_FORGOTTEN = np.timedelta64(30, "D")
_FIRST_COIN = pd.Timestamp("2009-01-03", tz="UTC")
SECONDS = (1_230_940_800, 4_102_444_800)  # since 1970, of the years 2009 to 2100
_IN_SECONDS = pd.to_datetime(SECONDS, unit="ms", utc=True)


class Rule(StrEnum):
    """What a row may break, in the order in which it is looked for; the value is the reason."""

    NUMBER = "not a number"
    PRICE = "price not positive"
    VOLUME = "volume below 0"
    RANGE = "high or low"
    SECONDS = "seconds for milliseconds"
    EARLY = "before there were coins"
    FUTURE = "in the future"
    JUMP = "price jump"
    REPEAT = "repeated stamp"
    LONE = "price jump for one bar"
    FROZEN = "copy of the bar before"


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that was left out: its place in the table given (from 0), and the rule it broke."""

    row: int
    reason: Rule


@dataclass(frozen=True, slots=True)
class Gap:
    """A hole between two bars: the close of the bar before it, and how many bars are missing."""

    after: datetime
    n_missing: int


@dataclass(frozen=True, slots=True)
class Checked:
    """Bars that passed, and the rows that did not.

    Attributes
    ----------
    bars : Bars
        Sorted, without repeats.
    faults : list of Fault
        By row.
    n_disordered : int
        Rows stamped before the row above them; they were put in their place.
    """

    bars: Bars
    faults: list[Fault]
    n_disordered: int = 0

    @property
    def health(self) -> float:
        """Share of rows that passed, in [0, 1]; 1 when there were none."""
        n_rows = len(self.bars) + len(self.faults)
        return len(self.bars) / n_rows if n_rows else 1.0


def check_rows(
    instrument: str, timeframe: Timeframe, frame: pd.DataFrame, now: datetime | None = None
) -> Checked:
    """Keep the rows that are sound bars.

    Parameters
    ----------
    frame : DataFrame, shape (n_rows, 5 or more)
        Columns open, high, low, close, volume; index: aware close times, in any order.
    now : datetime, optional
        Bars that close later are refused.

    Returns
    -------
    Checked
        A row has the first reason that applies, in the order of `Rule`. A price jumps if it is over
        50 times (or under a 50th of) the median close of its neighbours on both sides, or over 3
        times of both and they agree, see `lone_jumps`; `suspects` judges by the past alone. Gaps
        are no faults, see `gaps`.

    Examples
    --------
    >>> times = pd.date_range("2024-01-01", periods=3, freq="h", tz="UTC")
    >>> columns = {"open": 1.0, "high": 2.0, "low": 1.0, "close": 2.0, "volume": [1.0, -1.0, 2.0]}
    >>> check_rows("BTC/USDT", Timeframe.H1, pd.DataFrame(columns, index=times)).faults
    [Fault(row=1, reason=<Rule.VOLUME: 'volume below 0'>)]
    """
    rows = frame[list(PRICE_COLUMNS)].astype("float64")
    rows.index = pd.DatetimeIndex(frame.index).tz_convert("UTC").as_unit("ns")
    rows = rows.assign(row=np.arange(len(rows))).sort_index(kind="stable")
    n_disordered = int(
        (np.diff(pd.DatetimeIndex(rows.index).asi8[rows["row"].argsort()]) < 0).sum()
    )
    reasons: dict[int, Rule] = {}
    stamps, lone = partial(_stamps, now=now), partial(_lone, timeframe=timeframe)
    for check in (_numbers, stamps, _spikes, _repeats, lone, _frozen):
        found = check(rows)
        reasons |= found
        rows = rows[~rows["row"].isin(list(found))]
    faults = [Fault(row, reasons[row]) for row in sorted(reasons)]
    return Checked(Bars.from_frame(instrument, timeframe, rows), faults, n_disordered)


def suspects(past: Bars, bars: Bars) -> dict[int, Rule]:
    """Return the rows of sound bars that must not be believed after what came before them.

    Parameters
    ----------
    past : Bars
        Believed bars of the same series, those before `bars`; the last `SPIKE_WINDOW` are enough.
    bars : Bars
        New ones.

    Returns
    -------
    dict of row to Rule
        `JUMP`: a price over 50 times (or under a 50th of) the median of the `SPIKE_WINDOW`
        believed closes before it, once there are enough for a wild first bar to be outvoted.
        `FROZEN`: a copy of the last believed bar, trades included. Nothing later is used: a row is
        judged alike whether it came alone or with others.

    Notes
    -----
    After 30 days without a believed bar what came before says nothing any more. Until then a price
    that stays 50 times higher stays refused: a redenominated coin is another instrument.

    Examples
    --------
    >>> from dexml.simulation.market import MarketConfig, plant
    >>> bars = plant(MarketConfig(n_bars=100)).history.bars["BTC/USDT"]
    >>> suspects(bars.take(slice(0, 20)), bars.take(slice(20, 30)))
    {}
    """
    if not len(bars):
        return {}
    believed = past.take(slice(max(0, len(past) - SPIKE_WINDOW), len(past)))
    before = _columns(believed)
    closes = [row[3] for row in before]
    last = before[-1] if before else None
    seen_at = believed.closed_at[-1] if before else bars.closed_at[0]
    found: dict[int, Rule] = {}
    for place, (at, row) in enumerate(zip(bars.closed_at, _columns(bars), strict=True)):
        if at - seen_at > _FORGOTTEN:
            closes, last, seen_at = [], None, at
        if len(closes) >= _ENOUGH and _jumps(row, median(closes[-SPIKE_WINDOW:])):
            found[place] = Rule.JUMP
        elif row == last and row[4] > 0:
            found[place] = Rule.FROZEN
        else:
            last, seen_at = row, at
            closes.append(row[3])
    return found


def lone_jumps(bars: Bars) -> dict[int, Rule]:
    """Return the rows of sound bars whose price jumped for one bar only.

    Returns
    -------
    dict of row to Rule
        `LONE`: a price over 3 times (or under a third of) the closes before and after, which are
        within 1.5 times one another. A crash that stays is data, and so is the last bar, of which
        nobody knows yet: the next one tells.

    Examples
    --------
    >>> from dexml.simulation.market import MarketConfig, plant
    >>> lone_jumps(plant(MarketConfig(n_bars=100)).history.bars["BTC/USDT"])
    {}
    """
    prices = np.stack([bars.open, bars.high, bars.low, bars.close])
    lone = jumped_alone(prices, bars.closed_at, bars.timeframe)
    return {int(row): Rule.LONE for row in np.flatnonzero(lone)}


def gaps(bars: Bars) -> list[Gap]:
    """Return the holes between bars; they are facts about a venue, not faults."""
    step = np.timedelta64(bars.timeframe.seconds, "s")
    missing = np.diff(bars.closed_at) // step - 1
    return [
        Gap(to_datetime(bars.closed_at[place]), int(missing[place]))
        for place in np.flatnonzero(missing > 0)
    ]


def _jumps(row: tuple[float, ...], middle: float) -> bool:
    return max(row[:4]) > SPIKE_RATIO * middle or min(row[:4]) < middle / SPIKE_RATIO


def _columns(bars: Bars) -> list[tuple[float, ...]]:
    columns = (getattr(bars, name).tolist() for name in PRICE_COLUMNS)
    return list(zip(*columns, strict=True))


def _named(rows: pd.DataFrame, bad: NDArray[np.bool_], reason: Rule) -> dict[int, Rule]:
    return {int(row): reason for row in rows["row"].to_numpy()[bad]}


def _numbers(rows: pd.DataFrame) -> dict[int, Rule]:
    o, h, low, c, v = rows[list(PRICE_COLUMNS)].to_numpy().T
    prices = np.vstack([o, h, low, c])
    with np.errstate(invalid="ignore"):
        found = _named(
            rows, np.asarray((h < np.maximum(o, c)) | (low > np.minimum(o, c))), Rule.RANGE
        )
        found |= _named(rows, np.asarray(v < 0), Rule.VOLUME)
        found |= _named(rows, np.asarray((prices <= 0).any(axis=0)), Rule.PRICE)
        found |= _named(rows, ~np.isfinite(np.vstack([prices, v])).all(axis=0), Rule.NUMBER)
    return found


def _stamps(rows: pd.DataFrame, now: datetime | None) -> dict[int, Rule]:
    stamps = pd.DatetimeIndex(rows.index)
    found = _named(rows, np.asarray(stamps < _FIRST_COIN), Rule.EARLY)
    in_seconds = (stamps >= _IN_SECONDS[0]) & (stamps < _IN_SECONDS[1])
    found |= _named(rows, np.asarray(in_seconds), Rule.SECONDS)
    if now is not None:
        found |= _named(rows, np.asarray(stamps > pd.Timestamp(utc(now))), Rule.FUTURE)
    return found


def _spikes(rows: pd.DataFrame) -> dict[int, Rule]:
    middle = rows["close"].rolling(SPIKE_WINDOW, center=True, min_periods=1).median().to_numpy()
    ratio = rows[["open", "high", "low", "close"]].to_numpy() / middle[:, None]
    far = (ratio > SPIKE_RATIO) | (ratio < 1 / SPIKE_RATIO)
    return _named(rows, np.asarray(far.any(axis=1)), Rule.JUMP)


def _lone(rows: pd.DataFrame, timeframe: Timeframe) -> dict[int, Rule]:
    prices = rows[["open", "high", "low", "close"]].to_numpy().T
    closed_at = pd.DatetimeIndex(rows.index).as_unit("ns").asi8.view("M8[ns]")
    return _named(rows, jumped_alone(prices, closed_at, timeframe), Rule.LONE)


def jumped_alone(
    prices: NDArray[np.float64], closed_at: NDArray[np.datetime64], timeframe: Timeframe
) -> NDArray[np.bool_]:
    """Tell which rows, in order, `lone_jumps` names; prices of shape (4, n_rows)."""
    found = np.zeros(len(closed_at), dtype=np.bool_)
    if len(closed_at) < 3 or prices.max() <= LONE_RATIO * prices.min():
        return found
    low, high = np.sort(np.stack([prices[3, :-2], prices[3, 2:]]), axis=0)
    near = closed_at[2:] - closed_at[:-2] == np.timedelta64(2 * timeframe.seconds, "s")
    inside = prices[:, 1:-1]
    far = (inside.max(axis=0) > LONE_RATIO * high) | (inside.min(axis=0) < low / LONE_RATIO)
    found[1:-1] = near & far & (high < _BACK * low)
    for row in np.flatnonzero(found):  # after one that is left out there is nothing to jump from
        found[row] &= not found[row - 1]
    return found


def _repeats(rows: pd.DataFrame) -> dict[int, Rule]:
    return _named(rows, np.asarray(rows.index.duplicated(keep="first")), Rule.REPEAT)


def _frozen(rows: pd.DataFrame) -> dict[int, Rule]:
    # without trades a flat bar is honest; the same trades twice are not
    values = rows[list(PRICE_COLUMNS)].to_numpy()
    same: NDArray[np.bool_] = np.zeros(len(rows), dtype=bool)
    same[1:] = (values[1:] == values[:-1]).all(axis=1) & (values[1:, 4] > 0)
    return _named(rows, same, Rule.FROZEN)
