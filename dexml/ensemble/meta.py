"""A meta-model: a stacker whose weights move with the regime of the market."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dexml.ensemble.inputs import labelled
from dexml.ensemble.logistic import Floats, centred, expit, fit_logistic, logit

__all__ = ["Meta"]

_FARTHEST = 3.0  # standard deviations: one wild bar must not decide alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """Feature-weighted stacking: how far a member is believed depends on context features.

    Attributes
    ----------
    members : tuple of str
    columns : tuple of str
        Context features.
    centres, spreads : tuple of float
        Mean and standard deviation of each context feature in the training rows.
    weights : tuple of tuple of float
        For each member its weight in the mean context, and by how much a standard deviation of
        each context feature moves it.
    intercept, base : float
        As in `Stacker`.

    Notes
    -----
    p = expit(intercept + sum_j (v_j0 + sum_k v_jk z_k) (logit p_j - base)), z being the context in
    standard deviations, within 3. A context feature that is missing counts as its mean, a member
    that is missing as the base rate: its terms vanish. The context says whom to believe, never what
    happens, so it has no term of its own. Weights minimise the log-loss + penalty / 2 *
    (sum_j (v_j0 - prior)^2 + sum_jk v_jk^2).

    References
    ----------
    Sill, Takacs, Mackey and Lin (2009), Feature-Weighted Linear Stacking, eq. 2.

    Examples
    --------
    >>> said = pd.DataFrame({"a": [0.8, 0.2] * 50, "calm": [1.0, 1.0, -1.0, -1.0] * 25})
    >>> y = np.array([1.0, 0.0, 0.0, 1.0] * 25)  # right in calm hours, wrong in others
    >>> meta = Meta.fit(said[["a"]], y, said[["calm"]])
    >>> meta.predict(said.iloc[:4]).round(1).tolist()
    [0.9, 0.1, 0.1, 0.9]
    """

    members: tuple[str, ...]
    columns: tuple[str, ...]
    centres: tuple[float, ...]
    spreads: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    intercept: float
    base: float

    kind: ClassVar[str] = "meta"

    @classmethod
    def fit(
        cls,
        oof: pd.DataFrame,
        y: ArrayLike,
        context: pd.DataFrame,
        penalty: float = 10.0,
        prior: float = 0.0,
    ) -> Meta:
        """Learn the weights from forecasts that did not see their own labels.

        Parameters
        ----------
        oof : DataFrame, shape (n, n_members)
            Out-of-fold probabilities; NaN where a member said nothing.
        y : array-like, shape (n,)
            Labels; rows whose label is NaN are left out.
        context : DataFrame, shape (n, n_features)
            Known at the close of each row; NaN where it is missing.
        penalty, prior : float
            As for `Stacker.fit`; how the context moves a weight is drawn to 0.

        Raises
        ------
        ModelError
            If there is no row, only one class, or a member never spoke.
        """
        rows = labelled(oof, y)
        base = float(logit([rows.y.mean()])[0])
        known = context.loc[np.isfinite(np.asarray(y, dtype=np.float64))]
        centres, spreads = _moments(known)
        regimes = _standardised(known, tuple(map(str, known.columns)), centres, spreads)
        said = [centred(rows.said[member], base) for member in rows.said]
        terms = [regime * one for one in said for regime in regimes]
        priors = [prior, *[0.0] * (len(regimes) - 1)] * len(said)
        solution = fit_logistic(terms, rows.y, penalty, priors)
        return cls(
            members=tuple(map(str, oof.columns)),
            columns=tuple(map(str, context.columns)),
            centres=centres,
            spreads=spreads,
            weights=tuple(map(tuple, solution[1:].reshape(len(said), -1).tolist())),
            intercept=float(solution[0]),
            base=base,
        )

    def predict(self, members: pd.DataFrame) -> Floats:
        """Return probabilities, shape (n,); NaN only in rows where every member is missing.

        Parameters
        ----------
        members : DataFrame
            A column for each member and for each context feature; absent ones count as missing.
        """
        regimes = _standardised(members, self.columns, self.centres, self.spreads)
        total = np.full(len(members), self.intercept)
        spoken = np.zeros(len(members), dtype=bool)
        for name, weights in zip(self.members, self.weights, strict=True):
            if name in members:
                spoken |= members[name].notna().to_numpy()
                said = centred(members[name], self.base)
                for weight, regime in zip(weights, regimes, strict=True):
                    total = total + weight * (regime * said)
        return np.where(spoken, expit(total), np.nan)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values that `from_dict` takes, exact to the bit."""
        return {
            "members": list(self.members),
            "columns": list(self.columns),
            "centres": list(self.centres),
            "spreads": list(self.spreads),
            "weights": [list(one) for one in self.weights],
            "intercept": self.intercept,
            "base": self.base,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Meta:
        """Build a meta-model from `to_dict`."""
        lists = {name: tuple(values[name]) for name in ("members", "columns", "centres", "spreads")}
        return cls(
            **lists,
            weights=tuple(map(tuple, values["weights"])),
            intercept=values["intercept"],
            base=values["base"],
        )


def _moments(context: pd.DataFrame) -> tuple[tuple[float, ...], tuple[float, ...]]:
    centres, spreads = [], []
    for name in context:
        values = np.ascontiguousarray(context[name], dtype=np.float64)
        known = values[np.isfinite(values)]
        spread = float(np.std(known)) if len(known) else 0.0
        centres.append(float(np.mean(known)) if len(known) else 0.0)
        spreads.append(spread if spread > 0 else 1.0)
    return tuple(centres), tuple(spreads)


# The mean context comes first, as a column of ones.
def _standardised(
    frame: pd.DataFrame,
    columns: tuple[str, ...],
    centres: tuple[float, ...],
    spreads: tuple[float, ...],
) -> list[Floats]:
    out = [np.ones(len(frame))]
    for name, centre, spread in zip(columns, centres, spreads, strict=True):
        if name not in frame:
            out.append(np.zeros(len(frame)))
            continue
        z = (np.ascontiguousarray(frame[name], dtype=np.float64) - centre) / spread
        out.append(np.where(np.isfinite(z), np.clip(z, -_FARTHEST, _FARTHEST), 0.0))
    return out
