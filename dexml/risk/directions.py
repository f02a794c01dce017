"""Portfolios that need no forecast: minimum variance and risk parity."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dexml.errors import DataError
from dexml.risk.covariance import checked_covariance
from dexml.risk.qp import Program, Solution, solve
from dexml.risk.recurrence import Floats

__all__ = ["minimum_variance", "risk_parity"]

_MOST_STEPS = 100
_EXACT, _ENOUGH = 1e-12, 1e-7  # of the shares; a table that is nearly singular allows no more


def minimum_variance(
    covariance: ArrayLike, cap: float = 0.3, start: Solution | None = None
) -> tuple[Floats, Solution]:
    """Return the weights of least variance, and the solution to start the next search from.

    Parameters
    ----------
    covariance : array of shape (n_instruments, n_instruments)
        Of returns.
    cap : float
        Largest weight, in (0, 1].
    start : Solution, optional
        Of a similar problem.

    Returns
    -------
    ndarray of shape (n_instruments,), Solution
        Weights in [0, cap] with sum min(1, n * cap): as much is invested as the caps let in,
        because all cash would have no variance.

    Raises
    ------
    DataError
        If the covariance belongs to no returns or does not vary, or the cap is out of range.

    References
    ----------
    Markowitz (1952), Portfolio Selection, J. Finance 7.

    Examples
    --------
    >>> minimum_variance(np.diag([0.01, 0.03]), cap=1.0)[0].round(6)
    array([0.75, 0.25])
    """
    table = checked_covariance(covariance)
    n, unit = len(table), float(np.trace(table)) / len(table)
    if not (0 < cap <= 1 and unit > 0):
        raise DataError("cap and variance", "must be positive", (cap, unit), "See LimitConfig.")
    total = min(1.0, n * cap)
    program = Program(
        quadratic=table / unit,
        linear=np.zeros(n),
        rows=np.vstack([np.eye(n), np.ones((1, n))]),
        lower=np.append(np.zeros(n), total),
        upper=np.append(np.full(n, cap), total),
    )
    found = solve(program, start)
    return np.clip(found.x, 0.0, cap), found


def risk_parity(covariance: ArrayLike, budgets: ArrayLike | None = None) -> Floats:
    """Return the positive weights, with sum one, whose shares of the risk are the budgets.

    Parameters
    ----------
    covariance : array of shape (n_instruments, n_instruments)
        Of returns; every instrument must move.
    budgets : array of shape (n_instruments,), optional
        Positive shares of the variance; by default all equal.

    Raises
    ------
    DataError
        If the covariance belongs to no returns, an instrument does not move, a budget is not
        positive, or Newton's method does not end at equal shares.

    Notes
    -----
    The minimum of y'Cy/2 - b'ln(y) is unique, and its y * (Cy) is b. In units of volatility and
    with damped Newton steps the search ends from any start.

    References
    ----------
    Spinu (2013), An Algorithm for Computing Risk Parity Weights, section 3.

    Examples
    --------
    >>> risk_parity(np.diag([0.04, 0.01])).round(6)
    array([0.333333, 0.666667])
    """
    table = checked_covariance(covariance)
    size = np.sqrt(np.diag(table))
    wanted = np.ones(len(table)) if budgets is None else np.asarray(budgets, dtype=np.float64)
    if not (size > 0).all() or wanted.shape != size.shape or not (wanted > 0).all():
        was = f"variances {np.diag(table)}, budgets {wanted}"
        raise DataError("variances and budgets", "must be positive", was, "Leave the others out.")
    weights = _newton(table / np.outer(size, size), wanted / wanted.sum()) / size
    shares: Floats = weights / weights.sum()
    return shares


def _newton(table: Floats, budgets: Floats) -> Floats:
    miss = float("inf")
    y: Floats = np.sqrt(budgets / table.sum())  # positive: a correlation table has no negative sum
    for _ in range(_MOST_STEPS):
        gradient = table @ y - budgets / y
        step = np.linalg.solve(table + np.diag(budgets / (y * y)), gradient)
        size = float(np.abs(step / y).max())
        y = y - step / (1 + size) if size > 0.25 else y - step
        miss = float(np.abs(y * (table @ y) - budgets).max())
        if miss <= _EXACT:
            break
    if miss <= _ENOUGH and (y > 0).all():
        return y
    raise DataError(
        "risk parity", "must have the shares of its budgets", miss, "Look for perfect hedges."
    )
