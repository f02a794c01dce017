from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skfolio import RiskMeasure
from skfolio.optimization import RiskBudgeting

from dexml.errors import DataError
from dexml.risk import directions
from dexml.risk.directions import minimum_variance, risk_parity
from tests.dexml.risk.markets import covariance, returns


def test_two_instruments_have_the_closed_forms() -> None:
    table = np.array([[0.04, 0.006], [0.006, 0.01]])
    first = (0.01 - 0.006) / (0.04 + 0.01 - 2 * 0.006)
    assert minimum_variance(table, 1.0)[0] == pytest.approx([first, 1 - first], abs=1e-8)
    assert risk_parity(table) == pytest.approx([1 / 3, 2 / 3], abs=1e-10)  # 1 / volatility


def test_without_caps_in_the_way_it_is_the_inverse_times_one() -> None:
    table = 1e-4 * (0.2 + 0.8 * np.eye(6)) * np.outer(*[np.linspace(1, 1.5, 6)] * 2)
    closed = np.linalg.solve(table, np.ones(6))
    assert (closed > 0).all()
    assert minimum_variance(table, 1.0)[0] == pytest.approx(closed / closed.sum(), abs=1e-8)


@pytest.mark.parametrize("n", [2, 5, 12, 40])
def test_minimum_variance_is_that_of_cvxpy(n: int) -> None:
    table, x = covariance(n, n), cp.Variable(n)
    risk = cp.quad_form(x, cp.psd_wrap(table / np.trace(table) * n))
    limits = [x >= 0, x <= 0.3, cp.sum(x) == min(1.0, 0.3 * n)]
    exact = {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12}
    cp.Problem(cp.Minimize(risk), limits).solve(solver="CLARABEL", **exact)
    weights, found = minimum_variance(table)
    assert weights == pytest.approx(x.value, abs=1e-6)
    again, warm = minimum_variance(table * 1.01, start=found)
    assert again == pytest.approx(weights, abs=1e-8)
    assert warm.n_iterations == 0


@pytest.mark.parametrize("n", [3, 8])
def test_risk_parity_is_that_of_skfolio(n: int) -> None:
    x = returns(n, n, n_bars=400)
    exact = {"tol_gap_abs": 1e-13, "tol_gap_rel": 1e-13, "tol_feas": 1e-13}
    peer = RiskBudgeting(
        risk_measure=RiskMeasure.VARIANCE, solver="CLARABEL", solver_params=exact
    ).fit(x)
    assert risk_parity(np.cov(x.T)) == pytest.approx(peer.weights_, abs=1e-6)


@settings(max_examples=50)
@given(st.integers(0, 2**20), st.integers(1, 15), st.floats(-6, 6))
def test_the_shares_of_the_risk_are_the_budgets(seed: int, n: int, exponent: float) -> None:
    table = covariance(seed, n) * 10.0**exponent
    budgets = np.random.default_rng(seed).uniform(0.1, 1, n)
    weights = risk_parity(table, budgets)
    shares = weights * (table @ weights) / (weights @ table @ weights)
    assert shares == pytest.approx(budgets / budgets.sum(), abs=1e-8)
    assert weights.sum() == pytest.approx(1.0)
    assert weights.min() > 0


@settings(max_examples=150)
@given(st.integers(0, 2**20), st.integers(2, 5), st.integers(0, 1))
def test_hedges_and_small_budgets_do_not_lead_the_search_astray(
    seed: int, n: int, more: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, n + more))
    budgets = rng.random(n) ** 4 + 1e-4
    table = rows @ rows.T + 1e-4 * np.eye(n)
    weights = risk_parity(table, budgets)
    shares = weights * (table @ weights) / (weights @ table @ weights)
    assert shares == pytest.approx(budgets / budgets.sum(), abs=1e-7)
    assert weights.min() > 0


def test_a_nearly_perfect_hedge_has_its_shares_to_seven_digits() -> None:
    table = np.array([[1.0, -1 + 1e-9], [-1 + 1e-9, 1.0]])
    assert risk_parity(table, [0.7, 0.3]) == pytest.approx([0.5, 0.5], abs=1e-3)


def test_perfect_twins_share_the_risk_of_one() -> None:
    assert risk_parity(np.full((2, 2), 1e-4)) == pytest.approx([0.5, 0.5])


def test_caps_that_do_not_reach_one_leave_cash() -> None:
    assert minimum_variance(np.diag([0.01, 0.04]))[0] == pytest.approx([0.3, 0.3])


def test_risk_parity_that_does_not_converge_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directions, "_MOST_STEPS", 1)
    with pytest.raises(DataError, match="risk parity must have the shares of its budgets, was"):
        risk_parity(covariance(1, 9), np.linspace(0.01, 1, 9))


def test_what_has_no_answer_is_refused() -> None:
    with pytest.raises(DataError, match="variances and budgets must be positive"):
        risk_parity(np.diag([0.01, 0.0]))
    with pytest.raises(DataError, match="variances and budgets must be positive"):
        risk_parity(np.eye(2), [1.0, 0.0])
    with pytest.raises(DataError, match="variances and budgets must be positive"):
        risk_parity(np.eye(2), [1.0])
    with pytest.raises(DataError, match="cap and variance must be positive"):
        minimum_variance(np.eye(2), cap=0.0)
    with pytest.raises(DataError, match="cap and variance must be positive"):
        minimum_variance(np.zeros((2, 2)))
    with pytest.raises(DataError, match="covariance must be finite"):
        risk_parity(np.full((2, 2), np.nan))
