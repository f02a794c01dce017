"""All that is stored of one series, in memory: a later bar costs the same after any history."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from dexml.clock import utc
from dexml.data.quality import SPIKE_WINDOW
from dexml.data.storage.bar_rows import BarRows, bars_of, fresh_rows, latest, united
from dexml.domain import Bars, Timeframe

__all__ = ["BarSeries"]

_SPARE = 64  # rows


class BarSeries:
    """The rows of a series, and its bars as they are believed now.

    Rows are a set: one that is there already, equal in all columns, counts once. Bars that were
    given out never change.

    Examples
    --------
    >>> from dexml.simulation.market import MarketConfig, plant
    >>> bars = plant(MarketConfig(n_bars=100)).history.bars["BTC/USDT"]
    >>> series = BarSeries("BTC/USDT", bars.timeframe)
    >>> series.add(series.fresh(bars, pd.Timestamp(0, tz="UTC")))
    >>> len(series.bars()), series.fresh(bars, pd.Timestamp(0, tz="UTC")).n_rows
    (100, 0)
    """

    def __init__(self, instrument: str, timeframe: Timeframe) -> None:
        self._instrument, self._timeframe = instrument, timeframe
        self._all = self._last = _Grown(BarRows.empty())
        self._bars: Bars | None = None

    def add(self, rows: BarRows) -> None:
        """Add rows in any order."""
        if not rows.n_rows:
            return
        believed = self._last.rows
        if rows.is_after(believed.closed_at[-1] if believed.n_rows else rows.closed_at[0] - 1):
            for grown in {self._all, self._last}:
                grown.extend(rows)
            self._bars = None
            return
        known = self._all.rows
        everything = united([known, rows])
        if everything.n_rows > known.n_rows:
            self._all = _Grown(everything)
            self._last = _Grown(latest(everything))
            self._bars = None

    def bars(self, as_of: datetime | None = None) -> Bars:
        """Return the last revision of each bar, as far as it was known at an instant.

        The same object as before if nothing was added.
        """
        if as_of is not None:
            known = self._all.rows.known_at(pd.Timestamp(utc(as_of)))
            return bars_of(self._instrument, self._timeframe, latest(known))
        if self._bars is None:
            self._bars = bars_of(self._instrument, self._timeframe, self._last.rows)
        return self._bars

    def before(self, bars: Bars) -> Bars:
        """Return the last believed bars before the first of `bars`, for `suspects`."""
        rows = self._last.rows
        first = bars.closed_at[:1].view(np.int64)
        end = int(np.searchsorted(rows.closed_at, first)[0]) if len(first) else 0
        near = rows.take(slice(max(0, end - SPIKE_WINDOW), end))
        return bars_of(self._instrument, self._timeframe, near)

    def fresh(self, bars: Bars, seen_at: pd.Timestamp, live: bool = False) -> BarRows:
        """Return the rows of `bars` that are new or changed, see `fresh_rows`."""
        return fresh_rows(self._last.rows, bars, seen_at, live)


class _Grown:
    """Rows with room after them, so that more can follow without a copy of all."""

    def __init__(self, rows: BarRows) -> None:
        self._room, self._n_rows = rows, rows.n_rows

    @property
    def rows(self) -> BarRows:
        return self._room.take(slice(0, self._n_rows))

    def extend(self, rows: BarRows) -> None:
        end = self._n_rows + rows.n_rows
        if end > self._room.n_rows:
            n_spare = end - self._n_rows + max(_SPARE, end // 8)
            blank = BarRows(np.zeros((3, n_spare), dtype=np.int64), np.zeros((5, n_spare)))
            self._room = BarRows.joined([self.rows, blank])
        for column, values in zip(self._room, rows, strict=True):
            column[:, self._n_rows : end] = values
        self._n_rows = end
