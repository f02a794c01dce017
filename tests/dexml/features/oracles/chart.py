"""An instrument's bars as plain lists, and the few words that definitions are made of."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from math import nan

from dexml.domain import Bars

Series = list[float]
HOUR = 3_600
DAY = 24 * HOUR


class Chart:
    """The bars as lists of floats, their closes as seconds since the epoch."""

    def __init__(self, bars: Bars) -> None:
        self.open, self.high, self.low = bars.open.tolist(), bars.high.tolist(), bars.low.tolist()
        self.close, self.volume = bars.close.tolist(), bars.volume.tolist()
        self.at = bars.closed_at.astype("datetime64[s]").astype(int).tolist()
        self.step: int = bars.timeframe.seconds
        self.rows = range(len(self.close))

    def row(self, at: int) -> int:
        """Return the last row that was closed at an instant."""
        return bisect_right(self.at, at) - 1


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def windowed(function: Callable[[Series], float], values: Series, n: int) -> Series:
    """Apply `function` to the last n values at each row; NaN where one of them is missing."""
    ready = range(len(values))
    return [function(values[t - n + 1 : t + 1]) if t >= n - 1 else nan for t in ready]


def back(values: Series, n: int) -> Series:
    return [nan] * n + values[:-n]


def ema(values: Iterable[float], weight: float) -> Series:
    """Move by `weight` of the distance to each new value, starting from the first number."""
    level, out = nan, []
    for value in values:
        level = value if level != level else level + weight * (value - level)
        out.append(level)
    return out


def span(n: int) -> float:
    return 2 / (n + 1)


def wilder(values: Iterable[float], n: int = 14) -> Series:
    return ema(values, 1 / n)
