from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm, t
from skfolio.measures import cvar, value_at_risk

from dexml.errors import DataError
from dexml.risk.garch import fit_garch
from dexml.risk.tail_methods import (
    METHODS,
    CornishFisher,
    cornish_fisher,
    cornish_fisher_tail,
    garch_tail,
    historical_tail,
)

GAUSSIAN = np.random.default_rng(0).normal(0, 0.01, 4_000)


@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(METHODS)), st.sampled_from([1, 8]))
def test_value_at_risk_is_never_above_the_expected_shortfall(
    seed: int, name: str, per_day: int
) -> None:
    returns = np.random.default_rng(seed).standard_t(6, 400) * 0.01
    with suppress(DataError):  # Cornish-Fisher, outside its domain
        tail = METHODS[name](returns, per_day)
        assert 0 <= tail.value_at_risk <= tail.expected_shortfall


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"cornish_fisher"}))
def test_every_historical_method_finds_the_tail_of_a_gaussian(name: str) -> None:
    tail = METHODS[name](GAUSSIAN, 1)
    assert tail.value_at_risk == pytest.approx(0.01645, rel=0.08)
    assert tail.expected_shortfall == pytest.approx(0.02063, rel=0.08)


def test_cornish_fisher_finds_the_tail_of_a_students_t() -> None:
    tail = cornish_fisher_tail(t(10).rvs(40_000, random_state=0) * 0.01, 1)
    assert tail.value_at_risk == pytest.approx(0.01 * -t(10).ppf(0.05), rel=0.03)
    assert tail.expected_shortfall == pytest.approx(
        0.01 * -t(10).expect(ub=t(10).ppf(0.05)) / 0.05, rel=0.03
    )


def test_the_historical_tail_is_that_of_skfolio() -> None:
    # 20 of 320 days are beyond one sixteenth, exactly; skfolio's quantile is asked off that tie
    returns = np.random.default_rng(1).standard_t(4, 320) * 0.01
    tail = historical_tail(returns, 1, level=0.9375)
    assert tail.value_at_risk == pytest.approx(value_at_risk(returns, 1 - 19.5 / 320), abs=1e-12)
    assert tail.expected_shortfall == pytest.approx(cvar(returns, 0.9375), abs=1e-12)


def test_the_historical_tail_of_days_begins_a_day_at_every_bar() -> None:
    returns = np.random.default_rng(2).normal(0, 0.01, 1_463)
    days = sorted(returns[k : k + 24].sum() for k in range(1_440))
    tail = historical_tail(returns, 24)
    assert tail.value_at_risk == pytest.approx(-days[71])  # 5% of 1,440 are 72 days
    assert tail.expected_shortfall == pytest.approx(-np.mean(days[:72]))


def test_garch_can_use_a_model_that_was_fitted_before() -> None:
    model = fit_garch(GAUSSIAN[:1_000])
    assert garch_tail(GAUSSIAN[:1_000], 1, model=model) == garch_tail(GAUSSIAN[:1_000], 1)
    assert garch_tail(GAUSSIAN, 1, model=model) != garch_tail(GAUSSIAN, 1)


def test_garch_knows_that_a_storm_calms_down() -> None:
    rng = np.random.default_rng(4)
    calm, storm = rng.normal(0, 0.01, 1_500), rng.normal(0, 0.05, 12)
    model = fit_garch(calm)
    weak = type(model)(omega=6e-6, alpha=0.04, beta=0.90, start=1e-4)  # a half-life of 11 bars
    now = garch_tail(np.concatenate([calm, storm]), 24, model=weak).value_at_risk
    assert now < METHODS["ewma"](np.concatenate([calm, storm]), 24).value_at_risk


def test_both_figures_of_a_garch_tail_are_of_the_volatility_of_now() -> None:
    rng = np.random.default_rng(5)
    calm, storm = rng.normal(0, 0.01, 1_500), rng.normal(0, 0.05, 60)
    model = fit_garch(calm)
    quick = type(model)(omega=5e-6, alpha=0.10, beta=0.85, start=1e-4)
    before = garch_tail(calm, 1, model=quick)
    after = garch_tail(np.concatenate([calm, storm]), 1, model=quick)
    assert after.value_at_risk > 3 * before.value_at_risk
    assert after.expected_shortfall > 3 * before.expected_shortfall
    assert 1 < after.expected_shortfall / after.value_at_risk < 2


@pytest.mark.parametrize("skewness", [-0.6, 0.0, 0.7])
@pytest.mark.parametrize("kurtosis", [1.5, 4.0, 10.0])
def test_a_cornish_fisher_distribution_has_the_moments_it_was_asked_for(
    skewness: float, kurtosis: float
) -> None:
    fitted = cornish_fisher(skewness, kurtosis)
    deviation = np.sqrt(fitted.moments()[0])

    def standardised(z: float) -> float:
        return float(np.polynomial.polynomial.polyval(z, fitted.cubic())) / deviation

    for power, moment in ((1, 0.0), (2, 1.0), (3, skewness), (4, 3 + kurtosis)):
        integral = quad(lambda z, k=power: standardised(z) ** k * norm.pdf(z), -12, 12, limit=200)
        assert integral[0] == pytest.approx(moment, abs=1e-7)
    quantile, below = fitted.lower_tail(0.05)
    assert quantile == pytest.approx(standardised(norm.ppf(0.05)), abs=1e-12)
    beyond = quad(lambda z: standardised(z) * norm.pdf(z), -12, norm.ppf(0.05))[0] / 0.05
    assert below == pytest.approx(beyond, abs=1e-8)


def test_with_no_skewness_and_kurtosis_it_is_the_normal() -> None:
    quantile, below = cornish_fisher(0.0, 0.0).lower_tail(0.05)
    assert (quantile, below) == pytest.approx((norm.ppf(0.05), -norm.pdf(norm.ppf(0.05)) / 0.05))


def test_the_domain_is_maillards() -> None:
    # without skewness the cubic is monotone for parameters 0 <= K <= 8 (Maillard, section 3)
    assert CornishFisher(skew=0.0, kurtosis=8.0).is_monotone()
    assert not CornishFisher(skew=0.0, kurtosis=8.01).is_monotone()
    assert not CornishFisher(skew=0.0, kurtosis=-0.01).is_monotone()
    # and never for a skewness above 6 * (sqrt(2) - 1)
    grid = [CornishFisher(skew=6 * (2**0.5 - 1) + 1e-3, kurtosis=k / 50) for k in range(1_000)]
    assert not any(one.is_monotone() for one in grid)
    inside = [CornishFisher(skew=6 * (2**0.5 - 1) - 1e-3, kurtosis=k / 100) for k in range(2_000)]
    assert any(one.is_monotone() for one in inside)


@pytest.mark.parametrize(("skewness", "kurtosis"), [(0.0, -0.5), (3.0, 2.0), (0.0, 80.0)])
def test_outside_its_domain_it_refuses_with_the_moments(skewness: float, kurtosis: float) -> None:
    with pytest.raises(DataError, match=r"must be inside its domain \(Maillard, 2012\), was skew"):
        cornish_fisher(skewness, kurtosis)


def test_a_window_that_does_not_move_has_the_tail_of_its_drift() -> None:
    assert cornish_fisher_tail([-0.25] * 64, 1).value_at_risk == 0.25
    assert cornish_fisher_tail([0.25] * 64, 1).expected_shortfall == 0


@pytest.mark.parametrize("method", [historical_tail, garch_tail, cornish_fisher_tail])
def test_a_window_of_less_than_60_days_is_refused(method: object) -> None:
    with pytest.raises(DataError, match=r"must be at least 60 days \(1440 bars\), was 1439 bars"):
        method(np.zeros(1_439), 24)  # type: ignore[operator]


def test_a_drift_moves_both_ends_of_a_cornish_fisher_tail_alike() -> None:
    returns = t(10).rvs(4_000, random_state=1) * 0.01
    flat, falling = cornish_fisher_tail(returns, 1), cornish_fisher_tail(returns - 0.005, 1)
    assert falling.value_at_risk == pytest.approx(flat.value_at_risk + 0.005)
    assert falling.expected_shortfall == pytest.approx(flat.expected_shortfall + 0.005)
