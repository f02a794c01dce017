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
    """Calibrated logistic combination of members' log-odds, shrunk towards the base rate.

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
    log-loss + penalty / 2 * sum_j w_j^2 by Newton's method. Sums run column by column, without
    BLAS, so a row has the same bits alone and in a batch.

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
    def fit(cls, oof: pd.DataFrame, y: ArrayLike, penalty: float = 10.0) -> Stacker:
        """Learn the weights from forecasts that did not see their own labels.

        Parameters
        ----------
        oof : DataFrame, shape (n, n_members)
            Out-of-fold probabilities; NaN where a member said nothing.
        y : array-like, shape (n,)
            Labels; rows whose label is NaN are left out.
        penalty : float
            Strength of the pull towards the base rate, positive.

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
        solution = _fit_logistic([_centred(said[m], base) for m in said], labels, penalty)
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


def _fit_logistic(terms: list[Floats], y: Floats, penalty: float) -> Floats:
    # Sums instead of matrix products: BLAS may change bits with its number of threads.
    columns = [np.ones_like(y), *terms]
    ridge = np.array([0.0, *[penalty] * len(terms)])
    solution = np.array([float(logit([y.mean()])[0]), *[0.0] * len(terms)])
    loss = _penalised_loss(columns, y, ridge, solution)
    for _ in range(_NEWTON_STEPS):
        step = _newton_step(columns, y, ridge, solution)
        size, trial = 1.0, solution - step
        while _penalised_loss(columns, y, ridge, trial) > loss and size > 1e-6:
            size, trial = size / 2.0, solution - size / 2.0 * step
        solution = trial
        improved = _penalised_loss(columns, y, ridge, solution)
        if loss - improved < 1e-10 * abs(loss):
            break
        loss = improved
    return solution


def _newton_step(columns: list[Floats], y: Floats, ridge: Floats, solution: Floats) -> Floats:
    p = expit(_combine(columns, solution))
    gradient = np.array([np.sum(c * (p - y)) for c in columns]) + ridge * solution
    curvature = [[np.sum(a * b * p * (1 - p)) for b in columns] for a in columns]
    return np.linalg.solve(np.array(curvature) + np.diag(ridge), gradient)


def _penalised_loss(columns: list[Floats], y: Floats, ridge: Floats, solution: Floats) -> float:
    x = _combine(columns, solution)
    loss = np.sum(np.logaddexp(0.0, x) - y * x)
    return float(loss + np.sum(ridge * solution * solution) / 2.0)


def _combine(columns: list[Floats], solution: Floats) -> Floats:
    total = np.zeros_like(columns[0])
    for column, weight in zip(columns, solution, strict=True):
        total = total + weight * column
    return total
