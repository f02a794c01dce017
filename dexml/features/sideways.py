"""Every row of a series as if it were the newest: its windows side by side, like instruments live.

One call for each formula then shows, for all rows at once, what it gives where no later bar exists.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexml.domain import PRICE_COLUMNS, Bars
from dexml.features.registry import INDICATORS, Indicator
from dexml.features.studies import (
    Derived,
    HigherStudy,
    Study,
    compute_studies,
    higher_bars,
    in_order,
)
from dexml.features.tape import BEFORE, Rows
from dexml.features.windows import Reader, rows_read

__all__ = ["sideways"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

_BROKEN = (ValueError, IndexError, TypeError)
_SIDE_BY_SIDE = 256  # rows: more would not stay in the cache, and cost twice as much each


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
    studies = in_order(chain.from_iterable(one.studies for one in shared))
    batch = compute_studies(bars, studies)
    out = {column: np.empty(n_rows) for one in shared for column in one.columns}
    for rows in _shuffled(len(bars), n_rows):
        past = _Past(bars, shared, rows, studies, batch)
        for one in shared:
            for column, values in past.columns(one).items():
                out[column][rows - (len(bars) - n_rows)] = values
    return out


# In disorder, so that a formula that reads its neighbour does not find the next bar there.
def _shuffled(n_bars: int, n_rows: int) -> Iterator[Places]:
    generator = np.random.default_rng(n_bars)
    for first in range(n_bars - n_rows, n_bars, _SIDE_BY_SIDE):
        yield generator.permutation(np.arange(first, min(first + _SIDE_BY_SIDE, n_bars)))


class _Past:
    """The windows that end at each of some rows, and what was computed from them."""

    def __init__(
        self,
        bars: Bars,
        shared: Collection[Indicator],
        rows: Places,
        studies: Collection[Study],
        batch: Mapping[str, Floats],
    ) -> None:
        self._bars = bars
        derived = [one for one in studies if isinstance(one, Derived)]
        readers: tuple[Reader, ...] = (*shared, *derived)
        self._depth = max((rows_read(one, bars.timeframe) for one in readers), default=1)
        self._places = rows
        self._at: dict[int, Places] = {}
        self._read: dict[int, Rows] = {}
        self._values: dict[str, Floats] = {}
        for study in studies:
            if isinstance(study, Derived):
                self._derive(study, batch)
            elif isinstance(study, HigherStudy):
                self._values |= self._higher(study)
            else:
                self._values |= {name: batch[name][None, rows] for name in study.outputs}

    def columns(self, one: Indicator) -> dict[str, Floats]:
        n_rows = len(self._places)
        rows = self._rows(rows_read(one, self._bars.timeframe))
        try:
            found = one.compute(rows, self._values) if one.studies else one.compute(rows)
            return {name: np.broadcast_to(found[name][-1], n_rows) for name in one.columns}
        except _BROKEN:
            return {name: np.full(n_rows, np.nan) for name in one.columns}

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
        last = higher.row[self._places]
        at = np.maximum(last - np.arange(study.window - 1, -1, -1)[:, None], 0)
        series = {"high": higher.high, "low": higher.low, "close": higher.close}
        short = last < study.window - 1
        found = study.formula({name: values[at] for name, values in series.items()})
        return {name: np.where(short, np.nan, found[name][-1:]) for name in study.outputs}

    # Rows one after the other in memory, as on a live tape: sums then go in the same order.
    def _windows(self, values: NDArray[Any], n: int) -> NDArray[Any]:
        first = int(self._places.min()) + 1 - n
        nothing = np.full(max(-first, 0), BEFORE if values.dtype.kind == "M" else np.nan)
        near = np.concatenate([nothing, values[max(first, 0) : int(self._places.max()) + 1]])
        if n not in self._at:
            self._at[n] = self._places + (1 - n - first) + np.arange(n)[:, None]
        return near.take(self._at[n])

    def _rows(self, n: int) -> Rows:
        if n not in self._read:
            fields = {name: self._windows(getattr(self._bars, name), n) for name in PRICE_COLUMNS}
            stamps = self._windows(self._bars.closed_at, n)
            self._read[n] = Rows(timeframe=self._bars.timeframe, closed_at=stamps, **fields)
        return self._read[n]
