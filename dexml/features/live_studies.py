"""Studies one bar at a time: TA-Lib handles, remembered series, higher timeframes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from talib import stream

from dexml.domain import Bars
from dexml.features.studies import HigherStudy, Recursion, higher_bars
from dexml.features.tape import Tape

__all__ = ["Handles", "LiveHigher"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Handles:
    """A `talib.stream` handle of each recursion for each instrument.

    A handle cannot be pickled: it is opened on an instrument's whole series, and again after a
    restart. It needs the series only to open; an update costs under a microsecond.
    """

    def __init__(self, studies: Sequence[Recursion], n_columns: int) -> None:
        self._studies = tuple(studies)
        self._handles: list[list[Callable[..., object]]] = [
            [_not_open] * n_columns for _ in self._studies
        ]
        self._values = [np.full((len(one.outputs), n_columns), np.nan) for one in self._studies]
        self._open = np.zeros(n_columns, dtype=np.bool_)

    def open(self, column: int, series: Mapping[str, Floats]) -> None:
        """Open the handles of one instrument on its series, from its first bar to its newest."""
        for k, study in enumerate(self._studies):
            arrays = [series[name] for name in study.inputs]
            first = max(int(np.argmin(np.isnan(one))) for one in arrays)
            handle = getattr(stream, study.function)(
                *(one[first:] for one in arrays), *study.parameters
            )
            self._handles[k][column] = handle.update
            self._values[k][:, column] = handle.value
        self._open[column] = True

    def close(self, column: int) -> None:
        """Forget the handles of one instrument."""
        for handles, values in zip(self._handles, self._values, strict=True):
            handles[column] = _not_open
            values[:, column] = np.nan
        self._open[column] = False

    def update(self, present: Mask, newest: Mapping[str, Floats]) -> None:
        """Hear the newest bar of every instrument that is present and open."""
        columns = np.flatnonzero(present & self._open)
        places = columns.tolist()
        everyone = len(places) == len(present)
        lists = {
            name: newest[name][columns].tolist()
            for name in {name for one in self._studies for name in one.inputs}
        }
        for study, handles, values in zip(self._studies, self._handles, self._values, strict=True):
            own = handles if everyone else [handles[k] for k in places]
            heard = _hear(own, [lists[name] for name in study.inputs])
            if heard:
                values[:, columns] = np.array(heard, dtype=np.float64).T

    def read(self) -> dict[str, Floats]:
        """Return the newest value of every output, shape (1, n_instruments), NaN if not open."""
        return {
            name: values[k : k + 1]
            for study, values in zip(self._studies, self._values, strict=True)
            for k, name in enumerate(study.outputs)
        }


# Unpacking a row of one costs as much as the update itself.
def _hear(handles: list[Callable[..., object]], inputs: list[list[float]]) -> list[object]:
    if len(inputs) == 1:
        return [handle(value) for handle, value in zip(handles, inputs[0], strict=True)]
    return [handle(*row) for handle, row in zip(handles, zip(*inputs, strict=True), strict=True)]


def _not_open(*_: float) -> None:
    """Hold the place of a handle until its instrument has bars enough."""


class LiveHigher:
    """The last closed bars of a higher timeframe, and the one that is still open."""

    def __init__(self, study: HigherStudy, n_columns: int) -> None:
        self._study = study
        self._tape = Tape(("high", "low", "close"), n_columns, study.window + 1)
        self._end_s = np.full(n_columns, -1, dtype=np.int64)

    def load(self, column: int, bars: Bars) -> None:
        """Read an instrument's whole series."""
        if len(bars):
            higher = higher_bars(bars, self._study.seconds)
            fields = {"high": higher.high, "low": higher.low, "close": higher.close}
            self._tape.load(column, higher.end.astype("datetime64[s]"), fields)
            self._end_s[column] = higher.end[-1]

    def forget(self, column: int) -> None:
        """Forget an instrument's bars."""
        self._tape.clear(column)
        self._end_s[column] = -1

    def update(
        self, present: Mask, closed_at: np.datetime64, newest: Mapping[str, Floats]
    ) -> dict[str, Floats]:
        """Hear the newest bars; return each output, shape (1, n_instruments)."""
        stamp_s = int(closed_at.astype("datetime64[s]").astype(np.int64))
        end_s = -(-stamp_s // self._study.seconds) * self._study.seconds
        fresh = present & (self._end_s != end_s)
        row = {name: newest[name] for name in ("high", "low", "close")}
        if fresh.any():
            self._tape.push(fresh, np.datetime64(end_s, "s"), row)
        self._widen(present & ~fresh, row)
        self._end_s[present] = end_s
        return self._closed(still_open=end_s > stamp_s)

    def _widen(self, same: Mask, row: Mapping[str, Floats]) -> None:
        self._tape.set("high", same, np.maximum(self._tape["high"][-1], row["high"]))
        self._tape.set("low", same, np.minimum(self._tape["low"][-1], row["low"]))
        self._tape.set("close", same, row["close"])

    # A higher bar is used only once it has closed; all present instruments are in the same one.
    def _closed(self, still_open: bool) -> dict[str, Floats]:
        last = -1 if still_open else None
        closed = {
            name: self._tape[name][-self._study.window + (last or 0) : last]
            for name in ("high", "low", "close")
        }
        found = self._study.formula(closed)
        return {name: found[name][-1:] for name in self._study.outputs}
