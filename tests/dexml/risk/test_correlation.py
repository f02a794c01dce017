from __future__ import annotations

import numpy as np
import pytest

from dexml.errors import ConfigError, DataError
from dexml.risk.correlation import CorrelationAlarm, correlation_change, heard
from dexml.risk.recurrence import filtered

DAY = 24


def market(seed: int, n_days: int, correlation: float = 0.5, m: int = 4) -> np.ndarray:
    """Return hours with one common move and volatility that clusters, about 1% an hour."""
    rng, n = np.random.default_rng(seed), n_days * DAY
    log_volatility = filtered(0.1 * rng.standard_normal(n), 0.98, 0.0)[:-1]
    moves = np.sqrt(correlation) * rng.standard_normal((n, 1))
    moves = moves + np.sqrt(1 - correlation) * rng.standard_normal((n, m))
    return moves * np.exp(log_volatility)[:, None] * 0.01


def test_a_change_is_found_and_its_absence_too() -> None:
    before = market(0, 60)
    assert correlation_change(before, market(1, 20, correlation=0.9)).p_value == 1 / 200
    assert correlation_change(before, market(2, 20)).p_value > 0.05


def test_a_storm_without_a_change_of_correlation_is_no_change() -> None:
    assert correlation_change(market(0, 60), 4 * market(2, 20)) == correlation_change(
        market(0, 60), market(2, 20)
    )


def test_a_stationary_market_is_called_changed_as_often_as_promised() -> None:
    p_values = [
        correlation_change(both[: 40 * DAY], both[40 * DAY :], n_draws=39, seed=k).p_value
        for k, both in enumerate(market(k, 55) for k in range(300))
    ]
    # binomial 99.9% bands of 300 trials
    assert 0.015 <= np.mean(np.array(p_values) <= 0.05) <= 0.10
    assert 0.12 <= np.mean(np.array(p_values) <= 0.20) <= 0.29


def test_false_alarms_are_as_rare_as_promised_and_a_change_is_found_within_weeks() -> None:
    n_checks, n_runs, n_false, delays = 24, 50, 0, []
    for seed in range(n_runs):
        path = market(seed, 60 + 10 * n_checks)
        reference, alarm = path[: 60 * DAY], CorrelationAlarm(checks_between_alarms=100)
        for k in range(n_checks):
            recent = path[(60 + 10 * k) * DAY : (70 + 10 * k) * DAY]
            alarm = heard(alarm, correlation_change(reference, recent, 99, seed=k).p_value)
            if alarm.raised:
                n_false += 1
                break
        changed = market(1_000 + seed, 100, correlation=0.85)
        alarm = CorrelationAlarm(checks_between_alarms=100)
        for k in range(10):
            recent = changed[10 * k * DAY : 10 * (k + 1) * DAY]
            alarm = heard(alarm, correlation_change(reference, recent, 99, seed=k).p_value)
            if alarm.raised:
                delays.append(k + 1)
                break
    # at one false alarm in 100 checks, 1 in 5 of these runs would raise one
    assert n_false <= n_runs / 5
    assert len(delays) == n_runs
    assert np.mean(delays) <= 4


def test_the_evidence_is_a_product_that_never_owes() -> None:
    alarm = heard(CorrelationAlarm(), 1.0)
    assert alarm.evidence == 0.5
    assert heard(alarm, 0.01).evidence == pytest.approx(5.0)
    assert heard(heard(alarm, 0.01), 0.01).evidence == pytest.approx(25.0)
    assert not heard(alarm, 0.01).raised


def test_an_instrument_that_does_not_move_changes_nothing() -> None:
    before, after = market(0, 30), market(1, 10)
    before[:, 1] = after[:, 1] = 0.0
    assert 0 < correlation_change(before, after, n_draws=19).p_value <= 1


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(DataError, match=r"must have at least 96 rows"):
        correlation_change(market(0, 30), market(0, 3))
    with pytest.raises(DataError, match="must be the same, two or more, was 4 and 3"):
        correlation_change(market(0, 30), market(0, 10, m=3))
    with pytest.raises(DataError, match="must be the same, two or more, was 1 and 1"):
        correlation_change(market(0, 30, m=1), market(0, 10, m=1))
    with pytest.raises(DataError, match=r"p-value of a check must be in \(0, 1\], was 0"):
        heard(CorrelationAlarm(), 0.0)
    with pytest.raises(ConfigError, match="checks between alarms must be above 1, was 1"):
        CorrelationAlarm(checks_between_alarms=1)


def test_the_statistic_is_the_mean_squared_difference_of_steadied_correlations() -> None:
    def by_hand(period: np.ndarray) -> np.ndarray:
        steady = np.empty_like(period)
        for column in range(period.shape[1]):
            variance = np.mean(period[:, column] ** 2)
            for row, move in enumerate(period[:, column]):
                steady[row, column] = move / np.sqrt(variance)
                variance = 0.97 * variance + 0.03 * move**2
        return np.corrcoef(steady.T)

    before, after = market(0, 30) + 0.004, market(1, 10)
    expected = ((by_hand(before) - by_hand(after)) ** 2).sum() / 12
    found = correlation_change(before, after, n_draws=1)
    assert found.statistic == pytest.approx(expected, rel=1e-9)
