"""Log-odds, and penalised logistic regression that gives the same bits on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

__all__ = ["SMALLEST", "centred", "expit", "fit_logistic", "logit"]

Floats = NDArray[np.float64]

SMALLEST = 1e-6
_NEWTON_STEPS = 50


def logit(p: ArrayLike) -> Floats:
    """Return log(p / (1 - p)); probabilities are kept 1e-6 away from 0 and 1.

    Examples
    --------
    >>> logit([0.5]).tolist()
    [0.0]
    """
    clipped = np.clip(np.ascontiguousarray(p, dtype=np.float64), SMALLEST, 1 - SMALLEST)
    return np.log(clipped) - np.log1p(-clipped)


def expit(x: ArrayLike) -> Floats:
    """Return 1 / (1 + exp(-x)), kept 1e-6 away from 0 and 1.

    Examples
    --------
    >>> expit([0.0]).tolist()
    [0.5]
    """
    values = np.ascontiguousarray(x, dtype=np.float64)
    return np.clip(1.0 / (1.0 + np.exp(-values)), SMALLEST, 1 - SMALLEST)


def centred(said: pd.Series, base: float) -> Floats:
    """Return log-odds above those of the base rate; 0 where nothing was said."""
    values = np.ascontiguousarray(said, dtype=np.float64)
    return np.where(np.isfinite(values), logit(values) - base, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """Penalised logistic regression; the penalty pulls `solution` towards `prior`.

    Sums instead of matrix products: BLAS may change bits with its number of threads.
    """

    columns: list[Floats]
    y: Floats
    counts: Floats
    ridge: Floats
    prior: Floats

    def loss(self, solution: Floats) -> float:
        x, away = _combine(self.columns, solution), solution - self.prior
        loss = np.sum(self.counts * (np.logaddexp(0.0, x) - self.y * x))
        return float(loss + np.sum(self.ridge * away * away) / 2.0)

    def newton_step(self, solution: Floats) -> Floats:
        p = expit(_combine(self.columns, solution))
        error, weight = self.counts * (p - self.y), self.counts * p * (1 - p)
        gradient = np.array([np.sum(column * error) for column in self.columns])
        gradient += self.ridge * (solution - self.prior)
        curvature = [[np.sum(a * b * weight) for b in self.columns] for a in self.columns]
        return np.linalg.solve(np.array(curvature) + np.diag(self.ridge), gradient)


def fit_logistic(
    terms: list[Floats],
    y: Floats,
    penalty: float,
    prior: float | Sequence[float],
    counts: Floats | None = None,
) -> Floats:
    """Return the intercept and the weight of each term, by Newton's method.

    Parameters
    ----------
    terms : list of ndarray, shape (n,)
    y : ndarray, shape (n,)
        0 or 1, both present.
    penalty : float
        Half of it times the squared distance of each weight from `prior` is added to the loss.
    prior : float or sequence of float
        One for all weights, or one for each.
    counts : ndarray, shape (n,), optional
        How often each row counts; once unless given.
    """
    weights = np.ones_like(y) if counts is None else counts
    rate = np.sum(weights * y) / np.sum(weights)
    problem = _Problem(
        columns=[np.ones_like(y), *terms],
        y=y,
        counts=weights,
        ridge=np.array([0.0, *[penalty] * len(terms)]),
        prior=np.concatenate([logit([rate]), np.broadcast_to(prior, len(terms))]),
    )
    solution = problem.prior
    loss = problem.loss(solution)
    for _ in range(_NEWTON_STEPS):
        step = problem.newton_step(solution)
        size, trial = 1.0, solution - step
        while problem.loss(trial) > loss and size > 1e-6:
            size, trial = size / 2.0, solution - size / 2.0 * step
        solution = trial
        improved = problem.loss(solution)
        if loss - improved < 1e-10 * abs(loss):
            break
        loss = improved
    return solution


def _combine(columns: list[Floats], solution: Floats) -> Floats:
    total = np.zeros_like(columns[0])
    for column, weight in zip(columns, solution, strict=True):
        total = total + weight * column
    return total
