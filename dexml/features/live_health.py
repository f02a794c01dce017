"""The health of each instrument's data one bar at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import History
from dexml.features.health import HEALTH_COLUMN, HEALTH_WINDOW, doubts, refused_at

__all__ = ["LiveHealth"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Times = NDArray[np.datetime64]


class LiveHealth:
    """The closes that are in doubt, by instrument, as long as they count; see `data_health`."""

    def __init__(self, history: History, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._window = np.timedelta64(HEALTH_WINDOW * history.timeframe.step)
        self._doubted: list[dict[np.datetime64, np.datetime64]] = [
            doubts(history, name) for name in self._names
        ]

    def reload(self, column: int, history: History) -> None:
        """Ask again which closes of an instrument are in doubt."""
        self._doubted[column] = doubts(history, self._names[column])

    def append(
        self, closed_at: np.datetime64, stamps: Times, disputed: Mask, refused: pd.DataFrame | None
    ) -> dict[str, Floats]:
        """Hear what was refused, and where exchanges disagree now; return the column.

        Parameters
        ----------
        stamps : ndarray, shape (n_rows, n_instruments)
            The last closes of each instrument, this one among them; at least `HEALTH_WINDOW`.
        disputed : ndarray of bool, shape (n_instruments,)
        """
        for place in np.flatnonzero(disputed):
            self._doubted[place][closed_at] = closed_at
        if refused is not None and len(refused):
            for name, doubted in zip(self._names, self._doubted, strict=True):
                for at, (known_at, _) in refused_at(refused, name).items():
                    doubted[at] = min(known_at, doubted.get(at, known_at))
        first = closed_at - self._window
        last = stamps[-HEALTH_WINDOW:]
        n_bars, n_doubted = (last > first).sum(axis=0), np.zeros(len(self._names))
        for column, doubted in enumerate(self._doubted):
            if doubted:
                self._doubted[column] = {at: when for at, when in doubted.items() if at > first}
                known = [at for at, when in self._doubted[column].items() if when <= closed_at]
                n_doubted[column] = np.isin(last[:, column], known).sum()
        return {HEALTH_COLUMN: (n_bars - n_doubted) / HEALTH_WINDOW}
