from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm

from dexml.errors import DataError
from dexml.validation.significance import (
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    forecast_skill,
    minimum_track_record,
    probabilistic_sharpe_ratio,
    sharpe_moments,
)

DAYS = 250


def test_the_deflated_ratio_of_the_paper_is_met() -> None:
    # Bailey and Lopez de Prado (2014), "A numerical example": 0.1132 and 0.9004.
    sharpe, variance = 2.5 / math.sqrt(DAYS), 0.5 / DAYS
    assert expected_maximum_sharpe(100, variance) == pytest.approx(0.1132, abs=5e-5)
    found = deflated_sharpe_ratio(sharpe, 1250, 100, variance, skewness=-3, kurtosis=10)
    assert found == pytest.approx(0.9004, abs=5e-5)
    fewer = deflated_sharpe_ratio(sharpe, 1250, 46, variance, skewness=-3, kurtosis=10)
    assert fewer == pytest.approx(0.9505, abs=5e-4)


def test_the_probabilistic_ratio_of_the_paper_is_met() -> None:
    # Bailey and Lopez de Prado (2012), section 3: 0.982 for a normal, 0.913 as it really is.
    assert probabilistic_sharpe_ratio(0.458, 24) == pytest.approx(0.982, abs=1e-3)
    skewed = probabilistic_sharpe_ratio(0.458, 24, skewness=-2.448, kurtosis=10.164)
    assert skewed == pytest.approx(0.913, abs=1e-3)


@pytest.mark.parametrize(("per_year", "years"), [(252, 2.73), (52, 2.83), (12, 3.24)])
def test_the_minimum_track_records_of_the_paper_are_met(per_year: int, years: float) -> None:
    one = math.sqrt(per_year)
    assert minimum_track_record(2 / one, 1 / one) / per_year == pytest.approx(years, abs=0.01)


def test_the_best_of_worthless_strategies_is_as_expected() -> None:
    best = np.random.default_rng(0).normal(size=(20_000, 50)).max(axis=1).mean()
    assert expected_maximum_sharpe(50, 1.0) == pytest.approx(best, rel=0.015)  # asymptotic


def test_one_trial_is_not_deflated_and_a_worse_one_never_suffices() -> None:
    assert expected_maximum_sharpe(1, 1.0) == 0.0
    assert minimum_track_record(0.1, 0.2) == math.inf


def test_excess_kurtosis_in_place_of_kurtosis_is_noticed() -> None:
    with pytest.raises(DataError, match="Use the kurtosis"):
        probabilistic_sharpe_ratio(2.0, 100, skewness=0.0, kurtosis=-1.2)


def test_the_record_of_a_strategy_has_the_moments_of_its_returns() -> None:
    returns = np.array([0.01, -0.02, 0.03, 0.00, 0.05])
    deviations = returns - returns.mean()
    found = sharpe_moments(returns)
    assert found.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1), rel=1e-12)
    spread = np.mean(deviations**2)
    assert found.skewness == pytest.approx(np.mean(deviations**3) / spread**1.5, rel=1e-12)
    assert found.kurtosis == pytest.approx(np.mean(deviations**4) / spread**2, rel=1e-12)
    assert found.n == 5


@pytest.mark.parametrize(
    ("returns", "message"),
    [
        ([0.01], "returns must hold at least 2, was 1"),
        ([0.01, 0.01], "returns must vary"),
        ([0.01, float("nan")], "returns must be given and finite, was 1 missing of 2"),
    ],
)
def test_a_record_that_says_nothing_is_refused(returns: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        sharpe_moments(returns)


@pytest.mark.parametrize("tail", ["normal", "skewed", "heavy"])
def test_skill_less_returns_pass_the_probabilistic_ratio_as_rarely_as_they_should(
    tail: str,
) -> None:
    rng = np.random.default_rng(5)
    draws = {
        "normal": lambda: rng.normal(size=500),
        "skewed": lambda: 1.0 - rng.exponential(size=500),
        "heavy": lambda: rng.standard_t(5, size=500),
    }
    n_runs, passed = 2_000, 0
    for _ in range(n_runs):
        record = sharpe_moments(draws[tail]())
        passed += (
            probabilistic_sharpe_ratio(record.sharpe, record.n, record.skewness, record.kurtosis)
            > 0.95
        )
    assert passed / n_runs == pytest.approx(0.05, abs=0.015)


def test_a_record_just_long_enough_has_just_the_confidence_asked_for() -> None:
    n = minimum_track_record(0.1, 0.02, skewness=-1.0, kurtosis=6.0, confidence=0.9)
    z = (0.1 - 0.02) * math.sqrt(n - 1) / math.sqrt(1 + 0.1 + 5 / 4 * 0.01)
    assert norm.cdf(z) == pytest.approx(0.9, rel=1e-12)


def test_every_further_trial_makes_the_deflated_ratio_smaller() -> None:
    found = [deflated_sharpe_ratio(0.1, 1_000, n, 0.001) for n in (1, 2, 5, 20, 100, 10_000)]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == len(found)
    assert found[0] == probabilistic_sharpe_ratio(0.1, 1_000)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: probabilistic_sharpe_ratio(0.1, 1), "track record must have two returns, was 1"),
        (lambda: probabilistic_sharpe_ratio(math.nan, 10), "Sharpe ratios must be given"),
        (lambda: probabilistic_sharpe_ratio(0.1, 10, benchmark=math.nan), "1 missing of 2"),
        (lambda: probabilistic_sharpe_ratio(0.1, 10, kurtosis=math.inf), "positive variance"),
        (lambda: minimum_track_record(math.nan), "Sharpe ratios must be given"),
        (lambda: minimum_track_record(0.1, confidence=95), "Write 95% as"),
        (lambda: expected_maximum_sharpe(0, 1.0), "trials must be counted and vary, was 0 trials"),
        (lambda: expected_maximum_sharpe(10, -1.0), "variance -1"),
        (lambda: expected_maximum_sharpe(10, math.nan), "variance nan"),
    ],
)
def test_what_no_record_can_be_is_refused(call: Callable[[], float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()


def test_worthless_forecasts_pass_two_standard_errors_as_rarely_as_they_should() -> None:
    rng, passed = np.random.default_rng(3), 0
    instants = np.repeat(np.arange(400), 6)
    for _ in range(300):
        y = np.repeat((rng.random(400) < 0.5).astype(float), 6)  # six instruments, one draw
        p = np.repeat(np.clip(rng.normal(0.5, 0.02, 400), 0.01, 0.99), 6)
        passed += forecast_skill(y, p, 0.5, instants).t > 1.645
    assert passed / 300 < 0.08


def test_a_forecast_that_knows_has_skill_and_one_that_says_the_base_rate_has_none() -> None:
    rng = np.random.default_rng(4)
    p = rng.uniform(0.2, 0.8, 2_000)
    y = (rng.random(2_000) < p).astype(float)
    skill = forecast_skill(y, p, y.mean(), np.arange(2_000))
    assert skill.t > 5
    assert skill.gain > 0
    assert forecast_skill(y, np.full(2_000, 0.5), 0.5, np.arange(2_000)).t == 0.0
