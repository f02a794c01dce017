"""A stacker: members' log-odds weighed by what they said out of fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dexml.ensemble.inputs import labelled
from dexml.ensemble.logistic import Floats, centred, expit, fit_logistic, logit

__all__ = ["Stacker"]


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

    kind: ClassVar[str] = "stacking"

    @classmethod
    def fit(
        cls,
        oof: pd.DataFrame,
        y: ArrayLike,
        penalty: float = 10.0,
        prior: float = 0.0,
        counts: ArrayLike | None = None,
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
        counts : array-like, shape (n,), optional
            How often each row counts; once unless given.

        Raises
        ------
        ModelError
            If there is no row, only one class, or a member never spoke.
        """
        rows = labelled(oof, y, counts)
        base = float(logit([np.sum(rows.counts * rows.y) / np.sum(rows.counts)])[0])
        terms = [centred(rows.said[member], base) for member in rows.said]
        solution = fit_logistic(terms, rows.y, penalty, prior, rows.counts)
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
                total = total + weight * centred(members[name], self.base)
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
