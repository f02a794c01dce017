"""A vote: the mean of what members say, weighed by how well each explained the outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dexml.ensemble.inputs import labelled
from dexml.ensemble.logistic import SMALLEST, Floats
from dexml.errors import ModelError

__all__ = ["Vote", "weighted_vote"]

_STEPS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """Weighted mean of probabilities; weights are at least 0 and sum to 1.

    Attributes
    ----------
    members : tuple of str
        In the order of `weights`.

    Notes
    -----
    Weights maximise sum_i log(sum_j w_j q_ij), q_ij being what member j gave to what happened,
    by expectation maximisation: w_j becomes the mean of w_j q_ij / sum_k w_k q_ik. Where a member
    is missing the others share its weight.

    References
    ----------
    Dempster, Laird and Rubin (1977), section 4.3; Genest and Zidek (1986) for linear pools.

    Examples
    --------
    >>> said = pd.DataFrame({"good": [0.9, 0.1, 0.8, 0.2], "bad": [0.5, 0.5, 0.5, 0.5]})
    >>> vote = Vote.fit(said, [1.0, 0.0, 1.0, 0.0])
    >>> [round(weight, 3) for weight in vote.weights]
    [1.0, 0.0]
    """

    members: tuple[str, ...]
    weights: tuple[float, ...]

    kind: ClassVar[str] = "weighted_vote"

    @classmethod
    def fit(cls, oof: pd.DataFrame, y: ArrayLike) -> Vote:
        """Learn the weights from forecasts that did not see their own labels.

        Raises
        ------
        ModelError
            If there is no row, only one class, or a member never spoke.
        """
        rows = labelled(oof, y)
        base = rows.y.mean()
        given = []
        for member in rows.said:
            p = np.ascontiguousarray(rows.said[member].fillna(base), dtype=np.float64)
            p = np.clip(p, SMALLEST, 1 - SMALLEST)
            given.append(np.where(rows.y > 0, p, 1 - p))
        weights = _mixture(given)
        return cls(members=tuple(map(str, oof.columns)), weights=tuple(map(float, weights)))

    def predict(self, members: pd.DataFrame) -> Floats:
        """Return probabilities, shape (n,); NaN only in rows where no weighed member spoke."""
        known = members[[name for name in self.members if name in members]]
        said = weighted_vote(known, dict(zip(self.members, self.weights, strict=True)))
        return np.clip(said, SMALLEST, 1 - SMALLEST)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values that `from_dict` takes, exact to the bit."""
        return {"members": list(self.members), "weights": list(self.weights)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Vote:
        """Build a vote from `to_dict`."""
        return cls(members=tuple(values["members"]), weights=tuple(values["weights"]))


def weighted_vote(members: pd.DataFrame, weights: Mapping[str, float] | None = None) -> Floats:
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


def _mixture(given: list[Floats]) -> Floats:
    weights = np.full(len(given), 1 / len(given))
    for _ in range(_STEPS):
        parts = [weight * q for weight, q in zip(weights, given, strict=True)]
        total = np.sum(parts, axis=0)
        after = np.array([np.mean(part / total) for part in parts])
        after /= after.sum()
        if np.abs(after - weights).max() < 1e-7:
            return after
        weights = after
    return weights
