"""Bootstrap aggregation: stackers learnt on resampled blocks of time, and their mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dexml.ensemble.logistic import Floats, expit, logit
from dexml.ensemble.stacking import Stacker
from dexml.errors import ModelError
from dexml.validation.blocks import resampled_positions

__all__ = ["Bag"]

N_STACKERS = 16
BLOCK_BARS = 168.0  # a week of hours: longer than what makes neighbouring rows alike
_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Bag:
    """The mean log-odds of stackers, each learnt on a stationary bootstrap of the instants.

    Attributes
    ----------
    stackers : tuple of Stacker

    References
    ----------
    Breiman (1996), Bagging Predictors; Politis and Romano (1994) for the resampling.

    Examples
    --------
    >>> index = pd.MultiIndex.from_product(
    ...     [pd.date_range("2024-01-01", periods=200, freq="h"), ["BTC/USDT"]],
    ...     names=["closed_at", "instrument"],
    ... )
    >>> y = np.arange(200) % 2.0
    >>> bag = Bag.fit(pd.DataFrame({"a": 0.3 + 0.4 * y}, index), y)
    >>> bool((bag.predict(pd.DataFrame({"a": [0.7]})) > 0.7).all())
    True
    """

    stackers: tuple[Stacker, ...]

    kind: ClassVar[str] = "bagging"

    @property
    def members(self) -> tuple[str, ...]:
        return self.stackers[0].members

    @classmethod
    def fit(cls, oof: pd.DataFrame, y: ArrayLike, *, prior: float = 0.0, seed: int = 0) -> Bag:
        """Learn from forecasts that did not see their own labels.

        Parameters
        ----------
        oof : DataFrame, shape (n, n_members)
            Index with a level `closed_at`: all rows of an instant are drawn together.
        y : array-like, shape (n,)
            Labels; rows whose label is NaN are left out.
        prior : float
            As for `Stacker.fit`.

        Raises
        ------
        ModelError
            If there is no row, only one class, or a member never spoke.
        """
        generator = np.random.default_rng(seed)
        place, instants = pd.factorize(oof.index.get_level_values("closed_at"), sort=True)
        fitted = [
            _stacker(oof, y, prior, place, len(instants), generator) for _ in range(N_STACKERS)
        ]
        return cls(stackers=tuple(fitted))

    def predict(self, members: pd.DataFrame) -> Floats:
        """Return probabilities, shape (n,); NaN only in rows where every member is missing."""
        total = np.zeros(len(members))
        for stacker in self.stackers:
            total = total + logit(stacker.predict(members))
        return expit(total / len(self.stackers))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values that `from_dict` takes, exact to the bit."""
        return {"stackers": [stacker.to_dict() for stacker in self.stackers]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Bag:
        """Build a bag from `to_dict`."""
        return cls(stackers=tuple(map(Stacker.from_dict, values["stackers"])))


def _stacker(
    oof: pd.DataFrame,
    y: ArrayLike,
    prior: float,
    place: np.ndarray,
    n_instants: int,
    generator: np.random.Generator,
) -> Stacker:
    for left in reversed(range(_TRIES)):
        drawn = resampled_positions(n_instants, BLOCK_BARS, generator)
        counts = np.bincount(drawn, minlength=n_instants)[place]
        try:
            return Stacker.fit(oof, y, prior=prior, counts=counts)
        except ModelError:  # a draw without one class, or without a member's rows
            if not left:
                raise
    raise AssertionError
