from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from skfolio import measures

from dexml.errors import DataError
from dexml.validation import performance
from dexml.validation.performance import (
    compounded_return,
    expected_shortfall,
    exposure,
    max_drawdown,
    sharpe_ratio,
    sortino_ratio,
    turnover,
    value_at_risk,
    win_rate,
)

R = np.random.default_rng(1).standard_t(4, 333) * 0.01 + 0.0004
returns = st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=60)


@given(st.lists(st.floats(1.0, 100.0), min_size=1, max_size=30))
def test_drawdown_is_the_worst_pair_of_peak_and_later_value(equity: list[float]) -> None:
    pairs = [(equity[i], equity[j]) for i in range(len(equity)) for j in range(i, len(equity))]
    expected = max(1 - later / peak for peak, later in pairs)
    assert max_drawdown(equity) == pytest.approx(expected, abs=1e-12)


def test_returns_that_do_not_vary_have_no_sharpe_ratio() -> None:
    assert sharpe_ratio(np.full(10, 0.01)) == 0.0
    assert sharpe_ratio([0.01]) == 0.0


def test_hourly_returns_are_annualised_by_their_number_in_a_year() -> None:
    assert sharpe_ratio(R) == pytest.approx(R.mean() / R.std(ddof=1) * 8760**0.5, rel=1e-12)
    assert sortino_ratio(R) == pytest.approx(sortino_ratio(R, 1) * 8760**0.5, rel=1e-12)


def test_sortino_is_the_mean_over_the_semi_deviation_of_skfolio() -> None:
    downside = measures.semi_deviation(R, min_acceptable_return=0.0, biased=True)
    assert sortino_ratio(R, 1) == pytest.approx(R.mean() / downside, rel=1e-12)


def test_without_a_loss_sortino_is_infinite_or_nothing() -> None:
    assert sortino_ratio([0.01, 0.0]) == math.inf
    assert sortino_ratio([0.0, 0.0]) == 0.0


@pytest.mark.parametrize("level", [0.9, 0.95, 0.975, 0.99])
def test_the_tail_is_that_of_skfolio(level: float) -> None:
    expected = measures.value_at_risk(R, beta=level)
    assert value_at_risk(R, level) == pytest.approx(expected, rel=1e-12)
    assert expected_shortfall(R, level) == pytest.approx(measures.cvar(R, beta=level), rel=1e-12)


def test_expected_shortfall_is_the_minimum_of_rockafellar_and_uryasev() -> None:
    cost = minimize_scalar(lambda c: c + np.maximum(-R - c, 0).mean() / 0.05, bounds=(0, 0.1))
    assert expected_shortfall(R) == pytest.approx(cost.fun, rel=1e-6)


@given(returns, st.floats(0.5, 0.999))
def test_value_at_risk_is_never_above_expected_shortfall(r: list[float], level: float) -> None:
    assert value_at_risk(r, level) <= expected_shortfall(r, level) + 1e-12
    assert expected_shortfall(r, level) <= -min(r) + 1e-12


def test_rounding_does_not_move_the_quantile() -> None:
    # 1 - 0.95 is a hair above 0.05, and 1 - 0.9 a hair below 0.1.
    assert value_at_risk(-np.arange(1.0, 21.0) / 100) == 0.20
    assert value_at_risk(-np.arange(1.0, 31.0) / 100, 0.9) == 0.28
    assert value_at_risk([-0.1]) == 0.1
    assert expected_shortfall([-0.1]) == pytest.approx(0.1, rel=1e-12)


@given(returns)
def test_returns_compound_as_money_does(r: list[float]) -> None:
    money = 1.0
    for one in r:
        money *= 1 + one
    assert compounded_return(r) == pytest.approx(money - 1, rel=1e-9, abs=1e-12)


def test_bars_without_a_move_are_neither_won_nor_lost() -> None:
    assert win_rate([0.01, 0.0, -0.01, 0.02, 0.0]) == pytest.approx(2 / 3)
    assert win_rate([0.0, 0.0]) == 0.0


def test_turnover_and_exposure_are_those_counted_by_hand() -> None:
    held = [[0.0, 0.5], [0.2, 0.0], [0.0, 0.0], [0.0, -0.5]]
    assert turnover(held) == pytest.approx(0.5 + (0.2 + 0.5) + 0.2 + 0.5)
    assert exposure(held) == 0.75
    assert turnover([1.0, 1.0]) == 1.0


@pytest.mark.parametrize("name", performance.__all__[1:])
@pytest.mark.parametrize("values", [[], [0.1, np.nan], [0.1, np.inf]])
def test_nothing_is_said_of_what_is_missing(name: str, values: list[float]) -> None:
    with pytest.raises(DataError, match=r"must be given and finite, was \d missing of"):
        getattr(performance, name)(values)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(DataError, match=r"at least -1, all that there is, was -1\.5"):
        compounded_return([0.1, -1.5])
    with pytest.raises(DataError, match="equity must start above 0, was 0"):
        max_drawdown([0.0, 1.0])
    with pytest.raises(DataError, match=r"Write 95% as 0\.95"):
        value_at_risk([0.1], 95)
    assert compounded_return([0.5, -1.0]) == -1.0
