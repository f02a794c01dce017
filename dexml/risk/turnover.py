"""Trading towards a target only as far as it pays for the trade."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dexml.errors import DataError
from dexml.risk.covariance import checked_covariance
from dexml.risk.portfolio import Allocation
from dexml.risk.qp import Program, Solution, solve
from dexml.risk.recurrence import Floats

__all__ = ["rebalanced"]


def rebalanced(
    target: Allocation,
    held: ArrayLike,
    covariance: ArrayLike,
    costs: ArrayLike,
    cap: float = 0.3,
    start: Solution | None = None,
) -> tuple[Floats, Solution]:
    """Return the weights to trade to, and the solution to start the next search from.

    Parameters
    ----------
    target : Allocation
        What would be held if trading were free, with a positive volatility.
    held : array of shape (n_instruments,)
        Weights now, at least 0.
    covariance : array of shape (n_instruments, n_instruments)
        That of the target.
    costs : array of shape (n_instruments,) or float
        Of trading one unit of weight, one way; fractions, at least 0.
    cap : float
        Largest weight.
    start : Solution, optional
        Of the close before.

    Returns
    -------
    ndarray of shape (n_instruments,), Solution
        Weights in [0, cap], together at most 1. The VaR of what is held may still be above its
        limit: scale the result, or sell.

    Raises
    ------
    DataError
        If an input is out of range or does not fit, or there is no solution.

    Notes
    -----
    Minimises g/2 * (w - t)'C(w - t) + c'|w - h| with the aversion g = m't / t'Ct at which the
    target t itself is best for the returns it expects (m't): what is given up by not trading,
    against what trading costs. |w - h| is a variable of its own, bounded from both sides.

    References
    ----------
    Boyd et al. (2017), Multi-Period Trading via Convex Optimization, section 4 (costs |u|);
    Garleanu, Pedersen (2013), Dynamic Trading with Predictable Returns and Transaction Costs.
    """
    table, goal = checked_covariance(covariance), target.weights
    now, cost = _checked(held, costs, len(table))
    if not target.volatility > 0 or goal.shape != now.shape:
        was = f"volatility {target.volatility}, {goal.size} weights"
        raise DataError("target", "must have risk and fit", was, "Sell instead of rebalancing.")
    n = len(table)
    aversion = max(target.expected_return, 0.0) / target.volatility**2
    unit = aversion * float(np.trace(table)) / n
    if unit <= 0:
        raise DataError("return of the target", "must be positive", target.expected_return, "Sell.")
    quadratic = np.zeros((2 * n, 2 * n))
    quadratic[:n, :n] = aversion / unit * table
    eye, none = np.eye(n), np.zeros((n, n))
    endless = np.full(n, np.inf)
    program = Program(
        quadratic=quadratic,
        linear=np.concatenate([-aversion / unit * (table @ goal), cost / unit]),
        rows=np.block([[eye, none], [eye, -eye], [eye, eye], [np.ones((1, n)), np.zeros((1, n))]]),
        lower=np.concatenate([np.zeros(n), -endless, now, [-np.inf]]),
        upper=np.concatenate([np.full(n, cap), now, endless, [1.0]]),
    )
    found = solve(program, start, tolerance=1e-8)
    return np.clip(found.x[:n], 0.0, cap), found


def _checked(held: ArrayLike, costs: ArrayLike, n: int) -> tuple[Floats, Floats]:
    now = np.asarray(held, dtype=np.float64)
    cost = np.broadcast_to(np.asarray(costs, dtype=np.float64), (n,))
    for name, values in (("held weights", now), ("costs of trading", cost)):
        if values.shape != (n,) or not np.isfinite(values).all() or (values < 0).any():
            raise DataError(name, f"must be {n} numbers of at least 0", values, "Align them.")
    return now, cost
