from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.errors import ConfigError
from dexml.risk.sizing import Payoff, SizingConfig, kelly_fraction, payoff, volatility_damped

OUTCOMES = st.lists(st.floats(-5, 5), min_size=100, max_size=400)


@given(OUTCOMES, st.floats(0, 1))
def test_the_size_is_zero_at_and_below_the_base_rate(outcomes: list[float], share: float) -> None:
    odds = payoff(outcomes, SizingConfig())
    assert kelly_fraction(share * odds.base_rate, odds, cap=0.25) <= 1e-12


@given(OUTCOMES, st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1))
def test_the_size_never_falls_as_the_forecast_rises_and_never_passes_the_cap(
    outcomes: list[float], one: float, other: float, cap: float
) -> None:
    odds = payoff(outcomes, SizingConfig())
    low, high = (kelly_fraction(p, odds, cap) for p in sorted((one, other)))
    assert 0 <= low <= high <= cap
    assert volatility_damped(high, 1_000, abs(odds.win)) <= cap * 1_000


@pytest.mark.parametrize("volatility", [float("nan"), float("inf"), -0.1])
def test_an_unknown_volatility_sizes_nothing(volatility: float) -> None:
    assert volatility_damped(0.25, 10_000, volatility) == 0


def test_an_unknown_probability_sizes_nothing() -> None:
    assert kelly_fraction(float("nan"), Payoff(), cap=0.25) == 0


@given(st.floats(0, 1))
def test_before_100_outcomes_the_fraction_is_2p_minus_1(p: float) -> None:
    odds = payoff([3.0, -1.0] * 49, SizingConfig())
    assert kelly_fraction(p, odds, cap=1.0) == pytest.approx(max(0.0, 2 * p - 1), abs=1e-12)


@given(st.floats(0, 1), st.floats(0.01, 10), st.floats(0.01, 10))
def test_the_fraction_is_kellys_formula_capped(p: float, win: float, loss: float) -> None:
    formula = (p * win - (1 - p) * loss) / win
    fraction = kelly_fraction(p, Payoff(win=win, loss=loss), cap=0.25)
    assert fraction == pytest.approx(min(0.25, max(0.0, formula)))


def test_the_payoff_is_shrunk_towards_equal_win_and_loss() -> None:
    odds = payoff([1.0, -2.0] * 200, SizingConfig())
    assert odds == Payoff(win=1.25, loss=1.75, base_rate=0.5)


def test_costs_take_from_the_win_and_add_to_the_loss() -> None:
    odds = Payoff().scaled(0.01, cost=0.002)
    assert (odds.win, odds.loss) == (pytest.approx(0.008), pytest.approx(0.012))
    assert kelly_fraction(0.9, Payoff().scaled(0.001, cost=0.002), cap=0.25) == 0


def test_the_notional_is_damped_by_one_day_volatility() -> None:
    assert volatility_damped(0.25, 10_000, 0.05) == pytest.approx(2_500 / 1.5)


def test_the_seeds_constants_size_every_coin_flip_at_the_cap_whatever_was_measured() -> None:
    seed = SizingConfig(odds="seed")
    for outcomes in ([], [1.0, -2.0] * 200):
        odds = payoff(outcomes, seed)
        assert (odds.win, odds.loss) == (0.02, 0.01)
        assert kelly_fraction(0.5, odds.scaled(0.3), seed.kelly_cap) == 0.25
        assert kelly_fraction(odds.base_rate, odds.scaled(0.3), 0.25) == pytest.approx(0, abs=1e-12)
        after_costs = odds.scaled(0.3, cost=0.001)
        assert (after_costs.win, after_costs.loss) == (pytest.approx(0.019), pytest.approx(0.011))


def test_a_bad_cap_is_named() -> None:
    with pytest.raises(ConfigError, match=r"sizing\.kelly_cap must be in \(0, 1\]"):
        SizingConfig(kelly_cap=0)
    with pytest.raises(ConfigError, match="must be at least min_outcomes"):
        SizingConfig(max_outcomes=10)
