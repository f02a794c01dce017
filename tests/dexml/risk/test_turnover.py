from __future__ import annotations

from itertools import pairwise

import cvxpy as cp
import numpy as np
import pytest

from dexml.errors import DataError
from dexml.risk.portfolio import Allocation, max_sharpe
from dexml.risk.turnover import rebalanced
from tests.dexml.risk.markets import covariance, views


def wanted(seed: int, n: int) -> tuple[Allocation, np.ndarray, np.ndarray]:
    table = covariance(seed, n)
    expected = np.abs(views(seed, n))
    book = max_sharpe(expected, table, lambda w: 8 * float(np.sqrt(w @ table @ w)), limit=0.05)
    held = np.random.default_rng(seed).uniform(0, min(0.25, 0.9 / n), n)
    return book, held, table


@pytest.mark.parametrize("n", [1, 4, 12])
def test_free_trades_reach_the_target(n: int) -> None:
    book, held, table = wanted(1, n)
    assert rebalanced(book, held, table, 0.0)[0] == pytest.approx(book.weights, abs=1e-7)


@pytest.mark.parametrize("n", [1, 4, 12])
def test_trades_that_cost_more_than_they_bring_are_not_made(n: int) -> None:
    book, held, table = wanted(1, n)
    assert rebalanced(book, held, table, 0.5)[0] == pytest.approx(held, abs=1e-7)


def test_the_turnover_falls_as_costs_rise() -> None:
    book, held, table = wanted(2, 8)
    traded = [
        np.abs(rebalanced(book, held, table, cost)[0] - held).sum()
        for cost in (0.0, 0.0002, 0.0005, 0.001, 0.003)
    ]
    assert all(less < more - 1e-6 for more, less in pairwise(traded) if more > 1e-6)


@pytest.mark.parametrize("n", [2, 7, 20])
def test_the_weights_are_those_of_cvxpy(n: int) -> None:
    book, held, table = wanted(n, n)
    costs = np.random.default_rng(n).uniform(0, 0.001, n)
    aversion = book.expected_return / book.volatility**2
    unit, x = aversion * np.trace(table) / n, cp.Variable(n)
    lost = cp.quad_form(x - book.weights, cp.psd_wrap(aversion / unit * table)) / 2
    exact = {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12}
    problem = cp.Problem(
        cp.Minimize(lost + (costs / unit) @ cp.abs(x - held)), [x >= 0, x <= 0.3, cp.sum(x) <= 1]
    )
    problem.solve(solver="CLARABEL", **exact)
    weights, found = rebalanced(book, held, table, costs)
    assert weights == pytest.approx(x.value, abs=1e-6)
    again, warm = rebalanced(book, held * 1.0001, table, costs, start=found)
    assert again == pytest.approx(weights, abs=1e-3)
    assert warm.n_iterations == 0


def test_a_position_above_its_cap_is_cut_whatever_it_costs() -> None:
    book, held, table = wanted(3, 5)
    held[0] = 0.5
    assert rebalanced(book, held, table, 0.5)[0][0] == pytest.approx(0.3, abs=1e-7)


def test_buys_that_pay_wait_for_sales_that_do_not() -> None:
    goal = np.array([0.0, 0.0, 0.0, 0.3, 0.3])
    table = 1e-4 * np.eye(5)
    book = Allocation(
        weights=goal, expected_return=0.01, volatility=0.004, value_at_risk=0, binding="weight"
    )
    held = np.array([0.3, 0.3, 0.3, 0.0, 0.0])
    weights, _ = rebalanced(book, held, table, [0.5, 0.5, 0.5, 0.0, 0.0])
    assert weights == pytest.approx([0.3, 0.3, 0.3, 0.05, 0.05], abs=1e-6)


def test_what_does_not_fit_is_refused() -> None:
    book, held, table = wanted(1, 4)
    with pytest.raises(DataError, match="held weights must be 4 numbers of at least 0"):
        rebalanced(book, -held, table, 0.0)
    with pytest.raises(DataError, match="held weights must be 4 numbers of at least 0"):
        rebalanced(book, held[:2], table, 0.0)
    with pytest.raises(DataError, match="costs of trading must be 4 numbers of at least 0"):
        rebalanced(book, held, table, np.nan)
    nothing = Allocation(
        weights=np.zeros(4), expected_return=0, volatility=0, value_at_risk=0, binding="no_gain"
    )
    with pytest.raises(DataError, match="target must have risk and fit"):
        rebalanced(nothing, held, table, 0.0)
    losing = Allocation(
        weights=book.weights,
        expected_return=-0.1,
        volatility=0.1,
        value_at_risk=0,
        binding="weight",
    )
    with pytest.raises(DataError, match="return of the target must be positive"):
        rebalanced(losing, held, table, 0.0)
