"""Window arithmetic that gives the same bits for a prefix, for the whole, and one bar at a time.

Sums are made in a fixed order, oldest first, never by running totals: a running total carries the
rounding of everything before it.

Two shapes are understood, and this is how batch and live share one formula. An array of shape
(n_bars,) is an instrument's whole series: there is an answer for every row. An array of shape
(n_rows, n_instruments) is the last rows of many instruments side by side, newest last: there is an
answer for the newest row only, of shape (1, n_instruments).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import talib
from numpy.typing import NDArray

__all__ = [
    "asof",
    "lag",
    "log_ratio",
    "log_returns",
    "now",
    "ratio",
    "rolling_max",
    "rolling_mean",
    "rolling_min",
    "rolling_std",
    "rolling_sum",
    "squash",
    "student_cdf",
]

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]


def now(values: Floats) -> Floats:
    """Return the rows that an answer is wanted for: all of a series, the newest of live rows.

    Examples
    --------
    >>> now(np.array([1.0, 2.0])), now(np.array([[1.0], [2.0]]))
    (array([1., 2.]), array([[2.]]))
    """
    return values if values.ndim == 1 else values[-1:]


def lag(values: Floats, n: int) -> Floats:
    """Return `values` n rows later; a series begins with n NaN, live rows lose their last n.

    Examples
    --------
    >>> lag(np.array([1.0, 2.0, 3.0]), 1)
    array([nan,  1.,  2.])
    """
    if values.ndim > 1:
        return values[: values.shape[0] - n]
    out = np.full(values.shape[0], np.nan)
    out[n:] = values[: max(values.shape[0] - n, 0)]
    return out


def rolling_sum(values: Floats, window: int) -> Floats:
    """Return the sum of the last `window` values; NaN before there are so many.

    Examples
    --------
    >>> rolling_sum(np.array([1.0, 2.0, 3.0]), 2)
    array([nan,  3.,  5.])
    >>> rolling_sum(np.array([[1.0], [2.0], [3.0]]), 2)
    array([[5.]])
    """
    if values.ndim > 1:
        return _in_order(values[-window:])
    out = np.full(values.shape[0], np.nan)
    n = values.shape[0] - window + 1
    if n > 0:
        total = values[:n].copy()
        for k in range(1, window):
            total += values[k : k + n]
        out[window - 1 :] = total
    return out


# Rows of several columns are added one after the other; a lone column would be summed in pairs,
# which rounds differently, where `accumulate` is defined to go in order.
def _in_order(rows: Floats) -> Floats:
    if rows.shape[1] > 1:
        return np.asarray(np.add.reduce(rows, axis=0, keepdims=True))
    return np.asarray(np.add.accumulate(rows, axis=0)[-1:])


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
    if values.ndim > 1:
        last = values[-window:]
        return np.sqrt(_in_order((last - rolling_mean(last, window)) ** 2) / window)
    out = np.full(values.shape[0], np.nan)
    n = values.shape[0] - window + 1
    if n > 0:
        mean = rolling_mean(values, window)[window - 1 :]
        total = np.zeros(n)
        for k in range(window):
            total += (values[k : k + n] - mean) ** 2
        out[window - 1 :] = np.sqrt(total / window)
    return out


def rolling_min(values: Floats, window: int) -> Floats:
    """Return the least of the last `window` values."""
    return _extreme(talib.MIN, np.min, values, window)


def rolling_max(values: Floats, window: int) -> Floats:
    """Return the greatest of the last `window` values."""
    return _extreme(talib.MAX, np.max, values, window)


def _extreme(
    series: Callable[..., Floats], rows: Callable[..., Floats], values: Floats, window: int
) -> Floats:
    if values.ndim > 1:
        return np.asarray(rows(values[-window:], axis=0, keepdims=True))
    if values.shape[0] < window:
        return np.full(values.shape[0], np.nan)
    return np.asarray(series(values, window))


def ratio(numerator: Floats, denominator: Floats, otherwise: float = 0.0) -> Floats:
    """Divide; where the denominator is not above 0 the answer is `otherwise`.

    Examples
    --------
    >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0]))
    array([0.5, 0. ])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = numerator / denominator
    # Zero times a missing denominator is missing: cheaper than to ask for each.
    return np.where(denominator > 0, quotient, otherwise + 0.0 * denominator)


def log_ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Return the log of a ratio of two values that cannot be negative; 0 where either is 0."""
    usable = (numerator > 0) & (denominator > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = np.where(usable, numerator / denominator, 1.0)
    return np.asarray(np.log(quotient) + 0.0 * (numerator + denominator))


def log_returns(close: Floats, n: int = 1) -> Floats:
    """Return the log return over n bars; NaN in the first n rows."""
    return log_ratio(now(close), now(lag(close, n)))


def squash(values: Floats) -> Floats:
    """Map the real line to (-1, 1) smoothly: x / (1 + |x|)."""
    return values / (1.0 + np.abs(values))


def asof(closed_at: Times, values: Floats, shifts: Sequence[np.timedelta64]) -> list[Floats]:
    """Return, for each shift, the last value stamped at or before each close moved by it.

    Examples
    --------
    >>> closed_at = np.array(["2024-01-01", "2024-01-02", "2024-01-04"], dtype="datetime64[ns]")
    >>> asof(closed_at, np.array([1.0, 2.0, 3.0]), [np.timedelta64(-1, "D")])
    [array([nan,  1.,  2.])]
    """
    if values.ndim > 1:
        return _asof_last(closed_at, values, shifts)
    out = []
    for shift in shifts:
        row = np.searchsorted(closed_at, closed_at + shift, side="right") - 1
        out.append(np.where(row >= 0, values[np.maximum(row, 0)], np.nan))
    return out


# Without gaps the row is known from the shift; else bisection for all instruments and shifts at
# once, for their stamps differ where bars are missing.
def _asof_last(closed_at: Times, values: Floats, shifts: Sequence[np.timedelta64]) -> list[Floats]:
    values = values[-len(closed_at) :]
    when = closed_at[-1] + np.array(shifts, dtype="timedelta64[ns]")[:, None]
    column = np.arange(values.shape[1])
    step = np.maximum(closed_at[-1, 0] - closed_at[-2, 0], np.timedelta64(1, "ns"))
    direct = len(closed_at) - 1 + np.array(shifts) // step
    if (direct.min() >= 0) & (direct.max() < len(closed_at)) and (closed_at[direct] == when).all():
        return [row[None, :] for row in values[direct]]
    low, high = np.zeros(when.shape, np.intp), np.full(when.shape, len(closed_at), np.intp)
    for _ in range(len(closed_at).bit_length()):
        middle = np.minimum((low + high) // 2, len(closed_at) - 1)
        known = (closed_at[middle, column] <= when) & (low < high)
        low, high = np.where(known, middle + 1, low), np.where(known, high, middle)
    found = np.where(low > 0, values[np.maximum(low - 1, 0), column], np.nan)
    return [row[None, :] for row in found]


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
