"""Windows of bars that were checked when they came in."""

from __future__ import annotations

from typing import Protocol

from dexml.domain import Bars, Timeframe, unchecked

__all__ = ["Reader", "rows_read", "window"]


class Reader(Protocol):
    """Whatever is computed from a window of bars."""

    @property
    def window(self) -> int: ...
    @property
    def look_back_s(self) -> int: ...


def rows_read(reader: Reader, timeframe: Timeframe) -> int:
    """Return the number of bars that a value is computed from."""
    return reader.window - (-reader.look_back_s // timeframe.seconds)


def window(bars: Bars, first: int, last: int) -> Bars:
    """Return rows `first` to `last` of bars as views."""
    fields = {
        "open": bars.open[first:last],
        "high": bars.high[first:last],
        "low": bars.low[first:last],
        "close": bars.close[first:last],
        "volume": bars.volume[first:last],
    }
    return unchecked(bars.instrument, bars.timeframe, bars.closed_at[first:last], fields)
