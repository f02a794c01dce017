"""Window arithmetic that gives the same bits for a prefix, for the whole, and from any start.

Sums are made by adding shifted arrays in a fixed order, never by running totals: a running total
carries the rounding of everything before it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "asof",
    "lag",
    "log_ratio",
    "log_returns",
    "ratio",
    "rolling_mean",
    "rolling_std",
    "rolling_sum",
    "squash",
    "student_cdf",
]

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]


def lag(values: Floats, n: int) -> Floats:
    """Return `values` n rows later; the first n rows are NaN.

    Examples
    --------
    >>> lag(np.array([1.0, 2.0, 3.0]), 1)
    array([nan,  1.,  2.])
    """
    out = np.full(values.shape[0], np.nan)
    out[n:] = values[: max(values.shape[0] - n, 0)]
    return out


def rolling_sum(values: Floats, window: int) -> Floats:
    """Return the sum of the last `window` values; NaN before there are so many.

    Examples
    --------
    >>> rolling_sum(np.array([1.0, 2.0, 3.0]), 2)
    array([nan,  3.,  5.])
    """
    out = np.full(values.shape[0], np.nan)
    n = values.shape[0] - window + 1
    if n > 0:
        total = values[:n].copy()
        for k in range(1, window):
            total += values[k : k + n]
        out[window - 1 :] = total
    return out


def rolling_mean(values: Floats, window: int) -> Floats:
    """Return the mean of the last `window` values."""
    return rolling_sum(values, window) / window


def rolling_std(values: Floats, window: int) -> Floats:
    """Return the population standard deviation of the last `window` values (two passes).

    Examples
    --------
    >>> rolling_std(np.array([1.0, 3.0, 3.0]), 2)
    array([nan,  1.,  0.])
    """
    out = np.full(values.shape[0], np.nan)
    n = values.shape[0] - window + 1
    if n > 0:
        mean = rolling_mean(values, window)[window - 1 :]
        total = np.zeros(n)
        for k in range(window):
            total += (values[k : k + n] - mean) ** 2
        out[window - 1 :] = np.sqrt(total / window)
    return out


def ratio(numerator: Floats, denominator: Floats, otherwise: float = 0.0) -> Floats:
    """Divide; where the denominator is not above 0 the answer is `otherwise`.

    Examples
    --------
    >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0]))
    array([0.5, 0. ])
    """
    safe = np.where(denominator > 0, denominator, 1.0)
    out = np.where(denominator > 0, numerator / safe, otherwise)
    return np.where(np.isnan(denominator), np.nan, out)


def log_ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Return the log of a ratio of two values that cannot be negative; 0 where either is 0."""
    usable = (numerator > 0) & (denominator > 0)
    quotient = np.where(usable, numerator, 1.0) / np.where(usable, denominator, 1.0)
    missing = np.isnan(numerator) | np.isnan(denominator)
    return np.where(missing, np.nan, np.log(quotient))


def log_returns(close: Floats, n: int = 1) -> Floats:
    """Return the log return over n bars; NaN in the first n rows."""
    return log_ratio(close, lag(close, n))


def squash(values: Floats) -> Floats:
    """Map the real line to (-1, 1) smoothly: x / (1 + |x|)."""
    return values / (1.0 + np.abs(values))


def asof(closed_at: Times, values: Floats, when: Times) -> Floats:
    """Return the last value stamped at or before each instant; NaN where there is none."""
    row = np.searchsorted(closed_at, when, side="right") - 1
    return np.where(row >= 0, values[np.maximum(row, 0)], np.nan)


def student_cdf(x: Floats) -> Floats:
    """Return the distribution function of a Student t with 4 degrees of freedom.

    Notes
    -----
    For four degrees of freedom it is algebraic, so its bits depend on no special-function library:
    F(x) = 1/2 + (3/8) u (1 - u^2 / 12) with u = x / sqrt(1 + x^2 / 4).

    References
    ----------
    Shaw (2006), Sampling Student's T distribution, equation 37.

    Examples
    --------
    >>> student_cdf(np.array([0.0, 2.7764451])).round(6)
    array([0.5  , 0.975])
    """
    u = x / np.sqrt(1.0 + x * x / 4.0)
    return 0.5 + 0.375 * u * (1.0 - u * u / 12.0)
