"""Small convex quadratic programs: operator splitting, finished exactly on the active set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, lu_factor, lu_solve

from dexml.errors import DataError
from dexml.risk.recurrence import Floats

__all__ = ["Program", "Solution", "solve"]

Flags = NDArray[np.bool_]
_MOST_CHANGES, _EXACT, _TILT = 12, 1e-12, 1e-8
_SIGMA, _RELAXATION = 1e-6, 1.6
_CHECK_EVERY, _MOST_ITERATIONS = 20, 20_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Program:
    """Minimise x'Px/2 + q'x where lower <= Ax <= upper.

    Attributes
    ----------
    quadratic, linear : ndarray of shape (n, n) and (n,)
        P (positive semi-definite) and q.
    rows, lower, upper : ndarray of shape (m, n), (m,), (m,)
        A and its bounds; infinite where there is none, equal for an equality.
    """

    quadratic: Floats
    linear: Floats
    rows: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """A point that meets the conditions of optimality; also where the next search may start.

    Attributes
    ----------
    x, multipliers : ndarray of shape (n,) and (m,)
        Positive multipliers press on upper bounds, negative ones on lower bounds.
    residual : float
        The worst violation of a condition, in the program's own units.
    n_iterations : int
        0 if the start's active set was right.
    """

    x: Floats
    multipliers: Floats
    residual: float
    n_iterations: int


def solve(program: Program, start: Solution | None = None, tolerance: float = 1e-9) -> Solution:
    """Return the solution of a convex program.

    Parameters
    ----------
    program : Program
        Scaled so that its solution is of order one.
    start : Solution, optional
        That of a similar program. If the same bounds are active one linear system is solved.
    tolerance : float
        Largest violation of feasibility and of stationarity.

    Raises
    ------
    DataError
        If no point within tolerance is found: the bounds contradict one another.

    References
    ----------
    Stellato, Banjac, Goulart, Bemporad, Boyd (2020), OSQP: an operator splitting solver for
    quadratic programs, algorithm 1, section 5.2 (steps) and section 4 (polishing).
    Hintermueller, Ito, Kunisch (2002), The Primal-Dual Active Set Strategy as a Semismooth Newton
    Method, SIAM J. Optimization 13 (how the active set is followed).

    Examples
    --------
    >>> eye = np.eye(2)
    >>> program = Program(
    ...     quadratic=eye, linear=np.array([-1.0, 1.0]), rows=eye,
    ...     lower=np.zeros(2), upper=np.full(2, 0.5),
    ... )
    >>> [round(abs(float(value)), 9) for value in solve(program).x]
    [0.5, 0.0]
    """
    m, n = program.rows.shape
    x, y = (start.x, start.multipliers) if start else (np.zeros(n), np.zeros(m))
    z = np.clip(program.rows @ x, program.lower, program.upper)
    if start is not None:
        polished = _polished(program, z, y, 0)
        if polished.residual <= tolerance:
            return polished
    return _split(program, x, y, z, tolerance)


def _split(program: Program, x: Floats, y: Floats, z: Floats, tolerance: float) -> Solution:
    weight = 0.1
    step = _Step(program, weight)
    for iteration in range(1, _MOST_ITERATIONS + 1):
        x, y, z = step(x, y, z)
        if iteration % _CHECK_EVERY:
            continue
        found = _polished(program, z, y, iteration)
        if found.residual <= tolerance:
            return found
        balance = _balance(program, x, y, z)
        if not 0.2 <= balance <= 5 and iteration % (5 * _CHECK_EVERY) == 0:
            weight = float(np.clip(weight * balance, 1e-6, 1e6))
            step = _Step(program, weight)
    worst = float(np.abs(program.rows @ x - z).max())
    raise DataError(
        "quadratic program",
        f"must be solvable to {tolerance:g}",
        f"{worst:.3g} away after {_MOST_ITERATIONS} steps",
        "Look whether the bounds contradict one another.",
    )


class _Step:
    """One step of the splitting, with its factorisation."""

    def __init__(self, program: Program, weight: float) -> None:
        self.program = program
        equal = program.lower == program.upper
        self.weights = np.where(equal, 1e3 * weight, weight)
        size = program.quadratic.shape[0]
        kernel = program.quadratic + _SIGMA * np.eye(size)
        kernel = kernel + program.rows.T @ (self.weights[:, None] * program.rows)
        self.factor = cho_factor(kernel)

    def __call__(self, x: Floats, y: Floats, z: Floats) -> tuple[Floats, Floats, Floats]:
        program, weights = self.program, self.weights
        right = _SIGMA * x - program.linear + program.rows.T @ (weights * z - y)
        ahead: Floats = cho_solve(self.factor, right)
        mixed = _RELAXATION * (program.rows @ ahead) + (1 - _RELAXATION) * z
        new = np.clip(mixed + y / weights, program.lower, program.upper)
        return _RELAXATION * ahead + (1 - _RELAXATION) * x, y + weights * (mixed - new), new


def _balance(program: Program, x: Floats, y: Floats, z: Floats) -> float:
    """Return the root of the primal over the dual residual, each in its own size."""
    seen, pull = program.rows @ x, program.quadratic @ x
    primal = np.abs(seen - z).max() / max(np.abs(seen).max(), np.abs(z).max(), 1e-12)
    push = program.rows.T @ y
    size = max(np.abs(pull).max(), np.abs(push).max(), np.abs(program.linear).max(), 1e-12)
    dual = np.abs(pull + program.linear + push).max() / size
    return float(np.sqrt(max(primal, 1e-12) / max(dual, 1e-12)))


def _polished(program: Program, z: Floats, y: Floats, n_iterations: int) -> Solution:
    """Follow the bounds that look active, each time solved as equalities, while they change."""
    best = Solution(x=z[:0], multipliers=y, residual=np.inf, n_iterations=n_iterations)
    for _ in range(_MOST_CHANGES):
        low, high = z - program.lower < -y, program.upper - z < y
        found = _on_active_set(program, low, high, n_iterations)
        best = min(best, found, key=lambda one: one.residual)
        z, y = program.rows @ found.x, found.multipliers
        same = (low == (z - program.lower < -y)) & (high == (program.upper - z < y))
        if found.residual <= _EXACT or same.all():
            break
    return best


def _on_active_set(program: Program, low: Flags, high: Flags, n_iterations: int) -> Solution:
    active = low | high
    bound = np.where(low, program.lower, program.upper)[active]
    n, k = program.rows.shape[1], int(active.sum())
    kkt = np.zeros((n + k, n + k))
    kkt[:n, :n] = program.quadratic
    kkt[:n, n:] = program.rows[active].T
    kkt[n:, :n] = program.rows[active]
    point = _refined(kkt, np.concatenate([-program.linear, bound]), n)
    multipliers = np.zeros(len(active))
    multipliers[active] = point[n:]
    residual = _violation(program, point[:n], multipliers, low, high)
    return Solution(
        x=point[:n], multipliers=multipliers, residual=residual, n_iterations=n_iterations
    )


def _refined(kkt: Floats, right: Floats, n: int) -> Floats:
    # a tiny perturbation makes the system regular where bounds repeat; refinement takes it out
    tilt = np.full(len(right), -_TILT)
    tilt[:n] = _TILT
    factor = lu_factor(kkt + np.diag(tilt), check_finite=False)
    point: Floats = lu_solve(factor, right, check_finite=False)
    for _ in range(5):
        point = point + lu_solve(factor, right - kkt @ point, check_finite=False)
    return point


def _violation(program: Program, x: Floats, y: Floats, low: Flags, high: Flags) -> float:
    seen = program.rows @ x
    out = np.maximum(program.lower - seen, seen - program.upper).max(initial=0.0)
    slope = np.abs(program.quadratic @ x + program.linear + program.rows.T @ y).max()
    equal = program.lower == program.upper
    wrong = np.where(low, y, -y)[(low | high) & ~equal].max(initial=0.0)
    worst = max(float(out), float(slope), float(wrong))
    return worst if np.isfinite(worst) else float("inf")
