"""Quantiles of many draws in bounded memory."""

from __future__ import annotations

import numpy as np

from dexml.errors import DataError
from dexml.validation.inputs import Floats

__all__ = ["KEPT", "Spread"]

KEPT, N_BINS = 4_096, 4_096


class Spread:
    """Draws of several figures; their quantiles are exact up to `KEPT` draws.

    Beyond, each figure is counted in `N_BINS` equal bins over twice the range of the first draws,
    so a quantile is off by at most a 2,000th of that range; what lies outside counts in the
    outermost bins.

    Parameters
    ----------
    n_figures : int

    Examples
    --------
    >>> spread = Spread(1)
    >>> spread.add(np.arange(101.0)[:, None])
    >>> spread.quantile(0.5)
    [50.0]
    """

    def __init__(self, n_figures: int) -> None:
        self._kept = np.empty((0, n_figures))
        self._counts = np.zeros((0, 0), dtype=np.int64)
        self._low = self._width = np.zeros(n_figures)

    def add(self, draws: Floats) -> None:
        """Hear of more draws, shape (n_draws, n_figures)."""
        if not self._counts.size and len(self._kept) + len(draws) <= KEPT:
            self._kept = np.vstack([self._kept, draws])
            return
        if not self._counts.size:
            self._begin_counting(self._kept if len(self._kept) else draws)
            self._count(self._kept)
            self._kept = self._kept[:0]
        self._count(draws)

    def quantile(self, share: float) -> list[float]:
        """Return, for each figure, the value that a share of the draws does not exceed."""
        if not self._counts.size:
            if not len(self._kept):
                raise DataError("draws", "must be at least one", 0, "Simulate first.")
            exact: list[float] = np.quantile(self._kept, share, axis=0).tolist()
            return exact
        reached = np.cumsum(self._counts, axis=1)
        place = share * reached[0, -1]
        found = (reached < place).sum(axis=1)
        rows = np.arange(len(reached))
        here = np.maximum(self._counts[rows, found], 1)
        before = reached[rows, found] - self._counts[rows, found]
        within = (place - before) / here
        values: list[float] = (self._low + (found + within) * self._width).tolist()
        return values

    def _begin_counting(self, first: Floats) -> None:
        low, high = first.min(axis=0), first.max(axis=0)
        room = np.maximum((high - low) / 2, 1e-12)
        self._low = low - room
        self._width = (high - low + 2 * room) / N_BINS
        self._counts = np.zeros((first.shape[1], N_BINS), dtype=np.int64)

    def _count(self, draws: Floats) -> None:
        places = ((draws - self._low) / self._width).astype(np.int64).clip(0, N_BINS - 1)
        for figure, row in enumerate(places.T):
            self._counts[figure] += np.bincount(row, minlength=N_BINS)
