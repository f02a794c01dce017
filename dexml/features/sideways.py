"""Every row of a series as if it were the newest: its windows side by side, like instruments live.

One call for each formula then shows, for all rows at once, what it gives where no later bar exists.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import chain
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dexml.domain import PRICE_COLUMNS, Bars
from dexml.features.registry import INDICATORS, Indicator
from dexml.features.studies import Derived, HigherStudy, compute_studies, higher_bars, in_order
from dexml.features.tape import BEFORE, Rows
from dexml.features.windows import Reader, rows_read

__all__ = ["sideways"]

Floats = NDArray[np.float64]
_BROKEN = (ValueError, IndexError, TypeError)


def sideways(bars: Bars, n_rows: int) -> dict[str, Floats]:
    """Compute the columns of `shared` indicators for the last rows, each from its own past alone.

    Parameters
    ----------
    bars : Bars
        One instrument's series.
    n_rows : int
        At most the bars there are; windows that reach before the first of them begin with NaN.

    Returns
    -------
    dict of str to ndarray, shape (n_rows,)
        The bits that a live panel would give. A formula that fails on rows side by side gives NaN.
    """
    shared = [one for one in INDICATORS.values() if one.shared]
    past = _Past(bars, shared, n_rows)
    return {name: values for one in shared for name, values in past.columns(one).items()}


class _Past:
    """The windows that end at each of the last rows, and what was computed from them."""

    def __init__(self, bars: Bars, shared: Collection[Indicator], n_rows: int) -> None:
        self._bars = bars
        studies = in_order(chain.from_iterable(one.studies for one in shared))
        derived = [one for one in studies if isinstance(one, Derived)]
        readers: tuple[Reader, ...] = (*shared, *derived)
        self._depth = max((rows_read(one, bars.timeframe) for one in readers), default=1)
        self._n_rows = n_rows
        self._read: dict[int, Rows] = {}
        self._values: dict[str, Floats] = {}
        batch = compute_studies(bars, studies)
        for study in studies:
            if isinstance(study, Derived):
                self._derive(study, batch)
            elif isinstance(study, HigherStudy):
                self._values |= self._higher(study)
            else:
                self._values |= {name: self._newest(batch[name]) for name in study.outputs}

    def columns(self, one: Indicator) -> dict[str, Floats]:
        rows = self._rows(rows_read(one, self._bars.timeframe))
        try:
            found = one.compute(rows, self._values) if one.studies else one.compute(rows)
            return {name: np.broadcast_to(found[name][-1], self._n_rows) for name in one.columns}
        except _BROKEN:
            return {name: np.full(self._n_rows, np.nan) for name in one.columns}

    # What others read of its past is the batch; its newest value is its own.
    def _derive(self, study: Derived, batch: Mapping[str, Floats]) -> None:
        found = study.compute(self._rows(rows_read(study, self._bars.timeframe)), self._values)
        for name in study.outputs:
            if study.kept:
                self._values[name] = self._windows(batch[name], self._depth)
                self._values[name][-1] = found[name][-1]
            else:
                self._values[name] = found[name][-1:]

    def _higher(self, study: HigherStudy) -> dict[str, Floats]:
        higher = higher_bars(self._bars, study.seconds)
        last = higher.row[-self._n_rows :]
        at = np.maximum(last - np.arange(study.window - 1, -1, -1)[:, None], 0)
        series = {"high": higher.high, "low": higher.low, "close": higher.close}
        short = last < study.window - 1
        found = study.formula({name: values[at] for name, values in series.items()})
        return {name: np.where(short, np.nan, found[name][-1:]) for name in study.outputs}

    def _newest(self, values: Floats) -> Floats:
        return values[None, len(values) - self._n_rows :]

    # Rows one after the other in memory, as on a live tape: sums then go in the same order.
    def _windows(self, values: NDArray[Any], n: int) -> NDArray[Any]:
        n_last = self._n_rows + n - 1
        nothing = np.full(
            max(n_last - len(values), 0), BEFORE if values.dtype.kind == "M" else np.nan
        )
        last = np.concatenate([nothing, values[max(len(values) - n_last, 0) :]])
        return np.array(sliding_window_view(last, n).T, order="C")

    def _rows(self, n: int) -> Rows:
        if n not in self._read:
            fields = {name: self._windows(getattr(self._bars, name), n) for name in PRICE_COLUMNS}
            stamps = self._windows(self._bars.closed_at, n)
            self._read[n] = Rows(timeframe=self._bars.timeframe, closed_at=stamps, **fields)
        return self._read[n]
