"""Scores of forecasts and of returns, as pure functions of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dexml.errors import DataError

__all__ = [
    "accuracy",
    "brier_score",
    "calibration_error",
    "clustered_standard_error",
    "information_coefficient",
    "log_loss",
    "log_losses",
    "max_drawdown",
    "sharpe_ratio",
]

Floats = NDArray[np.float64]
HOURS_PER_YEAR = 24 * 365.0


def accuracy(y: ArrayLike, p: ArrayLike) -> float:
    """Return the share of rows where `p > 0.5` agrees with the label.

    Parameters
    ----------
    y, p : array-like, shape (n,)
        Labels 0 or 1, and probabilities of 1. No NaN: drop unknown labels first.

    Raises
    ------
    DataError
        If a value is missing or out of range, or nothing is given.

    Examples
    --------
    >>> accuracy([1, 0, 1, 1], [0.9, 0.2, 0.4, 0.6])
    0.75
    """
    labels, probabilities = _pairs(y, p)
    return float(np.mean((probabilities > 0.5) == (labels == 1.0)))


def log_losses(y: ArrayLike, p: ArrayLike) -> Floats:
    """Return the negative log-likelihood of each row in nats, shape (n,)."""
    labels, probabilities = _pairs(y, p)
    clipped = np.clip(probabilities, 1e-15, 1 - 1e-15)
    return np.where(labels == 1.0, -np.log(clipped), -np.log1p(-clipped))


def log_loss(y: ArrayLike, p: ArrayLike) -> float:
    """Return the mean negative log-likelihood in nats; see `accuracy` for the arguments.

    Examples
    --------
    >>> round(log_loss([1, 0], [0.5, 0.5]), 6)  # the log of 2
    0.693147
    """
    return float(np.mean(log_losses(y, p)))


def brier_score(y: ArrayLike, p: ArrayLike) -> float:
    """Return the mean squared error of the probabilities.

    Examples
    --------
    >>> brier_score([1, 0], [0.5, 0.5])
    0.25
    """
    labels, probabilities = _pairs(y, p)
    return float(np.mean(np.square(labels - probabilities)))


def calibration_error(y: ArrayLike, p: ArrayLike, n_bins: int = 10) -> float:
    """Return the mean distance of stated from observed frequency over bins of equal counts.

    Examples
    --------
    >>> round(calibration_error([1, 1, 0, 0], [0.9, 0.9, 0.1, 0.1], n_bins=2), 6)
    0.1
    """
    labels, probabilities = _pairs(y, p)
    order = np.argsort(probabilities, kind="stable")
    bins = [rows for rows in np.array_split(order, n_bins) if len(rows)]
    gaps = [abs(labels[rows].mean() - probabilities[rows].mean()) * len(rows) for rows in bins]
    return float(sum(gaps) / len(labels))


def information_coefficient(p: ArrayLike, returns: ArrayLike) -> float:
    """Return the rank correlation (Spearman) of forecasts and what followed; 0 if one is constant.

    Examples
    --------
    >>> information_coefficient([0.1, 0.2, 0.9], [-1.0, 0.5, 3.0])
    1.0
    """
    a, b = _ranks(_finite("forecasts", p)), _ranks(_finite("returns", returns))
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
    return float(np.sum(a * b) / scale) if scale else 0.0


def clustered_standard_error(values: ArrayLike, clusters: ArrayLike) -> float:
    """Return the standard error of the mean when values within a cluster move together.

    Parameters
    ----------
    values : array-like, shape (n,)
        No NaN.
    clusters : array-like, shape (n,)
        Cluster of each value, usually its instant: instruments of one hour are one draw.

    Notes
    -----
    sqrt(G/(G-1) * sum over clusters of (sum of deviations)^2) / n, with G clusters.

    References
    ----------
    Cameron and Miller (2015), A Practitioner's Guide to Cluster-Robust Inference, eq. 11.

    Examples
    --------
    >>> round(clustered_standard_error([1.0, 1.0, 3.0, 3.0], [0, 0, 1, 1]), 6)  # two draws
    1.0
    """
    numbers = _finite("values", values)
    names, inverse = np.unique(np.asarray(clusters), return_inverse=True)
    if len(names) < 2:
        raise DataError("clusters", "must be at least two", len(names), "Score more instants.")
    sums = np.bincount(inverse.reshape(-1), weights=numbers - numbers.mean())
    return float(np.sqrt(len(names) / (len(names) - 1) * np.sum(sums * sums)) / len(numbers))


def sharpe_ratio(returns: ArrayLike, periods_per_year: float = HOURS_PER_YEAR) -> float:
    """Return the annualised Sharpe ratio of simple returns; 0 if they do not vary.

    Examples
    --------
    >>> round(sharpe_ratio([0.01, 0.03], periods_per_year=1), 6)  # mean 0.02, deviation 0.0141
    1.414214
    """
    numbers = _finite("returns", returns)
    deviation = float(np.std(numbers, ddof=1)) if len(numbers) > 1 else 0.0
    if deviation <= 1e-15 * float(np.max(np.abs(numbers))):
        return 0.0
    return float(np.mean(numbers) / deviation * np.sqrt(periods_per_year))


def max_drawdown(equity: ArrayLike) -> float:
    """Return the deepest fall from a peak as a positive fraction of that peak.

    Examples
    --------
    >>> max_drawdown([100.0, 120.0, 90.0, 130.0])
    0.25
    """
    values = _finite("equity", equity)
    return float(np.max(1.0 - values / np.maximum.accumulate(values)))


def _pairs(y: ArrayLike, p: ArrayLike) -> tuple[Floats, Floats]:
    labels, probabilities = _finite("labels", y), _finite("probabilities", p)
    if labels.shape != probabilities.shape:
        raise DataError(
            "labels and probabilities",
            "must have one shape",
            f"{labels.shape} and {probabilities.shape}",
            "Align them first.",
        )
    if not np.isin(labels, (0.0, 1.0)).all():
        raise DataError("labels", "must be 0 or 1", np.unique(labels)[:5], "Check the target.")
    if probabilities.min() < 0 or probabilities.max() > 1:
        raise DataError("probabilities", "must lie in [0, 1]", probabilities.max(), "Clip them.")
    return labels, probabilities


def _finite(name: str, values: Any) -> Floats:
    numbers = np.ascontiguousarray(values, dtype=np.float64)
    if not numbers.size or not np.isfinite(numbers).all():
        was = f"{int((~np.isfinite(numbers)).sum())} missing of {numbers.size}"
        raise DataError(name, "must be given and finite", was, "Drop the unknown rows first.")
    return numbers


def _ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2.0)[inverse.reshape(-1)]
