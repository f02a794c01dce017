from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls
from skfolio import RiskMeasure
from skfolio.optimization import MeanRisk, ObjectiveFunction

from dexml.errors import DataError
from dexml.risk import portfolio
from dexml.risk.portfolio import expected_returns, max_sharpe, scaled, tangency
from tests.dexml.risk.markets import covariance, returns, views

SEEDS = st.integers(0, 2**20)


def gaussian(table: np.ndarray) -> Callable[[np.ndarray], float]:
    return lambda w: 1.645 * float(np.sqrt(24 * max(0.0, w @ table @ w)))


def sharpe(w: np.ndarray, expected: np.ndarray, table: np.ndarray) -> float:
    return float(w @ expected / np.sqrt(w @ table @ w))


@settings(max_examples=60)
@given(SEEDS, st.integers(1, 12), st.floats(0.005, 0.5), st.floats(0.05, 1.0))
def test_weights_are_feasible_and_as_large_as_limits_allow(
    seed: int, n: int, limit: float, cap: float
) -> None:
    table, expected = covariance(seed, n), views(seed, n)
    book = max_sharpe(expected, table, gaussian(table), limit, cap)
    rooms = {
        "weight": cap - book.weights.max(),
        "budget": book.cash,
        "value_at_risk": limit - gaussian(table)(book.weights),
    }
    assert book.weights.min() >= 0
    assert min(rooms.values()) >= -1e-9
    if (expected > 0).any():
        assert rooms[book.binding] == pytest.approx(0, abs=1e-9)
        assert book.value_at_risk == gaussian(table)(book.weights)
    else:
        assert (book.binding, book.cash) == ("no_gain", 1.0)


@settings(max_examples=40)
@given(SEEDS, st.integers(2, 12), st.integers(0, 2**20))
def test_the_result_is_the_same_from_any_start(seed: int, n: int, other: int) -> None:
    table, expected = covariance(seed, n), views(seed, n)
    start = np.random.default_rng(other).random(n) ** 6 * 10
    expected_weights = max_sharpe(expected, table, gaussian(table), 0.05).weights
    weights = max_sharpe(expected, table, gaussian(table), 0.05, start=start).weights
    assert weights == pytest.approx(expected_weights, abs=1e-9)


@settings(max_examples=40)
@given(SEEDS, st.integers(2, 12))
def test_no_other_direction_has_a_larger_sharpe_ratio(seed: int, n: int) -> None:
    table, expected = covariance(seed, n), views(seed, n)
    best = tangency(expected, table)
    if not best.any():
        return
    rng = np.random.default_rng(seed)
    for other in rng.dirichlet(np.full(n, 0.5), size=200):
        near = 0.99 * best + 0.01 * other
        assert sharpe(best, expected, table) >= sharpe(other, expected, table) - 1e-12
        assert sharpe(best, expected, table) >= sharpe(near, expected, table) - 1e-12


def test_where_all_are_held_the_closed_form_is_matched() -> None:
    size = np.linspace(0.01, 0.015, 6)
    table, expected = (0.2 + 0.8 * np.eye(6)) * np.outer(size, size), np.full(6, 0.002)
    closed = np.linalg.solve(table, expected)
    assert (closed > 0).all()
    assert tangency(expected, table) == pytest.approx(closed / closed.sum(), abs=1e-8)


@pytest.mark.parametrize("n", [3, 7, 31, 60])
def test_the_direction_is_that_of_non_negative_least_squares(n: int) -> None:
    for seed in range(4):
        table, expected = covariance(seed, n), views(seed, n)
        root = np.linalg.cholesky(table)
        y, _ = nnls(root.T * 100, np.linalg.solve(root, expected) * 100)
        assert tangency(expected, table) == pytest.approx(y / y.sum(), abs=1e-8)


@pytest.mark.parametrize("n", [4, 8, 15])
def test_the_direction_is_that_of_skfolio(n: int) -> None:
    x = returns(n, n, n_bars=500) + 0.0005 * np.linspace(0.2, 2, n)
    peer = MeanRisk(
        objective_function=ObjectiveFunction.MAXIMIZE_RATIO,
        risk_measure=RiskMeasure.VARIANCE,
        solver="CLARABEL",
        solver_params={"tol_gap_abs": 1e-13, "tol_gap_rel": 1e-13, "tol_feas": 1e-13},
    ).fit(50 * x)  # the direction has no unit; its solver is exact at this one
    assert tangency(x.mean(axis=0), np.cov(x.T)) == pytest.approx(peer.weights_, abs=1e-6)


def test_many_instruments_take_the_convex_program_and_few_slsqp_with_one_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, expected = covariance(2, 20), views(2, 20)
    few = tangency(expected, table)
    monkeypatch.setattr(portfolio, "FEW", 0)
    assert tangency(expected, table) == pytest.approx(few, abs=1e-10)


def test_a_search_that_fails_is_never_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    table, expected = covariance(2, 6), views(2, 6)
    right = tangency(expected, table)

    def failed(*_: object, **__: object) -> object:
        return type("Result", (), {"success": False, "x": np.full(6, 7.0)})()

    monkeypatch.setattr("scipy.optimize.minimize", failed)
    assert tangency(expected, table) == pytest.approx(right, abs=1e-10)


def test_all_cash_if_nothing_is_expected_to_gain() -> None:
    table = covariance(3, 5)
    for expected in (np.full(5, -0.001), np.zeros(5), np.full(5, np.nan)):
        book = max_sharpe(expected, table, gaussian(table), 0.05)
        assert (book.cash, book.binding, book.value_at_risk) == (1.0, "no_gain", 0.0)


def test_fewer_than_four_instruments_leave_cash() -> None:
    book = max_sharpe([0.001], [[1e-6]], gaussian(np.array([[1e-6]])), 0.05)
    assert (book.weights.tolist(), book.binding) == ([0.3], "weight")
    assert book.cash == pytest.approx(0.7)
    assert book.expected_return == pytest.approx(0.3 * 0.001)
    assert book.volatility == pytest.approx(0.3 * 1e-3)


def test_perfect_twins_share_and_a_better_twin_takes_all() -> None:
    twins = np.full((2, 2), 1e-4)
    for start in ([1.0, 0.0], [0.0, 1.0]):
        assert tangency([0.01, 0.01], twins, start) == pytest.approx([0.5, 0.5], abs=1e-6)
        assert tangency([0.01, 0.02], twins, start) == pytest.approx([0.0, 1.0], abs=1e-6)
    opposite = 1e-4 * np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert tangency([0.01, 0.02], opposite) == pytest.approx([0.5, 0.5], abs=1e-6)


def test_what_has_no_forecast_is_not_bought_even_as_a_hedge() -> None:
    hedge = 1e-4 * np.array([[1.0, -0.9], [-0.9, 1.0]])
    assert tangency([0.01, 0.0], hedge)[1] > 0
    assert tangency([0.01, np.nan], hedge).tolist() == [1.0, 0.0]


def test_a_still_instrument_may_stand_by_if_it_is_not_to_be_bought() -> None:
    table = np.diag([1e-4, 0.0])
    assert tangency([0.01, np.nan], table).tolist() == [1.0, 0.0]
    with pytest.raises(DataError, match="variance of each instrument must be positive, was 0"):
        tangency([0.01, 0.01], table)


def test_views_are_p_times_win_minus_the_rest_times_loss_minus_cost() -> None:
    found = expected_returns([0.6, 0.5, np.nan], [0.02, 0.01, 0.01], [0.01, 0.01, 0.01], 0.001)
    assert found == pytest.approx([0.6 * 0.02 - 0.4 * 0.01 - 0.001, -0.001, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"probabilities": [1.2]}, r"forecasts must be probabilities in \[0, 1\]"),
        ({"wins": -1.0}, "wins must be numbers of at least 0, was -1"),
        ({"losses": np.nan}, "losses must be numbers of at least 0, was nan"),
        ({"costs": -0.1}, "costs must be numbers of at least 0"),
    ],
)
def test_views_of_nonsense_are_refused(changed: dict[str, object], message: str) -> None:
    sound = {"probabilities": [0.6], "wins": 0.01, "losses": 0.01, "costs": 0.0}
    with pytest.raises(DataError, match=message):
        expected_returns(**{**sound, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("expected", "table", "message"),
    [
        ([0.01], np.zeros((0, 0)), "covariance must be square and not empty"),
        ([0.01], np.zeros((2, 1)), r"covariance must be square and not empty, was \(2, 1\)"),
        ([0.01], [[np.nan]], "covariance must be finite"),
        ([0.01, 0.01], [[1.0, 0.5], [0.1, 1.0]], "covariance must be symmetric"),
        (
            [0.01, 0.01],
            [[1.0, 2.0], [2.0, 1.0]],
            "must be positive semi-definite, was eigenvalue -1",
        ),
        ([0.01, np.inf], np.eye(2), "must be 2 numbers that are not infinite"),
        ([0.01], np.eye(2), "must be 2 numbers that are not infinite"),
    ],
)
def test_what_is_no_market_is_refused(expected: object, table: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        tangency(expected, table)  # type: ignore[arg-type]


@pytest.mark.parametrize("start", [[np.nan, 0.0], [1.0]])
def test_a_start_that_is_no_portfolio_is_refused(start: list[float]) -> None:
    with pytest.raises(DataError, match="start must be 2 finite weights"):
        tangency([0.01, 0.01], np.eye(2), start)


@pytest.mark.parametrize(("limit", "cap"), [(0.0, 0.3), (0.05, 0.0), (0.05, 1.1), (np.nan, 0.3)])
def test_limits_out_of_range_are_refused(limit: float, cap: float) -> None:
    with pytest.raises(DataError, match="limit and cap must be positive"):
        max_sharpe([0.01], [[1e-4]], sum, limit, cap)


@pytest.mark.parametrize("bad", [lambda w: 0.04 + w.sum() ** 3, lambda w: np.nan])
def test_a_value_at_risk_that_does_not_scale_is_an_error(
    bad: Callable[[np.ndarray], float],
) -> None:
    with pytest.raises(DataError, match=r"scaled portfolio must keep its VaR within 0\.01"):
        max_sharpe([0.01], [[1e-4]], bad, limit=0.01)


def test_a_book_without_risk_is_limited_by_weight_and_budget() -> None:
    book = scaled(np.full(5, 0.2), np.full(5, 0.01), np.eye(5), lambda _: 0.0, 0.05)
    assert (book.binding, book.cash) == ("budget", pytest.approx(0.0))
