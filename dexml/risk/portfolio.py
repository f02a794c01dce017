"""The portfolio of most return for its risk: a direction, then the size that limits allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from dexml.errors import DataError
from dexml.risk.covariance import checked_covariance, least_eigenvalue
from dexml.risk.qp import Program, Solution, solve
from dexml.risk.recurrence import Floats

__all__ = [
    "Allocation",
    "Binding",
    "expected_returns",
    "max_sharpe",
    "scaled",
    "tangency",
]

FEW = 32  # up to so many instruments SLSQP is the quicker search
_TOLERANCE = 1e-9
_RIDGE = 1e-6  # least eigenvalue of correlations: perfect twins then share their weight
Binding = Literal["weight", "budget", "value_at_risk", "no_gain"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Allocation:
    """Shares of equity; what is left over is cash.

    Attributes
    ----------
    weights : ndarray of shape (n_instruments,)
        Each in [0, cap], together at most 1.
    expected_return, volatility, value_at_risk : float
        Of the whole book: over the horizon of the forecasts, per period of the covariance, one day.
    binding : {"weight", "budget", "value_at_risk", "no_gain"}
        What kept it from being larger.
    """

    weights: Floats
    expected_return: float
    volatility: float
    value_at_risk: float
    binding: Binding

    @property
    def cash(self) -> float:
        return 1.0 - float(self.weights.sum())


def expected_returns(
    probabilities: ArrayLike, wins: ArrayLike, losses: ArrayLike, costs: ArrayLike = 0.0
) -> Floats:
    """Return the views of calibrated forecasts: p*W - (1-p)*L - cost.

    Parameters
    ----------
    probabilities : array of shape (n_instruments,)
        Of a gain over the horizon; NaN where there is no forecast.
    wins, losses, costs : array of shape (n_instruments,) or float
        Mean gain and mean loss over the horizon, and the round trip, as fractions, at least 0.

    Returns
    -------
    ndarray of shape (n_instruments,)
        NaN where there is no forecast: such an instrument is not bought.

    Raises
    ------
    DataError
        If a probability is outside [0, 1] or a win, loss or cost is not a number of at least 0.

    Examples
    --------
    >>> expected_returns([0.6, np.nan], wins=0.02, losses=0.01, costs=0.002)
    array([0.006,   nan])
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if ((p < 0) | (p > 1)).any():
        raise DataError("forecasts", "must be probabilities in [0, 1]", p, "Calibrate them.")
    for name, values in (("wins", wins), ("losses", losses), ("costs", costs)):
        if not (np.asarray(values, dtype=np.float64) >= 0).all():
            raise DataError(name, "must be numbers of at least 0", values, "Measure them.")
    win, loss = np.asarray(wins, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    views: Floats = p * win - (1 - p) * loss - np.asarray(costs, dtype=np.float64)
    return views


def max_sharpe(
    expected: ArrayLike,
    covariance: ArrayLike,
    value_at_risk: Callable[[Floats], float],
    limit: float,
    cap: float = 0.3,
    start: ArrayLike | None = None,
) -> Allocation:
    """Return the allocation of the largest Sharpe ratio at the largest size within the limits.

    Parameters
    ----------
    expected : array of shape (n_instruments,)
        Net expected returns; NaN where there is no forecast.
    covariance : array of shape (n_instruments, n_instruments)
        Shrunk, of the returns' own period.
    value_at_risk : callable
        One-day VaR of weights; twice the weights must have twice the VaR.
    limit, cap : float
        Largest VaR of the book; largest weight.
    start : array of shape (n_instruments,), optional
        Where to search first, such as the held weights; it does not change the result.

    Raises
    ------
    DataError
        If an input is not finite or does not fit, an instrument that can be bought has no
        variance, the search fails, or the result breaks a limit.

    Notes
    -----
    The Sharpe ratio does not depend on the size, and cash is always there: so the direction is
    the tangency portfolio of non-negative weights, and limits only set its size. Fewer than four
    instruments are no problem.

    References
    ----------
    Tobin (1958), Liquidity Preference as Behavior Towards Risk (separation); Sharpe (1966).

    Examples
    --------
    >>> book = max_sharpe([0.02, 0.01], np.diag([0.04, 0.01]), lambda w: 0.1 * sum(w), limit=0.05)
    >>> book.weights.round(6), book.binding
    (array([0.15, 0.3 ]), 'weight')
    """
    direction = tangency(expected, covariance, start)
    return scaled(direction, expected, covariance, value_at_risk, limit, cap)


def tangency(expected: ArrayLike, covariance: ArrayLike, start: ArrayLike | None = None) -> Floats:
    """Return the non-negative weights of the largest Sharpe ratio, with sum one, or all zero.

    Parameters
    ----------
    expected, covariance, start : array
        As in `max_sharpe`.

    Notes
    -----
    y = argmin y'Cy/2 - m'y over y >= 0, in units of each instrument's volatility; the direction of
    y has the largest m'y / sqrt(y'Cy) (the Karush-Kuhn-Tucker conditions of both are the same).
    Found by SLSQP with the gradient Cy - m for up to 32 instruments, then made exact and
    checked on its active set; for more, or if SLSQP fails, by the convex program itself.

    References
    ----------
    Cornuejols, Tutuncu (2006), Optimization Methods in Finance, section 8.2.
    """
    table = checked_covariance(covariance)
    views = _checked_views(expected, len(table))
    can = ~np.isnan(views)
    weights = np.zeros(len(views))
    if not (views[can] > 0).any():
        return weights
    size = np.sqrt(np.diag(table)[can])
    if not (size > 0).all():
        fix = "Leave out what never moves."
        raise DataError("variance of each instrument", "must be positive", float(size.min()), fix)
    gain = views[can] / size
    gain /= gain.max()
    table = _regular(table[np.ix_(can, can)] / np.outer(size, size))
    held = None if start is None else _checked_start(start, len(views))[can] * size
    weights[can] = _cone(table, gain, held) / size
    direction: Floats = weights / weights.sum()
    return direction


def scaled(
    direction: Floats,
    expected: ArrayLike,
    covariance: ArrayLike,
    value_at_risk: Callable[[Floats], float],
    limit: float,
    cap: float = 0.3,
) -> Allocation:
    """Return the largest multiple of a direction within the limits of weight, budget and VaR.

    Parameters
    ----------
    direction : ndarray of shape (n_instruments,)
        At least 0; all zero is all cash.
    expected, covariance, value_at_risk, limit, cap
        As in `max_sharpe`.

    Raises
    ------
    DataError
        If a limit is not positive, or the scaled book breaks one (a VaR that does not scale).
    """
    if not (limit > 0 and 0 < cap <= 1):
        raise DataError("limit and cap", "must be positive", (limit, cap), "See LimitConfig.")
    if not direction.any():
        return Allocation(
            weights=direction,
            expected_return=0.0,
            volatility=0.0,
            value_at_risk=0.0,
            binding="no_gain",
        )
    unit = value_at_risk(direction)
    rooms: dict[Binding, float] = {
        "weight": cap / float(direction.max()),
        "budget": 1.0 / float(direction.sum()),
        "value_at_risk": limit / unit if unit > 0 else float("inf"),
    }
    binding: Binding = min(rooms, key=lambda name: rooms[name])
    weights: Floats = np.minimum(direction * rooms[binding], cap)
    reached = value_at_risk(weights)
    if not (reached <= limit * (1 + _TOLERANCE) and weights.sum() <= 1 + _TOLERANCE):
        fix = "Give a VaR that grows in proportion to the weights."
        raise DataError("scaled portfolio", f"must keep its VaR within {limit}", reached, fix)
    table = np.asarray(covariance, dtype=np.float64)
    views = np.where(weights > 0, np.asarray(expected, dtype=np.float64), 0.0)
    return Allocation(
        weights=weights,
        expected_return=float(weights @ views),
        volatility=max(0.0, float(weights @ table @ weights)) ** 0.5,
        value_at_risk=float(reached),
        binding=binding,
    )


def _checked_views(expected: ArrayLike, n: int) -> Floats:
    views = np.asarray(expected, dtype=np.float64)
    if views.shape != (n,) or np.isinf(views).any():
        rule = f"must be {n} numbers that are not infinite"
        raise DataError("expected returns", rule, views, "Write NaN for no forecast.")
    return views


def _checked_start(start: ArrayLike, n: int) -> Floats:
    point = np.asarray(start, dtype=np.float64)
    if point.shape != (n,) or not np.isfinite(point).all():
        raise DataError("start", f"must be {n} finite weights", point, "Or give none.")
    return np.maximum(point, 0.0)


def _regular(correlations: Floats) -> Floats:
    lift = max(0.0, _RIDGE - least_eigenvalue(correlations))
    lifted: Floats = correlations + lift * np.eye(len(correlations))
    return lifted


def _cone(table: Floats, gain: Floats, start: Floats | None) -> Floats:
    n = len(gain)
    program = Program(
        quadratic=table, linear=-gain, rows=np.eye(n), lower=np.zeros(n), upper=np.full(n, np.inf)
    )
    first = np.maximum(gain, 0.0) if start is None else start
    near = _slsqp(table, gain, first) if n <= FEW else first
    guess = Solution(x=near, multipliers=gain - table @ near, residual=np.inf, n_iterations=0)
    return np.maximum(solve(program, guess, _TOLERANCE).x, 0.0)


def _slsqp(table: Floats, gain: Floats, start: Floats) -> Floats:
    def value(y: Floats) -> tuple[float, Floats]:
        pull = table @ y
        return float(y @ pull) / 2 - float(gain @ y), pull - gain

    from scipy.optimize import minimize  # half a second, of commands that never decide

    found = minimize(
        value,
        start,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, None)] * len(gain),
        options={"ftol": 1e-14, "maxiter": 300},
    )
    # a failed search is no answer, only a worse place to start the convex program from
    return np.asarray(found.x) if found.success and np.isfinite(found.x).all() else start
