"""One probability from several: stacking on out-of-fold forecasts, or a weighted vote."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from dexml.domain import Floats, Signal
from dexml.errors import ModelError

__all__ = ["ENSEMBLE", "Stacker", "logit", "signal_of", "weighted_vote"]

ENSEMBLE = "ensemble"

_CLIP = 1e-4
_RIDGE = 1e-3  # per row: draws the weights towards an equal share of one


def logit(probability: Floats) -> Floats:
    """Return the log-odds of probabilities, clipped to [1e-4, 1 - 1e-4].

    Examples
    --------
    >>> logit(np.array([0.5])).tolist()
    [0.0]
    """
    p = np.clip(probability, _CLIP, 1 - _CLIP)
    return np.asarray(np.log(p / (1 - p)))


def signal_of(instrument: str, closed_at: datetime, forecasts: Mapping[Hashable, float]) -> Signal:
    """Return the signal of one row of forecasts; NaN means that a model said nothing.

    Examples
    --------
    >>> from datetime import UTC
    >>> row = {"ensemble": 0.6, "direction": 0.55, "macro": float("nan")}
    >>> signal = signal_of("BTC/USDT", datetime(2024, 1, 1, tzinfo=UTC), row)
    >>> signal.probability, signal.members
    (0.6, (('direction', 0.55),))
    """
    said = {str(name): float(value) for name, value in forecasts.items() if value == value}
    probability = said.pop(ENSEMBLE, None)
    members = tuple(sorted(said.items()))
    return Signal(
        instrument=instrument, closed_at=closed_at, probability=probability, members=members
    )


def weighted_vote(members: pd.DataFrame, weights: Mapping[str, float]) -> Floats:
    """Average the members' log-odds by weight; a member without a forecast has no vote.

    Parameters
    ----------
    members : DataFrame of shape (n_rows, n_members)
        Probabilities; NaN means no forecast.

    Returns
    -------
    ndarray of shape (n_rows,)
        Probabilities; NaN where nobody voted.
    """
    total, votes = np.zeros(len(members)), np.zeros(len(members))
    for name, weight in weights.items():
        column = members[name].to_numpy(dtype=np.float64)
        said = ~np.isnan(column)
        total += np.where(said, weight * logit(np.where(said, column, 0.5)), 0.0)
        votes += np.where(said, weight, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 / (1 + np.exp(-total / np.where(votes > 0, votes, np.nan))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stacker:
    r"""Logistic regression on the members' log-odds.

    Attributes
    ----------
    intercept : float
    weights : dict of member to float
        May be negative: where all members see the price and one adds the news, the price that is
        counted twice must be taken off.
    base_logits : dict of member to float
        What a missing member is taken to say: its mean log-odds in training.

    Notes
    -----
    Minimises mean log-loss of :math:`\sigma(b + \sum_i w_i \ell_i)` plus a ridge that draws the
    weights to :math:`1/n`. As the logits' scale and offset are free, the result is calibrated
    (Platt 1999).

    References
    ----------
    Wolpert, D. (1992). Stacked generalization. Neural Networks 5(2).
    Platt, J. (1999). Probabilistic outputs for support vector machines. Eq. 2.

    Examples
    --------
    >>> oof = pd.DataFrame({"a": [0.2, 0.8, 0.3, 0.7] * 50})
    >>> stacker = Stacker.fit(oof, np.array([0.0, 1.0, 0.0, 1.0] * 50))
    >>> bool(stacker.predict(oof)[1] > 0.8)
    True
    """

    intercept: float
    weights: dict[str, float]
    base_logits: dict[str, float]

    @classmethod
    def fit(cls, oof: pd.DataFrame, y: Floats) -> Stacker:
        """Fit on out-of-fold forecasts; they must be of rows the members had not seen.

        Raises
        ------
        ModelError
            If there are no rows, a forecast is missing, or the optimiser fails.
        """
        inputs = logit(oof.to_numpy(dtype=np.float64))
        if not len(y) or np.isnan(inputs).any():
            raise ModelError(
                "out-of-fold forecasts", "must be complete", f"{len(y)} rows", "Drop missing rows."
            )
        n_members = inputs.shape[1]
        start = np.r_[0.0, np.full(n_members, 1 / n_members)]
        found = minimize(_loss, start, args=(inputs, y, start), jac=True, method="BFGS")
        if not np.isfinite(found.fun) or found.fun > _loss(start, inputs, y, start)[0]:
            raise ModelError("stacker", "must converge", found.message, "Look at the forecasts.")
        names = [str(name) for name in oof.columns]
        return cls(
            intercept=float(found.x[0]),
            weights=dict(zip(names, map(float, found.x[1:]), strict=True)),
            base_logits=dict(zip(names, map(float, inputs.mean(axis=0)), strict=True)),
        )

    def predict(self, members: pd.DataFrame) -> Floats:
        """Return calibrated probabilities, shape (n_rows,); NaN where every member is missing."""
        total = np.full(len(members), self.intercept)
        silent = np.ones(len(members), dtype=bool)
        for name, weight in self.weights.items():
            column = members[name].to_numpy(dtype=np.float64)
            missing = np.isnan(column)
            said = logit(np.where(missing, 0.5, column))
            total += weight * np.where(missing, self.base_logits[name], said)
            silent &= missing
        p = np.clip(1 / (1 + np.exp(-total)), _CLIP, 1 - _CLIP)
        return np.where(silent, np.nan, p)

    def to_dict(self) -> dict[str, Any]:
        """Return the stacker as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Stacker:
        """Read what `to_dict` gave."""
        return cls(**values)


def _loss(weights: Floats, inputs: Floats, y: Floats, centre: Floats) -> tuple[float, Floats]:
    total = weights[0] + inputs @ weights[1:]
    p = 1 / (1 + np.exp(-total))
    error = (p - y) / len(y)
    away = weights - centre
    away[0] = 0.0
    loss = float((np.logaddexp(0, total) - y * total).mean() + _RIDGE * (away**2).sum())
    gradient = np.r_[error.sum(), inputs.T @ error] + 2 * _RIDGE * away
    return loss, gradient
