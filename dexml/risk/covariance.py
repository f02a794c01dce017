"""Covariances that are always positive semi-definite: sample, EWMA, Ledoit-Wolf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from dexml.errors import DataError
from dexml.risk.recurrence import Floats

__all__ = [
    "Shrunk",
    "checked_covariance",
    "correlation_of",
    "ewma_covariance",
    "least_eigenvalue",
    "ledoit_wolf",
    "return_table",
    "sample_covariance",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shrunk:
    """A covariance, and how far it was drawn to its target.

    Attributes
    ----------
    covariance : ndarray of shape (n_instruments, n_instruments)
        Squared returns of one bar.
    intensity : float
        0 is the sample, 1 the target.
    """

    covariance: Floats
    intensity: float


def return_table(returns: ArrayLike, least: int = 2) -> Floats:
    """Return the returns as an array of shape (n_bars, n_instruments); refuse holes."""
    values = np.asarray(returns, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] < least or values.shape[1] < 1:
        rule = f"must have at least {least} rows and one column"
        raise DataError("returns", rule, values.shape, "Wait for more bars.")
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        fix = "Leave out rows in which a bar is missing."
        raise DataError(
            f"return {row} of column {column}", "must be finite", values[row, column], fix
        )
    return values


def sample_covariance(returns: ArrayLike) -> Floats:
    """Return the unbiased covariance of returns of shape (n_bars, n_instruments).

    Raises
    ------
    DataError
        If there are fewer than two rows or a number is not finite.

    Examples
    --------
    >>> sample_covariance([[0.01, 0.0], [-0.01, 0.0]]).round(6)
    array([[0.0002, 0.    ],
           [0.    , 0.    ]])
    """
    values = return_table(returns)
    centred = values - values.mean(axis=0)
    return _gram(centred / np.sqrt(len(values) - 1))


def ewma_covariance(returns: ArrayLike, decay: float = 0.97) -> Floats:
    """Return the exponentially weighted covariance about zero; the weights add up to one.

    Parameters
    ----------
    returns : array of shape (n_bars, n_instruments)
        Oldest first.
    decay : float
        Weight of a bar against the next one, in (0, 1].

    Raises
    ------
    DataError
        If there are fewer than two rows, a number is not finite or `decay` is out of range.

    References
    ----------
    J.P. Morgan (1996), RiskMetrics Technical Document, table 5.1.
    """
    values = return_table(returns)
    if not 0 < decay <= 1:
        raise DataError("decay of the covariance", "must be in (0, 1]", decay, "0.97 is usual.")
    weights = decay ** np.arange(len(values) - 1, -1, -1.0)
    return _gram(values * np.sqrt(weights / weights.sum())[:, None])


def ledoit_wolf(
    returns: ArrayLike, target: Literal["constant_correlation", "identity"] = "constant_correlation"
) -> Shrunk:
    """Return the sample covariance drawn to a structured target by the estimated best amount.

    Parameters
    ----------
    returns : array of shape (n_bars, n_instruments)
        Order does not matter.
    target : {"constant_correlation", "identity"}
        All pairs correlate alike and variances stay, or all variances alike and no correlation.
        Coins share one large market move and differ in size, so the first is the default.

    Raises
    ------
    DataError
        If there are fewer than two rows or a number is not finite.

    Notes
    -----
    Sample moments are divided by n. Both targets are positive semi-definite, and so is every
    point between one of them and the sample.

    References
    ----------
    Ledoit, Wolf (2004a), Honey, I Shrunk the Sample Covariance Matrix, J. Portfolio Management
    30(4), appendix A and B (constant correlation).
    Ledoit, Wolf (2004b), A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices,
    J. Multivariate Analysis 88, eq. 9-14 (identity).

    Examples
    --------
    >>> moves = np.random.default_rng(0).normal(0.0, 0.01, (50, 4))
    >>> 0 < ledoit_wolf(moves).intensity <= 1
    True
    """
    values = return_table(returns)
    centred = values - values.mean(axis=0)
    sample = _gram(centred / np.sqrt(len(values)))
    aim = _equally_correlated(sample) if target == "constant_correlation" else _identity(sample)
    distance = float(((aim - sample) ** 2).sum())
    if distance <= 1e-24 * float((sample * sample).sum()):
        return Shrunk(covariance=sample, intensity=0.0)
    squares = centred * centred
    noise = float(_asymptotic(squares, squares, sample, sample).sum())
    if target == "constant_correlation":
        noise -= _shared_noise(centred, sample)
    intensity = max(0.0, min(1.0, noise / distance / len(values)))
    return Shrunk(covariance=intensity * aim + (1 - intensity) * sample, intensity=intensity)


def correlation_of(covariance: Floats) -> Floats:
    """Return the correlations; an instrument that does not move correlates with nothing.

    Examples
    --------
    >>> correlation_of(np.array([[4.0, 1.0], [1.0, 1.0]]))
    array([[1. , 0.5],
           [0.5, 1. ]])
    """
    size = np.sqrt(np.diag(covariance))
    unit = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
    table: Floats = np.clip(covariance * np.outer(unit, unit), -1.0, 1.0)
    np.fill_diagonal(table, 1.0)
    return table


def checked_covariance(covariance: ArrayLike) -> Floats:
    """Return the covariance as an array; refuse one that belongs to no returns."""
    table = np.asarray(covariance, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or not table.size:
        raise DataError("covariance", "must be square and not empty", table.shape, "Align it.")
    if not np.isfinite(table).all():
        raise DataError("covariance", "must be finite", "a hole", "Estimate it without gaps.")
    largest = float(np.abs(table).max())
    if np.abs(table - table.T).max() > 1e-9 * largest:
        raise DataError("covariance", "must be symmetric", "lopsided", "Average it with itself.")
    least = least_eigenvalue(table)
    if least < -1e-9 * largest:
        fix = "Use an estimate of this module."
        raise DataError(
            "covariance", "must be positive semi-definite", f"eigenvalue {least:.3g}", fix
        )
    return table


def least_eigenvalue(table: Floats) -> float:
    """Return the smallest eigenvalue of a symmetric table."""
    return float(np.linalg.eigvalsh(table)[0])


def _gram(rows: Floats) -> Floats:
    product: Floats = rows.T @ rows
    even: Floats = (product + product.T) / 2
    return even


def _identity(sample: Floats) -> Floats:
    aim: Floats = np.eye(len(sample)) * (np.trace(sample) / len(sample))
    return aim


def _equally_correlated(sample: Floats) -> Floats:
    size, aim = np.sqrt(np.diag(sample)), np.zeros_like(sample)
    aim[:] = _mean_correlation(sample) * np.outer(size, size)
    np.fill_diagonal(aim, np.diag(sample))
    return aim


def _mean_correlation(sample: Floats) -> float:
    moving = np.diag(sample) > 0
    table, n = correlation_of(sample)[np.ix_(moving, moving)], int(moving.sum())
    return float((table.sum() - n) / (n * (n - 1))) if n > 1 else 0.0


def _asymptotic(left: Floats, right: Floats, a: Floats, b: Floats) -> Floats:
    """Return mean(left_i * right_j) - a_ij * b_ij: the covariance of two sample moments."""
    moved: Floats = left.T @ right / len(left) - a * b
    return moved


def _shared_noise(centred: Floats, sample: Floats) -> float:
    """Return rho of the paper: what target and sample move together."""
    variance = np.diag(sample)
    size = np.sqrt(variance)
    ratio = np.divide(
        size[None, :], size[:, None], out=np.zeros_like(sample), where=size[:, None] > 0
    )
    # theta[i, j] = covariance of the variance of i with the covariance of i and j
    squares = centred * centred
    theta = _asymptotic(squares * centred, centred, variance[:, None], sample)
    np.fill_diagonal(theta, 0.0)
    own = float(np.sum(np.mean(squares * squares, axis=0) - variance * variance))
    return own + _mean_correlation(sample) * float((ratio * theta).sum())
