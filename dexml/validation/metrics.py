"""Scores of forecasts, as pure functions of arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dexml.errors import DataError
from dexml.validation.inputs import Floats, Positions, finite

__all__ = [
    "accuracy",
    "brier_score",
    "calibration_curve",
    "calibration_error",
    "clustered_standard_error",
    "information_coefficient",
    "log_loss",
    "log_losses",
    "quantile_returns",
]


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


def calibration_curve(y: ArrayLike, p: ArrayLike, n_bins: int = 10) -> pd.DataFrame:
    """Return stated and observed frequency by bins of about equal counts.

    Parameters
    ----------
    y, p : array-like, shape (n,)
        See `accuracy`.
    n_bins : int
        At most so many: equal probabilities share a bin, and empty bins are left out.

    Returns
    -------
    DataFrame, columns `stated`, `observed`, `n`
        A row for each bin, from the smallest probability to the largest.

    Examples
    --------
    >>> calibration_curve([1, 1, 0, 0], [0.9, 0.9, 0.2, 0.2], n_bins=2).to_numpy().tolist()
    [[0.2, 0.0, 2.0], [0.9, 1.0, 2.0]]
    """
    labels, probabilities = _pairs(y, p)
    return _by_bin(probabilities, labels, n_bins, ("stated", "observed"))


def calibration_error(y: ArrayLike, p: ArrayLike, n_bins: int = 10) -> float:
    """Return the mean distance of stated from observed frequency over `calibration_curve`.

    Examples
    --------
    >>> round(calibration_error([1, 1, 0, 0], [0.9, 0.9, 0.1, 0.1], n_bins=2), 6)
    0.1
    """
    curve = calibration_curve(y, p, n_bins)
    gaps = (curve["observed"] - curve["stated"]).abs()
    return float((gaps * curve["n"]).sum() / curve["n"].sum())


def quantile_returns(p: ArrayLike, returns: ArrayLike, n_quantiles: int = 5) -> pd.DataFrame:
    """Return the mean return that followed, by quantile of the forecast.

    Parameters
    ----------
    p, returns : array-like, shape (n,)
        Forecasts, and what followed each. No NaN.
    n_quantiles : int
        At most so many: equal forecasts share a quantile.

    Returns
    -------
    DataFrame, columns `forecast`, `return`, `n`
        Means of each quantile, from the lowest forecasts to the highest.

    Examples
    --------
    >>> quantile_returns([0.1, 0.2, 0.8, 0.9], [-2.0, -1.0, 1.0, 3.0], 2)["return"].tolist()
    [-1.5, 2.0]
    """
    forecasts, followed = _followed(p, returns)
    return _by_bin(forecasts, followed, n_quantiles, ("forecast", "return"))


def information_coefficient(p: ArrayLike, returns: ArrayLike) -> float:
    """Return the rank correlation (Spearman) of forecasts and what followed; 0 if one is constant.

    Examples
    --------
    >>> information_coefficient([0.1, 0.2, 0.9], [-1.0, 0.5, 3.0])
    1.0
    """
    forecasts, followed = _followed(p, returns)
    a, b = _ranks(forecasts), _ranks(followed)
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
    numbers = finite("values", values)
    names, inverse = np.unique(np.asarray(clusters), return_inverse=True)
    if inverse.size != numbers.size:
        was = f"{inverse.size} of {numbers.size}"
        raise DataError("clusters", "must be given for each value", was, "Align them first.")
    if len(names) < 2:
        raise DataError("clusters", "must be at least two", len(names), "Score more instants.")
    sums = np.bincount(inverse.reshape(-1), weights=numbers - numbers.mean())
    return float(np.sqrt(len(names) / (len(names) - 1) * np.sum(sums * sums)) / len(numbers))


def _by_bin(by: Floats, values: Floats, n_bins: int, names: tuple[str, str]) -> pd.DataFrame:
    bins = _bins(by, n_bins)
    counts = np.bincount(bins)
    filled = counts > 0
    means = {
        name: np.bincount(bins, weights=column)[filled] / counts[filled]
        for name, column in zip(names, (by, values), strict=True)
    }
    return pd.DataFrame({**means, "n": counts[filled]})


def _bins(values: Floats, n_bins: int) -> Positions:
    if n_bins < 1:
        raise DataError("bins", "must be at least 1", n_bins, "Ten are usual.")
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    middles = np.cumsum(counts) - counts / 2.0  # equal values must not be parted by their order
    return (middles * n_bins / len(values)).astype(np.int64)[inverse.reshape(-1)]


def _followed(p: ArrayLike, returns: ArrayLike) -> tuple[Floats, Floats]:
    forecasts, followed = finite("forecasts", p), finite("returns", returns)
    if forecasts.shape != followed.shape:
        was = f"{forecasts.shape} and {followed.shape}"
        raise DataError("forecasts and returns", "must have one shape", was, "Align them first.")
    return forecasts, followed


def _pairs(y: ArrayLike, p: ArrayLike) -> tuple[Floats, Floats]:
    labels, probabilities = finite("labels", y), finite("probabilities", p)
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


def _ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2.0)[inverse.reshape(-1)]
