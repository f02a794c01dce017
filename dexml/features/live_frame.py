"""The rows of a close as the panel shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.features.panel import may_be_missing, refuse_not_finite

__all__ = ["LiveFrame"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


class LiveFrame:
    """Frames of one close after another; what does not change from one to the next is kept."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._level = pd.Index(self._names, dtype=object)
        self._columns: tuple[str, ...] = ()
        self._header = pd.Index(())
        self._never_missing = np.zeros(0, dtype=np.bool_)

    def rows(
        self, closed_at: np.datetime64, ready: Mask, columns: Mapping[str, Floats]
    ) -> pd.DataFrame:
        """Return a close of the instruments that are `ready`, see `build_panel`.

        Raises
        ------
        DataError
            If a feature that is never missing is NaN or infinite.
        """
        values = np.empty((len(columns), len(self._names)))
        for k, one in enumerate(columns.values()):
            values[k] = one
        table = values[:, ready].T
        if tuple(columns) != self._columns:
            self._columns, self._header = tuple(columns), pd.Index(list(columns))
            self._never_missing = ~np.array([may_be_missing(name) for name in columns])
        if not np.isfinite(table[:, self._never_missing]).all():
            self._refuse(ready, columns)
        return pd.DataFrame(table, index=self._index(closed_at, ready), columns=self._header)

    def _refuse(self, ready: Mask, columns: Mapping[str, Floats]) -> None:
        for column in np.flatnonzero(ready):
            for name in np.array(self._columns)[self._never_missing].tolist():
                refuse_not_finite(self._names[column], name, columns[name][column : column + 1])

    def _index(self, closed_at: np.datetime64, ready: Mask) -> pd.MultiIndex:
        stamp = pd.DatetimeIndex([closed_at.astype("datetime64[ns]")], tz="UTC")
        rows = np.flatnonzero(ready)
        codes: list[Any] = [np.zeros(len(rows), dtype=np.int8), rows]
        levels: list[Any] = [stamp, self._level]
        return pd.MultiIndex(levels=levels, codes=codes, names=("closed_at", "instrument"))
