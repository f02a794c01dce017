from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.errors import DataError
from dexml.risk.tail import tail_risk


def test_a_gaussian_tail_is_1_645_and_2_063_standard_deviations() -> None:
    returns = np.random.default_rng(0).normal(0, 0.01, 20_000).tolist()
    tail = tail_risk(returns, bars_per_day=24, decay=0.9999)
    assert tail.value_at_risk == pytest.approx(1.645 * 0.01 * sqrt(24), rel=0.04)
    assert tail.expected_shortfall == pytest.approx(2.063 * 0.01 * sqrt(24), rel=0.04)


def test_the_forecast_covers_95_percent_when_volatility_moves() -> None:
    rng, n = np.random.default_rng(1), 1_500
    sigma = 0.01 * np.exp(np.sin(np.arange(n) / 80))
    returns = (sigma * rng.standard_normal(n)).tolist()
    beyond = [
        returns[t] < -tail_risk(returns[t - 240 : t], bars_per_day=1).value_at_risk
        for t in range(240, n)
    ]
    # binomial 95% band of 1,260 trials at 5%: 0.038 .. 0.062, widened for the filter's lag
    assert 0.035 < np.mean(beyond) < 0.072


def test_a_shock_is_measured_by_the_calm_before_it_and_not_by_itself() -> None:
    # 19 bars of silence, then a loss of 1%: the variance is 1/20 of its square before, decays by d
    # with each bar, and learns of the loss only after the loss was divided by it
    d = 0.97
    before, after = d**19 / 20, d**20 / 20 + (1 - d)
    tail = tail_risk([0.0] * 19 + [-0.01], bars_per_day=1, decay=d)
    assert tail.value_at_risk == pytest.approx(0.01 * sqrt(after / before))


def test_losses_are_positive_and_a_riskless_book_has_none() -> None:
    assert tail_risk([0.0] * 30, bars_per_day=24).value_at_risk == 0
    assert tail_risk([0.01] * 30, bars_per_day=1).value_at_risk == 0


def test_a_day_of_many_bars_counts_at_least_as_a_gaussians() -> None:
    # one bar in 20 loses 4%, the others nothing: the 5% quantile of single bars sees none of it
    returns = ([0.0] * 30 + [-0.04]) * 3
    tail = tail_risk(returns, bars_per_day=24, decay=1.0)
    volatility = 0.04 * sqrt(3 / 93) * sqrt(24)
    assert tail.value_at_risk == pytest.approx(1.6449 * volatility, rel=1e-4)
    assert tail.expected_shortfall >= 2.0627 * volatility


def test_a_long_window_shows_the_tail_of_days_themselves() -> None:
    # hours of opposite sign in turn: a day moves by nothing, however much its hours do
    assert tail_risk([0.01, -0.01] * 720, bars_per_day=24).value_at_risk < 1e-12
    assert tail_risk([0.01, -0.01] * 719, bars_per_day=24).value_at_risk > 0.01


@given(
    st.integers(0, 2**32 - 1),
    st.integers(20, 1_800),
    st.floats(1e-4, 50),
    st.sampled_from([1, 6, 24]),
)
def test_the_tail_scales_with_the_book_and_the_shortfall_is_never_the_smaller(
    seed: int, n: int, size: float, per_day: int
) -> None:
    returns = np.random.default_rng(seed).standard_t(3, n) * 0.01
    tail, scaled = tail_risk(returns, per_day), tail_risk(returns * size, per_day)
    assert 0 <= tail.value_at_risk <= tail.expected_shortfall
    assert scaled.value_at_risk == pytest.approx(size * tail.value_at_risk, rel=1e-9)
    assert scaled.expected_shortfall == pytest.approx(size * tail.expected_shortfall, rel=1e-9)


def test_a_list_and_an_array_have_the_same_tail() -> None:
    returns = np.random.default_rng(3).normal(0, 0.01, 240)
    assert tail_risk(returns.tolist(), 24) == tail_risk(returns, 24)


def test_too_few_returns_are_refused() -> None:
    with pytest.raises(DataError, match="must have at least 20 returns, was 3"):
        tail_risk([0.0] * 3, bars_per_day=24)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_return_that_is_no_number_is_refused_by_its_place(bad: float) -> None:
    with pytest.raises(DataError, match="return 7 of the tail must be finite"):
        tail_risk([0.0] * 7 + [bad] + [0.0] * 30, bars_per_day=24)
