"""The candles an exchange would show at the clock's present."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dexml.clock import Clock
from dexml.domain import PRICE_COLUMNS, Bars, History, to_datetime64

__all__ = ["Book", "Candle", "number"]


class Candle(NamedTuple):
    """One candle as exchanges stamp it: by its opening instant, in whole seconds."""

    opened_s: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    closed: bool


class Book:
    """What is known of a history at the clock's present; the last candle may still be open.

    Parameters
    ----------
    history : History
        Recorded or planted bars.
    clock : Clock
        Bars that open after `clock.now()` do not exist yet.
    """

    def __init__(self, history: History, clock: Clock) -> None:
        self._bars, self._clock = history.bars, clock
        self.step_s = history.timeframe.seconds if history.bars else 0
        self._opened_s: dict[str, NDArray[np.int64]] = {
            name: bars.closed_at.astype("datetime64[s]").astype(np.int64) - self.step_s
            for name, bars in history.bars.items()
        }

    @property
    def instruments(self) -> tuple[str, ...]:
        return tuple(self._bars)

    def now_s(self) -> int:
        """Return the clock's present in whole seconds."""
        return int(self._clock.now().timestamp())

    def place(self, instrument: str, opened_s: int) -> int:
        """Return how many candles of the instrument open before `opened_s`."""
        return int(np.searchsorted(self._opened_s[instrument], opened_s, side="left"))

    def in_usd(self) -> dict[str, str]:
        """Map the USD name of each instrument (BTC/USD) to its own (BTC/USDT)."""
        by_preference = sorted(self._bars, key=lambda name: name.endswith("/USD"))
        return {name.split("/")[0] + "/USD": name for name in by_preference}

    def candles(
        self,
        instrument: str,
        first_s: int | None = None,
        last_s: int | None = None,
        oldest: int | None = None,
        newest: int | None = None,
    ) -> list[Candle]:
        """Return the known candles that open in [first_s, last_s], oldest first.

        Parameters
        ----------
        oldest, newest : int, optional
            Keep only so many from the beginning, or from the end.
        """
        bars, opened = self._bars[instrument], self._opened_s[instrument]
        n_closed, end = self._known(bars, opened)
        start = 0 if first_s is None else int(np.searchsorted(opened, first_s, side="left"))
        if last_s is not None:
            end = min(end, int(np.searchsorted(opened, last_s, side="right")))
        if oldest is not None:
            end = min(end, start + oldest)
        if newest is not None:
            start = max(start, end - newest)
        return self._rows(instrument, start, end, n_closed)

    def _known(self, bars: Bars, opened: NDArray[np.int64]) -> tuple[int, int]:
        now = to_datetime64(self._clock.now())
        n_closed = int(np.searchsorted(bars.closed_at, now, side="right"))
        now_s = int(now.astype("datetime64[s]").astype(np.int64))
        is_open = n_closed < len(bars) and opened[n_closed] <= now_s
        return n_closed, n_closed + int(is_open)

    def _rows(self, instrument: str, start: int, end: int, n_closed: int) -> list[Candle]:
        bars, closed_end = self._bars[instrument], min(end, n_closed)
        stamps = self._opened_s[instrument][start:closed_end].tolist()
        columns = [getattr(bars, name)[start:closed_end].tolist() for name in PRICE_COLUMNS]
        rows = [Candle._make((*row, True)) for row in zip(stamps, *columns, strict=True)]
        if start <= n_closed < end:  # all that is known of the open bar is its first price
            price = float(bars.open[n_closed])
            opened = int(self._opened_s[instrument][n_closed])
            rows.append(Candle(opened, price, price, price, price, 0.0, False))
        return rows


def number(value: float) -> str:
    """Write a float so that reading it gives the same bits."""
    return repr(value)
