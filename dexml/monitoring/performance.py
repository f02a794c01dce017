"""How well forecasts did once their outcomes are known, and when a model has degraded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dexml.errors import DataError

__all__ = ["MIN_OUTCOMES", "Score", "degraded", "score", "scores"]

MIN_OUTCOMES = 200
_N_RECENT = 10
_FLOOR = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Accuracy and mean log-loss over `n` matched outcomes."""

    n: int
    accuracy: float
    log_loss: float


def score(probabilities: NDArray[np.float64], happened: NDArray[np.float64]) -> Score | None:
    """Score forecasts against outcomes.

    Parameters
    ----------
    probabilities : ndarray, shape (n_forecasts,)
        In (0, 1); NaN where there was no forecast.
    happened : ndarray, shape (n_forecasts,)
        1 or 0; NaN where the outcome is not known yet.

    Returns
    -------
    Score or None
        None below `MIN_OUTCOMES` matched pairs: a score over fewer says nothing.

    Raises
    ------
    DataError
        If the arrays differ in length.

    Examples
    --------
    >>> score(np.full(200, 0.8), np.ones(200))
    Score(n=200, accuracy=1.0, log_loss=0.2231...)
    """
    if probabilities.shape != happened.shape:
        raise DataError(
            "outcomes", f"must have shape {probabilities.shape}", happened.shape, "Match by key."
        )
    known = ~(np.isnan(probabilities) | np.isnan(happened))
    p, y = probabilities[known], happened[known]
    if len(p) < MIN_OUTCOMES:
        return None
    loss = -np.log(np.where(y > 0.5, p, 1 - p))
    return Score(
        n=len(p), accuracy=float(((p > 0.5) == (y > 0.5)).mean()), log_loss=float(loss.mean())
    )


def scores(
    probabilities: NDArray[np.float64], happened: NDArray[np.float64], size: int = MIN_OUTCOMES
) -> list[Score]:
    """Score consecutive blocks of `size` forecasts, oldest first; a block too thin is left out."""
    blocks = range(0, len(probabilities) - size + 1, size)
    found = [score(probabilities[i : i + size], happened[i : i + size]) for i in blocks]
    return [item for item in found if item is not None]


def degraded(accuracies: Sequence[float]) -> bool:
    """Say whether the mean of the last 10 scores fell below 0.9 of the mean before them.

    Parameters
    ----------
    accuracies : sequence of float
        Accuracy of successive scores, oldest first. With fewer than 20 the answer is no.

    Examples
    --------
    >>> degraded([0.60] * 10 + [0.53] * 10), degraded([0.60] * 10 + [0.55] * 10)
    (True, False)
    """
    if len(accuracies) < 2 * _N_RECENT:
        return False
    recent = float(np.mean(accuracies[-_N_RECENT:]))
    return recent < _FLOOR * float(np.mean(accuracies[:-_N_RECENT]))
