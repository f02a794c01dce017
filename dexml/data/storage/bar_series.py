"""All that is stored of one series, in memory: a later bar costs the same after any history."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from dexml.clock import utc
from dexml.data.quality import SPIKE_WINDOW
from dexml.data.storage.bar_rows import (
    BarRows,
    bars_of,
    believed,
    fresh_rows,
    latest,
    united,
)
from dexml.domain import Bars, Timeframe

__all__ = ["BarSeries"]

_SPARE = 64  # rows
_BESIDE = 2  # bars on either side of others by which `lone_jumps` judges them and their neighbours


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
        self._all = self._last = self._believed = _Grown(BarRows.empty())
        self._bars: Bars | None = None

    def add(self, rows: BarRows) -> None:
        """Add rows in any order."""
        if not rows.n_rows:
            return
        last = self._last.rows
        follow = rows.is_after(last.closed_at[-1] if last.n_rows else rows.closed_at[0] - 1)
        if follow and not rows.are_withdrawn.any():
            for grown in {self._all, self._last, self._believed}:
                grown.extend(rows)
            self._bars = None
            return
        known = self._all.rows
        everything = united([known, rows])
        if everything.n_rows > known.n_rows:
            self._all = _Grown(everything)
            self._last = self._believed = _Grown(latest(everything))
            if self._last.rows.are_withdrawn.any():
                self._believed = _Grown(believed(self._last.rows))
            self._bars = None

    def bars(self, as_of: datetime | None = None) -> Bars:
        """Return the last revision of each bar, as far as it was known at an instant.

        The same object as before if nothing was added.
        """
        if as_of is not None:
            known = self._all.rows.known_at(pd.Timestamp(utc(as_of)))
            return bars_of(self._instrument, self._timeframe, believed(latest(known)))
        if self._bars is None:
            self._bars = bars_of(self._instrument, self._timeframe, self._believed.rows)
        return self._bars

    @property
    def newest(self) -> int | None:
        """Close of the newest bar that was ever believed, in nanoseconds."""
        stamps = self._last.rows.closed_at
        return int(stamps[-1]) if len(stamps) else None

    def before(self, bars: Bars, less: BarRows | None = None) -> Bars:
        """Return the last believed bars before the first of `bars`, for `suspects`.

        Parameters
        ----------
        less : BarRows, optional
            Bars that are no longer believed.
        """
        rows = self._believed.rows
        end = int(np.searchsorted(rows.closed_at, bars.closed_at[:1].view(np.int64))[0])
        n_less = 0 if less is None else less.n_rows
        near = rows.take(slice(max(0, end - SPIKE_WINDOW - n_less), end))
        if less is not None and n_less:
            near = near.take(~np.isin(near.closed_at, less.closed_at))
        return bars_of(self._instrument, self._timeframe, near)

    def beside(self, bars: Bars) -> BarRows:
        """Return the believed bars from two before the first of `bars` to two after the last."""
        rows, ends = self._believed.rows, bars.closed_at[[0, -1]].view(np.int64)
        first, last = np.searchsorted(rows.closed_at, ends).tolist()
        return rows.take(slice(max(0, first - _BESIDE), last + 1 + _BESIDE))

    def fresh(
        self,
        bars: Bars,
        seen_at: pd.Timestamp,
        live: bool = False,
        followed_from: int | None = None,
    ) -> BarRows:
        """Return the rows of `bars` that are new or changed, see `fresh_rows`."""
        return fresh_rows(self._last.rows, bars, seen_at, live, followed_from)


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
