"""Do new bars run on the clock of those known? One bar too early would look into the future.

A file cannot say whether its stamps are openings or ends. Another exchange's bars of the same coin
can: the returns of both move together only if their closes are at the same instants.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import Bars

__all__ = ["ClockFault", "clock_fault"]

MIN_RETURNS = 200
_MUCH_BETTER = 0.5
_LEAST = 0.9


class ClockFault(NamedTuple):
    """How many bars too late the stamps are, and the correlations that say so."""

    n_bars: int
    as_stamped: float
    as_shifted: float


def clock_fault(bars: Bars, known: Bars) -> ClockFault | None:
    r"""Compare the returns of `bars` with those of bars that are known to be right.

    Parameters
    ----------
    bars, known : Bars
        Of the same coin; compared on the coarser of the two timeframes.

    Returns
    -------
    ClockFault or None
        None if the stamps agree, or there are fewer than 200 returns to compare.

    Notes
    -----
    A shift is believed if it leaves less than half of the unexplained part,
    :math:`1 - \rho_{shifted} < (1 - \rho_{stamped}) / 2`, at a correlation of at least 0.9.
    """
    step = max(bars.timeframe.seconds, known.timeframe.seconds) * 10**9
    reference = _closes(known, 0, step)
    found = {shift: _agreement(bars, shift, step, reference) for shift in (-1, 0, 1)}
    if any(rho is None for rho in found.values()):
        return None
    sure = {shift: float(rho or 0.0) for shift, rho in found.items()}
    best = max(sure, key=lambda shift: sure[shift])
    if best == 0 or sure[best] < _LEAST or 1 - sure[best] > _MUCH_BETTER * (1 - sure[0]):
        return None
    return ClockFault(best, sure[0], sure[best])


def _closes(bars: Bars, n_late: int, step: int) -> pd.Series[float]:
    # what a bar says n_late bars after an instant, taken for the price at that instant
    stamps = bars.closed_at.astype(np.int64) - n_late * bars.timeframe.seconds * 10**9
    on_grid = stamps % step == 0
    return pd.Series(np.log(bars.close[on_grid]), index=stamps[on_grid])


def _agreement(bars: Bars, shift: int, step: int, reference: pd.Series[float]) -> float | None:
    both = pd.concat([_closes(bars, shift, step), reference], axis=1, join="inner")
    together = np.diff(both.index.to_numpy()) == step
    moves: NDArray[np.float64] = np.asarray(np.diff(both.to_numpy(), axis=0))
    returns = moves[together]
    if len(returns) < MIN_RETURNS or not (returns.std(axis=0) > 0).all():
        return None
    return float(np.corrcoef(returns.T)[0, 1])
