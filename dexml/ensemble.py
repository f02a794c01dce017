"""Several forecasts made into one: a stacker learnt on out-of-fold forecasts, and a plain vote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dexml.errors import ModelError

__all__ = ["Stacker", "expit", "logit", "weighted_vote"]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Stacker:
    """Calibrated logistic combination of members' log-odds, shrunk towards a prior.

    Attributes
    ----------
    members : tuple of str
        In the order of `weights`.
    weights : tuple of float
        May be negative.
    intercept, base : float
        Log-odds: of the output where every member says the base rate, and of the base rate.

    Notes
    -----
    p = expit(intercept + sum_j w_j (logit p_j - base)). A member that is missing counts as the base
    rate, so its term vanishes and nothing need be fitted again. Weights minimise the summed
    log-loss + penalty / 2 * sum_j (w_j - prior)^2 by Newton's method. Sums run column by column,
    without BLAS, so a row has the same bits alone and in a batch.

    References
    ----------
    Wolpert (1992), Stacked Generalization; le Cessie and van Houwelingen (1992) for the penalty.

    Examples
    --------
    >>> said = pd.DataFrame({"a": [0.8, 0.2, 0.7, 0.3], "b": [0.5, 0.5, 0.5, 0.5]})
    >>> stacker = Stacker.fit(said, np.array([1.0, 0.0, 1.0, 0.0]), penalty=1.0)
    >>> stacker.predict(said).round(2).tolist()
    [0.81, 0.19, 0.71, 0.29]
    """

    members: tuple[str, ...]
    weights: tuple[float, ...]
    intercept: float
    base: float

    @classmethod
    def fit(
        cls, oof: pd.DataFrame, y: ArrayLike, penalty: float = 10.0, prior: float = 0.0
    ) -> Stacker:
        """Learn the weights from forecasts that did not see their own labels.

        Parameters
        ----------
        oof : DataFrame, shape (n, n_members)
            Out-of-fold probabilities; NaN where a member said nothing.
        y : array-like, shape (n,)
            Labels; rows whose label is NaN are left out.
        penalty : float
            Strength of the pull towards `prior`, positive.
        prior : float
            Weight of each member before any row is seen. 0 leaves the base rate, which suits raw
            learners; 1 / n_members leaves their mean, which suits calibrated members.

        Raises
        ------
        ModelError
            If there is no row, only one class, or a member never spoke.
        """
        labels = np.ascontiguousarray(y, dtype=np.float64)
        known = np.isfinite(labels)
        labels, said = labels[known], oof.loc[known]
        if not 0 < labels.sum() < len(labels):
            raise ModelError(
                "stacker labels", "must hold both classes", len(labels), "Give more rows."
            )
        for member in said.columns[said.isna().all()]:
            raise ModelError(f"member {member}", "must have forecasts", "none", "Leave it out.")
        base = float(logit([labels.mean()])[0])
        solution = _fit_logistic([_centred(said[m], base) for m in said], labels, penalty, prior)
        return cls(
            members=tuple(map(str, oof.columns)),
            weights=tuple(map(float, solution[1:])),
            intercept=float(solution[0]),
            base=base,
        )

    def predict(self, members: pd.DataFrame) -> Floats:
        """Return probabilities, shape (n,); NaN only in rows where every member is missing."""
        total = np.full(len(members), self.intercept)
        spoken = np.zeros(len(members), dtype=bool)
        for name, weight in zip(self.members, self.weights, strict=True):
            if name in members:
                spoken |= members[name].notna().to_numpy()
                total = total + weight * _centred(members[name], self.base)
        return np.where(spoken, expit(total), np.nan)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values that `from_dict` takes, exact to the bit."""
        return {
            "members": list(self.members),
            "weights": list(self.weights),
            "intercept": self.intercept,
            "base": self.base,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Stacker:
        """Build a stacker from `to_dict`."""
        return cls(
            members=tuple(values["members"]),
            weights=tuple(values["weights"]),
            intercept=values["intercept"],
            base=values["base"],
        )


def weighted_vote(
    members: pd.DataFrame, weights: Mapping[str, float] | None = None
) -> NDArray[np.float64]:
    """Return the weighted mean of the members that spoke; NaN where none did.

    Examples
    --------
    >>> said = pd.DataFrame({"a": [0.8, np.nan], "b": [0.4, 0.6]})
    >>> weighted_vote(said).round(6).tolist()
    [0.6, 0.6]
    """
    total, spoken = np.zeros(len(members)), np.zeros(len(members))
    for name in members:
        weight = 1.0 if weights is None else weights.get(str(name), 0.0)
        if weight < 0:
            raise ModelError(
                f"weight of {name}", "must be at least 0", weight, "Use the stacker for that."
            )
        values = np.ascontiguousarray(members[name], dtype=np.float64)
        present = np.isfinite(values)
        total = total + np.where(present, weight * values, 0.0)
        spoken = spoken + np.where(present, weight, 0.0)
    return np.where(spoken > 0, total / np.where(spoken > 0, spoken, 1.0), np.nan)


def _centred(said: pd.Series, base: float) -> Floats:
    values = np.ascontiguousarray(said, dtype=np.float64)
    return np.where(np.isfinite(values), logit(values) - base, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """Penalised logistic regression; the penalty pulls `solution` towards `prior`.

    Sums instead of matrix products: BLAS may change bits with its number of threads.
    """

    columns: list[Floats]
    y: Floats
    ridge: Floats
    prior: Floats

    def loss(self, solution: Floats) -> float:
        x, away = _combine(self.columns, solution), solution - self.prior
        loss = np.sum(np.logaddexp(0.0, x) - self.y * x)
        return float(loss + np.sum(self.ridge * away * away) / 2.0)

    def newton_step(self, solution: Floats) -> Floats:
        p = expit(_combine(self.columns, solution))
        gradient = np.array([np.sum(column * (p - self.y)) for column in self.columns])
        gradient += self.ridge * (solution - self.prior)
        curvature = [[np.sum(a * b * p * (1 - p)) for b in self.columns] for a in self.columns]
        return np.linalg.solve(np.array(curvature) + np.diag(self.ridge), gradient)


def _fit_logistic(terms: list[Floats], y: Floats, penalty: float, prior: float) -> Floats:
    problem = _Problem(
        columns=[np.ones_like(y), *terms],
        y=y,
        ridge=np.array([0.0, *[penalty] * len(terms)]),
        prior=np.array([float(logit([y.mean()])[0]), *[prior] * len(terms)]),
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
