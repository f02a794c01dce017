"""Calibration: what happened when a probability was said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike

from dexml.ensemble.logistic import SMALLEST, Floats, expit, fit_logistic, logit

__all__ = ["CALIBRATORS", "Calibrator", "Isotonic", "Platt", "fit_calibrator"]

MANY_ROWS = 20_000  # from which steps of an isotonic fit hold enough rows to be trusted
LEAST_IN_STEP = 200


class Calibrator(Protocol):
    """Maps a probability to how often it came true; never turns the order of two around."""

    kind: ClassVar[str]

    def __call__(self, p: ArrayLike) -> Floats:
        """Return calibrated probabilities, NaN where `p` is."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values that `from_dict` takes, exact to the bit."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Platt:
    """p becomes expit(intercept + slope logit(p)), slope at least 0.

    References
    ----------
    Platt (1999), Probabilistic Outputs for Support Vector Machines.

    Examples
    --------
    >>> Platt(intercept=0.0, slope=0.5)([0.9]).round(2).tolist()
    [0.75]
    """

    intercept: float
    slope: float

    kind: ClassVar[str] = "platt"

    @classmethod
    def fit(cls, p: ArrayLike, y: ArrayLike) -> Platt:
        """Fit by maximum likelihood; few rows leave the slope near 1."""
        labels = np.ascontiguousarray(y, dtype=np.float64)
        intercept, slope = fit_logistic([logit(p)], labels, penalty=10.0, prior=1.0)
        if slope < 0:  # forecasts that point the wrong way say nothing
            return cls(intercept=float(logit([labels.mean()])[0]), slope=0.0)
        return cls(intercept=float(intercept), slope=float(slope))

    def __call__(self, p: ArrayLike) -> Floats:
        """Return calibrated probabilities, NaN where `p` is."""
        return expit(self.intercept + self.slope * logit(p))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values that `from_dict` takes, exact to the bit."""
        return {"intercept": self.intercept, "slope": self.slope}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Platt:
        """Build a calibrator from `to_dict`."""
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Isotonic:
    """A rising line through what happened, drawn over steps of at least 200 rows.

    Attributes
    ----------
    said, came : tuple of float
        Knots, both rising; flat beyond the ends.

    References
    ----------
    Zadrozny and Elkan (2002), Transforming Classifier Scores into Accurate Multiclass Probability
    Estimates.
    """

    said: tuple[float, ...]
    came: tuple[float, ...]

    kind: ClassVar[str] = "isotonic"

    @classmethod
    def fit(cls, p: ArrayLike, y: ArrayLike) -> Isotonic:
        """Fit to means over equally many rows, so that no step rests on a handful."""
        order = np.argsort(np.asarray(p, dtype=np.float64), kind="stable")
        said, happened = np.asarray(p, dtype=np.float64)[order], np.asarray(y)[order]
        parts = np.array_split(np.arange(len(said)), max(2, len(said) // LEAST_IN_STEP))
        knots = np.array([said[part].mean() for part in parts])
        rates = np.array([happened[part].mean() for part in parts])
        from sklearn.isotonic import IsotonicRegression  # a second, of commands that never fit

        came = IsotonicRegression(y_min=SMALLEST, y_max=1 - SMALLEST).fit_transform(knots, rates)
        return cls(said=tuple(knots.tolist()), came=tuple(came.tolist()))

    def __call__(self, p: ArrayLike) -> Floats:
        """Return calibrated probabilities, NaN where `p` is."""
        return np.interp(np.asarray(p, dtype=np.float64), self.said, self.came)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values that `from_dict` takes, exact to the bit."""
        return {"said": list(self.said), "came": list(self.came)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Isotonic:
        """Build a calibrator from `to_dict`."""
        return cls(said=tuple(values["said"]), came=tuple(values["came"]))


CALIBRATORS: Mapping[str, type[Platt] | type[Isotonic]] = {"platt": Platt, "isotonic": Isotonic}


def fit_calibrator(p: ArrayLike, y: ArrayLike) -> Calibrator:
    """Return an isotonic calibrator where there are many rows, else Platt's.

    Parameters
    ----------
    p, y : array-like, shape (n,)
        Forecasts that did not see their labels, and the labels; neither may be NaN.

    Examples
    --------
    >>> p = np.tile([0.2, 0.8], 500)
    >>> fit_calibrator(p, np.tile([0.0, 1.0, 1.0, 1.0], 250)).kind
    'platt'
    """
    kind = Isotonic if np.size(y) >= MANY_ROWS else Platt
    return kind.fit(p, y)
