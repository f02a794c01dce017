"""What indicators read besides bars: TA-Lib recursions, remembered series, higher timeframes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import talib
from numpy.typing import NDArray

from dexml.domain import Timeframe

__all__ = [
    "BarArrays",
    "Derived",
    "Higher",
    "HigherStudy",
    "Recursion",
    "Study",
    "Values",
    "compute_studies",
    "higher_bars",
    "in_order",
]

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]
Values = Mapping[str, Floats]


class BarArrays(Protocol):
    """Bars as a formula sees them: one instrument's series, or the last rows of many.

    Attributes
    ----------
    closed_at, open, high, low, close, volume : ndarray
        Shape (n_bars,), or (n_rows, n_instruments) with the newest row last (`rolling`).
    """

    @property
    def timeframe(self) -> Timeframe: ...
    @property
    def closed_at(self) -> Times: ...
    @property
    def open(self) -> Floats: ...
    @property
    def high(self) -> Floats: ...
    @property
    def low(self) -> Floats: ...
    @property
    def close(self) -> Floats: ...
    @property
    def volume(self) -> Floats: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Recursion:
    """A TA-Lib function: one call in batch, one stateful `talib.stream` handle live, the same bits.

    Attributes
    ----------
    function : str
        Its name in `talib`.
    inputs : tuple of str
        Fields of bars, or outputs of the series that it reads.
    outputs : tuple of str
        Names of what it returns, in TA-Lib's order.
    """

    function: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: tuple[float, ...] = ()
    reads: tuple[Derived, ...] = ()

    def compute(self, bars: BarArrays, values: Values) -> Values:
        """Run over an instrument's whole series."""
        arrays = [values[name] if name in values else getattr(bars, name) for name in self.inputs]
        if len(arrays[0]) == 0:
            return {name: np.empty(0) for name in self.outputs}
        found = getattr(talib, self.function)(*arrays, *self.parameters)
        return dict(zip(self.outputs, found if len(self.outputs) > 1 else (found,), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A series computed from a window of bars once for each bar.

    Attributes
    ----------
    formula : callable
        Takes bars and the outputs of `reads`; uses only functions of `rolling` and what works
        element by element.
    window : int
        Bars that a value is computed from.
    look_back_s : int
        Seconds that it looks back beyond those.
    kept : bool
        Whether others read its past, or only its newest value.
    """

    outputs: tuple[str, ...]
    formula: Callable[[BarArrays, Values], Values]
    window: int = 1
    look_back_s: int = 0
    kept: bool = True
    reads: tuple[Derived, ...] = ()

    def compute(self, bars: BarArrays, values: Values) -> Values:
        """Run over a whole series, or for the newest row of live ones."""
        return self.formula(bars, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class HigherStudy:
    """Series of a higher timeframe, seen from the close of each of its bars.

    Attributes
    ----------
    seconds : int
        Its bars close at multiples of this, UTC.
    window : int
        Closed higher bars that a value is computed from.
    formula : callable
        Takes `high`, `low` and `close` of higher bars by name.
    """

    seconds: int
    window: int
    outputs: tuple[str, ...]
    formula: Callable[[Values], Values]
    reads: tuple[Derived, ...] = ()

    def compute(self, bars: BarArrays, values: Values) -> Values:
        """Run over an instrument's whole series."""
        if not len(bars.close):
            return {name: np.empty(0) for name in self.outputs}
        higher = higher_bars(bars, self.seconds)
        found = self.formula({"high": higher.high, "low": higher.low, "close": higher.close})
        return {name: higher.seen(found[name]) for name in self.outputs}


Study: TypeAlias = Recursion | Derived | HigherStudy


@dataclass(frozen=True, slots=True, kw_only=True)
class Higher:
    """Bars of a higher timeframe, aligned to UTC, and which of them was closed at each bar.

    Attributes
    ----------
    end : ndarray of int, shape (n_higher,)
        The instant each closes, in seconds.
    high, low, close : ndarray, shape (n_higher,)
        The first may be incomplete; the last too, and then no row points to it.
    row : ndarray of int, shape (n_bars,)
        Last higher bar closed at or before each bar's close; -1 where there is none.
    """

    end: NDArray[np.int64]
    high: Floats
    low: Floats
    close: Floats
    row: NDArray[np.intp]

    def seen(self, values: Floats) -> Floats:
        """Spread values of higher bars over the bars at which they were known."""
        return np.where(self.row >= 0, values[np.maximum(self.row, 0)], np.nan)


def higher_bars(bars: BarArrays, seconds: int) -> Higher:
    """Aggregate bars to a higher timeframe of `seconds`, whose bars close at its multiples."""
    stamps = bars.closed_at.astype("datetime64[s]").astype(np.int64)
    ends = -(-stamps // seconds) * seconds
    starts = np.flatnonzero(np.diff(ends, prepend=-1))
    return Higher(
        end=ends[starts],
        high=np.maximum.reduceat(bars.high, starts),
        low=np.minimum.reduceat(bars.low, starts),
        close=bars.close[np.append(starts[1:], len(stamps)) - 1],
        row=np.searchsorted(ends[starts], stamps, side="right") - 1,
    )


def in_order(studies: Iterable[Study]) -> tuple[Study, ...]:
    """Return each study once, after the series that it reads."""
    ordered: dict[Study, None] = {}
    for study in studies:
        ordered.update(dict.fromkeys(in_order(study.reads)))
        ordered[study] = None
    return tuple(ordered)


def compute_studies(bars: BarArrays, studies: Iterable[Study]) -> dict[str, Floats]:
    """Compute studies over one instrument's whole series; what one reads comes before it."""
    values: dict[str, Floats] = {}
    for study in studies:
        values |= study.compute(bars, values)
    return values
