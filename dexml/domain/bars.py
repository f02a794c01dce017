"""Closed bars of one instrument, one at a time or as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.clock import utc
from dexml.domain.words import Timeframe, check_instrument, to_datetime
from dexml.errors import DataError

Times = NDArray[np.datetime64]
Floats = NDArray[np.float64]

PRICE_COLUMNS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One closed bar of one instrument.

    Attributes
    ----------
    closed_at : datetime
        The instant the bar ended, UTC.
    open, high, low, close : float
        Positive prices in quote currency; low <= open, close <= high.
    volume : float
        Base currency, at least 0.
    """

    instrument: str
    closed_at: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float

    def __post_init__(self) -> None:
        check_instrument(self.instrument)
        object.__setattr__(self, "closed_at", utc(self.closed_at))
        fault = price_fault(self.open, self.high, self.low, self.close, self.volume)
        if fault is not None:
            raise DataError(
                f"bar of {self.instrument} closed at {self.closed_at:%Y-%m-%d %H:%M}",
                fault,
                (self.open, self.high, self.low, self.close, self.volume),
                "Quarantine it and fetch it again.",
            )


def price_fault(open_: float, high: float, low: float, close: float, volume: float) -> str | None:
    """Name the first rule that the numbers of a bar break, or return None."""
    if not all(np.isfinite((open_, high, low, close, volume))):
        return "must hold finite numbers"
    if min(open_, high, low, close) <= 0:
        return "must have positive prices"
    if volume < 0:
        return "must have a volume of at least 0"
    if high < max(open_, close) or low > min(open_, close):
        return "must have low <= open, close <= high"
    return None


def sound_rows(columns: Floats) -> NDArray[np.bool_]:
    """Tell which rows of `PRICE_COLUMNS`, shape (5, n_rows), have no `price_fault`."""
    o, h, low, c, v = columns
    good = np.isfinite(columns).all(axis=0) & (columns[:4] > 0).all(axis=0) & (v >= 0)
    sound: NDArray[np.bool_] = good & (h >= np.maximum(o, c)) & (low <= np.minimum(o, c))
    return sound


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bars:
    """Closed bars of one instrument, oldest first.

    Attributes
    ----------
    closed_at : ndarray of datetime64[ns], shape (n_bars,)
        Strictly increasing, UTC. Gaps are allowed; they are facts.
    open, high, low, close, volume : ndarray of float64, shape (n_bars,)
        As in `Bar`. No NaN.

    Raises
    ------
    DataError
        If a rule of `Bar` is broken or the stamps do not increase.

    Examples
    --------
    >>> frame = pd.DataFrame(
    ...     {"open": [1.0], "high": [2.0], "low": [1.0], "close": [2.0], "volume": [5.0]},
    ...     index=pd.DatetimeIndex(["2024-01-01 01:00"], tz="UTC"),
    ... )
    >>> len(Bars.from_frame("BTC/USDT", Timeframe.H1, frame))
    1
    """

    instrument: str
    timeframe: Timeframe
    closed_at: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __post_init__(self) -> None:
        check_instrument(self.instrument)
        for name in PRICE_COLUMNS:
            values = np.ascontiguousarray(getattr(self, name), dtype=np.float64)
            object.__setattr__(self, name, values)
            if values.shape != self.closed_at.shape:
                raise DataError(
                    f"{self.instrument} {name}",
                    f"must have {self.closed_at.shape[0]} values",
                    values.shape,
                    "Give one value for each bar.",
                )
        self._refuse_broken_rows()

    def _refuse_broken_rows(self) -> None:
        if len(self) > 1 and not (np.diff(self.closed_at) > np.timedelta64(0)).all():
            first = int(np.argmin(np.diff(self.closed_at) > np.timedelta64(0))) + 1
            raise DataError(
                f"{self.instrument} closed_at",
                "must strictly increase",
                self.closed_at[first],
                "Sort the bars and drop duplicates.",
            )
        good = sound_rows(np.vstack([getattr(self, name) for name in PRICE_COLUMNS]))
        if not good.all():
            self.bar(int(np.argmin(good)))  # raises with the row's own message

    def __len__(self) -> int:
        return int(self.closed_at.shape[0])

    def bar(self, row: int) -> Bar:
        """Return row `row` as a `Bar`."""
        values = {name: float(getattr(self, name)[row]) for name in PRICE_COLUMNS}
        closed_at = to_datetime(self.closed_at[row])
        return Bar(instrument=self.instrument, closed_at=closed_at, **values)

    def take(self, rows: slice) -> Bars:
        """Return the bars of a slice of rows."""
        columns = {name: getattr(self, name)[rows] for name in ("closed_at", *PRICE_COLUMNS)}
        return Bars(instrument=self.instrument, timeframe=self.timeframe, **columns)

    def until(self, closed_at: np.datetime64) -> Bars:
        """Return the bars closed at or before `closed_at`."""
        n = int(np.searchsorted(self.closed_at, closed_at, side="right"))
        if n == len(self):
            return self
        fields = {name: getattr(self, name)[:n] for name in PRICE_COLUMNS}
        return unchecked(self.instrument, self.timeframe, self.closed_at[:n], fields)

    def frame(self) -> pd.DataFrame:
        """Return a frame of the price columns indexed by `closed_at` (UTC-aware)."""
        index = pd.DatetimeIndex(self.closed_at, tz="UTC", name="closed_at")
        return pd.DataFrame({name: getattr(self, name) for name in PRICE_COLUMNS}, index=index)

    @classmethod
    def from_frame(cls, instrument: str, timeframe: Timeframe, frame: pd.DataFrame) -> Bars:
        """Build bars from a frame with the price columns, indexed by an aware `closed_at`."""
        index = pd.DatetimeIndex(frame.index)
        stamps = (index.tz_convert("UTC").tz_localize(None) if index.tz else index).to_numpy()
        columns: dict[str, Any] = {name: frame[name].to_numpy() for name in PRICE_COLUMNS}
        return cls(
            instrument=instrument,
            timeframe=timeframe,
            closed_at=stamps.astype("datetime64[ns]"),
            **columns,
        )


# Rows of checked bars need no check again: it costs more than most work on them.
def unchecked(
    instrument: str, timeframe: Timeframe, closed_at: Times, fields: Mapping[str, Floats]
) -> Bars:
    """Return bars of columns that are known to be sound."""
    bars = object.__new__(Bars)
    for name, value in (("instrument", instrument), ("timeframe", timeframe)):
        object.__setattr__(bars, name, value)
    object.__setattr__(bars, "closed_at", closed_at)
    for name in PRICE_COLUMNS:
        object.__setattr__(bars, name, fields[name])
    return bars
