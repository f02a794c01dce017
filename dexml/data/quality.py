"""Row checks: what may not reach a model is put in quarantine with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.clock import utc
from dexml.domain import PRICE_COLUMNS, Bars, Timeframe, to_datetime

__all__ = ["Checked", "Fault", "Gap", "check_rows", "gaps"]

SPIKE_RATIO = 50.0
SPIKE_WINDOW = 11
_FIRST_COIN = pd.Timestamp("2009-01-03", tz="UTC")


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that was left out: its place in the table given (from 0), and why."""

    row: int
    reason: str


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
    """

    bars: Bars
    faults: list[Fault]

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
        A row has the first reason that applies, in the order: numbers, stamp, price jump (over 50
        times the median of its neighbours), repeat of a stamp, frozen copy of the bar before.

    Examples
    --------
    >>> times = pd.date_range("2024-01-01", periods=3, freq="h", tz="UTC")
    >>> columns = {"open": 1.0, "high": 2.0, "low": 1.0, "close": 2.0, "volume": [1.0, -1.0, 2.0]}
    >>> check_rows("BTC/USDT", Timeframe.H1, pd.DataFrame(columns, index=times)).faults
    [Fault(row=1, reason='volume below 0')]
    """
    rows = frame[list(PRICE_COLUMNS)].astype("float64")
    rows.index = pd.DatetimeIndex(frame.index).tz_convert("UTC").as_unit("ns")
    rows = rows.assign(row=np.arange(len(rows))).sort_index(kind="stable")
    reasons: dict[int, str] = {}
    for check in (_numbers, lambda kept: _stamps(kept, now), _spikes, _repeats, _frozen):
        found = check(rows)
        reasons |= found
        rows = rows[~rows["row"].isin(list(found))]
    faults = [Fault(row, reasons[row]) for row in sorted(reasons)]
    return Checked(Bars.from_frame(instrument, timeframe, rows), faults)


def gaps(bars: Bars) -> list[Gap]:
    """Return the holes between bars; they are facts about a venue, not faults."""
    step = np.timedelta64(bars.timeframe.seconds, "s")
    missing = np.diff(bars.closed_at) // step - 1
    return [
        Gap(to_datetime(bars.closed_at[place]), int(missing[place]))
        for place in np.flatnonzero(missing > 0)
    ]


def _named(rows: pd.DataFrame, bad: NDArray[np.bool_], reason: str) -> dict[int, str]:
    return {int(row): reason for row in rows["row"].to_numpy()[bad]}


def _numbers(rows: pd.DataFrame) -> dict[int, str]:
    o, h, low, c, v = rows[list(PRICE_COLUMNS)].to_numpy().T
    prices = np.vstack([o, h, low, c])
    with np.errstate(invalid="ignore"):
        found = _named(
            rows, np.asarray((h < np.maximum(o, c)) | (low > np.minimum(o, c))), "high or low"
        )
        found |= _named(rows, np.asarray(v < 0), "volume below 0")
        found |= _named(rows, np.asarray((prices <= 0).any(axis=0)), "price not positive")
        found |= _named(rows, ~np.isfinite(np.vstack([prices, v])).all(axis=0), "not a number")
    return found


def _stamps(rows: pd.DataFrame, now: datetime | None) -> dict[int, str]:
    stamps = pd.DatetimeIndex(rows.index)
    found = _named(rows, np.asarray(stamps < _FIRST_COIN), "before there were coins")
    if now is not None:
        found |= _named(rows, np.asarray(stamps > pd.Timestamp(utc(now))), "in the future")
    return found


def _spikes(rows: pd.DataFrame) -> dict[int, str]:
    middle = rows["close"].rolling(SPIKE_WINDOW, center=True, min_periods=1).median().to_numpy()
    ratio = rows[["open", "high", "low", "close"]].to_numpy() / middle[:, None]
    far = (ratio > SPIKE_RATIO) | (ratio < 1 / SPIKE_RATIO)
    return _named(rows, np.asarray(far.any(axis=1)), "price jump")


def _repeats(rows: pd.DataFrame) -> dict[int, str]:
    return _named(rows, np.asarray(rows.index.duplicated(keep="first")), "repeated stamp")


def _frozen(rows: pd.DataFrame) -> dict[int, str]:
    # without trades a flat bar is honest; the same trades twice are not
    values = rows[list(PRICE_COLUMNS)].to_numpy()
    same: NDArray[np.bool_] = np.zeros(len(rows), dtype=bool)
    same[1:] = (values[1:] == values[:-1]).all(axis=1) & (values[1:, 4] > 0)
    return _named(rows, same, "copy of the bar before")
