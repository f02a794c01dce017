from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.errors import DataError
from dexml.risk.qp import Program, Solution, solve


def program(seed: int, n: int, m: int) -> Program:
    """Return a random program with a feasible point, equalities and one-sided bounds."""
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(n, max(1, n - seed % 3)))
    rows = np.vstack([np.eye(n), rng.normal(size=(m, n))])
    inside = rows @ rng.normal(size=n)
    lower, upper = inside - rng.random(n + m), inside + rng.random(n + m)
    upper[n : n + m // 3] = lower[n : n + m // 3] = inside[n : n + m // 3]
    upper[-1] = np.inf
    return Program(
        quadratic=half @ half.T / n, linear=rng.normal(size=n), rows=rows, lower=lower, upper=upper
    )


def value(p: Program, x: np.ndarray) -> float:
    return float(x @ p.quadratic @ x) / 2 + float(p.linear @ x)


@settings(max_examples=60)
@given(st.integers(0, 2**20), st.integers(1, 12), st.integers(1, 6))
def test_every_solution_meets_the_conditions_of_optimality(seed: int, n: int, m: int) -> None:
    p = program(seed, n, m)
    found = solve(p)
    seen, y = p.rows @ found.x, found.multipliers
    assert (seen >= p.lower - 1e-8).all()
    assert (seen <= p.upper + 1e-8).all()
    assert p.quadratic @ found.x + p.linear + p.rows.T @ y == pytest.approx(np.zeros(n), abs=1e-8)
    assert np.abs(np.minimum(np.maximum(y, 0), p.upper - seen)).max() < 1e-8
    assert np.abs(np.minimum(np.maximum(-y, 0), seen - p.lower)).max() < 1e-8


@pytest.mark.parametrize("seed", range(6))
def test_the_solution_is_that_of_cvxpy(seed: int) -> None:
    p = program(seed, 8, 4)
    x = cp.Variable(8)
    finite = np.isfinite(p.upper)
    limits = [p.rows @ x >= p.lower, p.rows[finite] @ x <= p.upper[finite]]
    problem = cp.Problem(
        cp.Minimize(cp.quad_form(x, cp.psd_wrap(p.quadratic)) / 2 + p.linear @ x), limits
    )
    problem.solve(solver="CLARABEL")
    assert value(p, solve(p).x) == pytest.approx(problem.value, abs=1e-6)


def test_a_start_changes_the_time_and_not_the_result() -> None:
    p = program(3, 10, 5)
    cold = solve(p)
    again = solve(p, cold)
    assert again.n_iterations == 0
    assert again.x == pytest.approx(cold.x, abs=1e-9)
    rng = np.random.default_rng(0)
    wrong = Solution(
        x=rng.normal(size=10), multipliers=rng.normal(size=15), residual=9, n_iterations=1
    )
    assert solve(p, wrong).x == pytest.approx(cold.x, abs=1e-8)


def test_another_scale_is_solved_by_other_step_lengths() -> None:
    p = program(5, 6, 3)
    scale = np.array([0.1, 10, 1, 1, 3, 0.3, 5, 0.2, 1])
    hard = Program(
        quadratic=p.quadratic * 1e3,
        linear=p.linear,
        rows=p.rows * scale[:, None],
        lower=p.lower * scale,
        upper=p.upper * scale,
    )
    easy = Program(
        quadratic=p.quadratic * 1e3, linear=p.linear, rows=p.rows, lower=p.lower, upper=p.upper
    )
    assert value(hard, solve(hard, tolerance=1e-7).x) == pytest.approx(
        value(easy, solve(easy).x), abs=1e-5
    )


def test_bounds_that_contradict_one_another_are_an_error() -> None:
    rows = np.array([[1.0], [1.0]])
    p = Program(
        quadratic=np.eye(1),
        linear=np.zeros(1),
        rows=rows,
        lower=np.array([1.0, -np.inf]),
        upper=np.array([np.inf, 0.0]),
    )
    with pytest.raises(DataError, match="quadratic program must be solvable to 1e-09, was"):
        solve(p)
