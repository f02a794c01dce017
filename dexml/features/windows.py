"""Windows of bars that were checked when they came in."""

from __future__ import annotations

from typing import Protocol

from dexml.domain import Bars, Floats, Timeframe, unchecked

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


# Whoever writes into a window would change the history for everybody else.
def _sealed(values: Floats) -> Floats:
    values.flags.writeable = False
    return values


def window(bars: Bars, first: int, last: int) -> Bars:
    """Return rows `first` to `last` of bars as views that cannot be written to."""
    fields = {
        "open": _sealed(bars.open[first:last]),
        "high": _sealed(bars.high[first:last]),
        "low": _sealed(bars.low[first:last]),
        "close": _sealed(bars.close[first:last]),
        "volume": _sealed(bars.volume[first:last]),
    }
    return unchecked(bars.instrument, bars.timeframe, bars.closed_at[first:last], fields)
