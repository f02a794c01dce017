"""The last bars of many instruments side by side, so that one call computes all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dexml.domain import Timeframe

__all__ = ["BEFORE", "Rows", "Tape"]

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]
Mask = NDArray[np.bool_]

BEFORE = np.datetime64(-(2**62), "ns")  # the stamp of rows before an instrument's first


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """The last rows of many instruments, as formulas see bars; shape (n_rows, n_instruments)."""

    timeframe: Timeframe
    closed_at: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


class Tape:
    """The last rows of some fields for many instruments, each column with rows of its own.

    Row -1 is an instrument's newest row, whenever it was; rows before its first are NaN. A row
    costs the same however long the tape has run.

    Parameters
    ----------
    fields : sequence of str
    n_columns : int
        Instruments.
    n_rows : int
        How many last rows can be read.

    Examples
    --------
    >>> tape = Tape(("close",), n_columns=2, n_rows=3)
    >>> tape.push(np.array([True, True]), BEFORE, {"close": np.array([1.0, 10.0])})
    >>> tape.push(np.array([True, False]), BEFORE, {"close": np.array([2.0, np.nan])})
    >>> tape["close"][-2:]
    array([[ 1., nan],
           [ 2., 10.]])
    """

    def __init__(self, fields: Sequence[str], n_columns: int, n_rows: int) -> None:
        self._place = {name: k for k, name in enumerate(fields)}
        self._values = np.full((len(fields), 2 * n_rows, n_columns), np.nan)
        self._stamps = np.full((2 * n_rows, n_columns), BEFORE)
        self._n_rows = n_rows
        self._end = n_rows

    def __getitem__(self, field: str) -> Floats:
        """Return the last rows of a field, newest last."""
        return self._values[self._place[field], self._end - self._n_rows : self._end]

    @property
    def closed_at(self) -> Times:
        """Return the stamps of the last rows, newest last."""
        return self._stamps[self._end - self._n_rows : self._end]

    def push(self, present: Mask, stamp: np.datetime64, row: Mapping[str, Floats]) -> None:
        """Add a row to the columns that are `present`; the others keep their own newest row."""
        if self._end == 2 * self._n_rows:
            self._rewind()
        end, first = self._end, self._end - self._n_rows
        if not present.all():
            absent = np.flatnonzero(~present)
            kept = self._values[:, first:end, absent]
            self._values[:, first + 1 : end + 1, absent] = kept
            self._stamps[first + 1 : end + 1, absent] = self._stamps[first:end, absent]
        self._end = end + 1
        self._stamps[end, present] = stamp
        for name, values in row.items():
            self.set(name, present, values)

    def set(self, field: str, present: Mask, values: Floats) -> None:
        """Write a field of the newest row."""
        newest = self._values[self._place[field], self._end - 1]
        np.copyto(newest, values, where=present)

    def load(self, column: int, stamps: Times, fields: Mapping[str, Floats]) -> None:
        """Fill a column with the last rows of an instrument's series."""
        n = min(len(stamps), self._n_rows)
        if n:
            rows = slice(self._end - n, self._end)
            self._stamps[rows, column] = stamps[-n:]
            for name, values in fields.items():
                self._values[self._place[name], rows, column] = values[-n:]

    def clear(self, column: int) -> None:
        """Forget all rows of an instrument."""
        self._stamps[:, column] = BEFORE
        self._values[:, :, column] = np.nan

    def _rewind(self) -> None:
        self._values[:, : self._n_rows] = self._values[:, self._n_rows :]
        self._stamps[: self._n_rows] = self._stamps[self._n_rows :]
        self._end = self._n_rows
