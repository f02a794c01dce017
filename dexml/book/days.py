"""What the days of a book lost beside what its VaR had promised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dexml.risk.coverage import kupiec
from dexml.risk.recurrence import Floats

__all__ = ["LEAST_DAYS", "DaysTold", "days_told", "next_day_losses"]

DAY_S = 86_400.0
PROMISED = 0.05
LEAST_DAYS = 100  # five are expected beyond: below that chi-square is no guide to Kupiec's ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class DaysTold:
    """How often a day lost more than its VaR.

    Attributes
    ----------
    n_days : int
        Days that do not overlap, began with a position and ended with a close.
    share_beyond, p_value : float or None
        Share of them beyond their VaR; by Kupiec's test, if there are enough days.
    """

    n_days: int
    n_beyond: int
    share_beyond: float | None
    p_value: float | None

    @property
    def note(self) -> str:
        """What may be said of them, as a sentence."""
        if self.n_days < LEAST_DAYS:
            return f"Too few days to test: {LEAST_DAYS} are needed, {self.n_days} so far."
        holds = self.p_value is not None and self.p_value >= PROMISED
        fits = "fits" if holds else "does not fit"
        return f"That {fits} a 95% VaR (Kupiec p = {self.p_value:.3f})."


def next_day_losses(at: Floats, equity: Floats) -> Floats:
    """Return what the traded book lost in the day after each close, as a fraction of equity.

    Parameters
    ----------
    at : ndarray of shape (n_closes,)
        Seconds of the epoch, increasing.
    equity : ndarray of shape (n_closes,)
        Quote currency.

    Returns
    -------
    ndarray of shape (n_closes,)
        Losses are positive; NaN where no bar closed exactly a day later.

    Examples
    --------
    >>> next_day_losses(np.array([0.0, 43_200.0, 86_400.0]), np.array([100.0, 99.0, 98.0]))
    array([0.02,  nan,  nan])
    """
    after = _a_day_later(at)
    known = (after >= 0) & (equity > 0)
    losses = np.full(at.shape, np.nan)
    losses[known] = 1 - equity[after[known]] / equity[known]
    return losses


def days_told(at: Floats, equity: Floats, exposure: Floats, value_at_risk: Floats) -> DaysTold:
    """Return how often days lost more than the VaR of the close they began with.

    Parameters
    ----------
    at, equity : ndarray of shape (n_closes,)
        As in `next_day_losses`.
    exposure, value_at_risk : ndarray of shape (n_closes,)
        Fractions of equity at each close. A day that begins in cash promises nothing, and a VaR of
        1 says that nothing was known; neither is a day to count.

    Examples
    --------
    >>> hours = np.arange(49) * 3_600.0
    >>> falling = 100.0 - np.arange(49)
    >>> told = days_told(hours, falling, np.ones(49), np.full(49, 0.25))
    >>> told.n_days, told.n_beyond, told.note
    (2, 1, 'Too few days to test: 100 are needed, 2 so far.')
    """
    losses, after = next_day_losses(at, equity), _a_day_later(at)
    begun = [row for row in _day_starts(after) if exposure[row] > 0 and value_at_risk[row] < 1]
    beyond = [bool(losses[row] > value_at_risk[row]) for row in begun]
    enough = len(begun) >= LEAST_DAYS
    return DaysTold(
        n_days=len(begun),
        n_beyond=sum(beyond),
        share_beyond=sum(beyond) / len(begun) if begun else None,
        p_value=kupiec(beyond, PROMISED).p_value if enough else None,
    )


def _a_day_later(at: Floats) -> NDArray[np.intp]:
    """Return for each close the row of the close exactly a day later, -1 if there is none."""
    after = np.searchsorted(at, at + DAY_S)
    inside = np.minimum(after, max(0, len(at) - 1))
    exact = (after < len(at)) & (at[inside] == at + DAY_S)
    return np.where(exact, after, -1)


def _day_starts(after: NDArray[np.intp]) -> list[int]:
    starts, row = [], 0
    while row < len(after):
        if after[row] < 0:  # a day that ends in a hole is no day; the next close may begin one
            row += 1
            continue
        starts.append(row)
        row = int(after[row])
    return starts
