from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dexml.experiments.trials import count_trials, effective_trials, overfitting_of
from dexml.validation.overfitting import probability_of_overfitting

HOURS = pd.date_range("2024-01-01", periods=2_000, freq="h", tz="UTC", name="closed_at")


def _returns(seed: int, drift: float = 0.0) -> pd.Series:
    return pd.Series(np.random.default_rng(seed).normal(drift, 0.01, len(HOURS)), HOURS)


def test_the_same_configuration_again_is_no_new_trial(tmp_path: Path) -> None:
    first = count_trials(tmp_path, "a", _returns(0))
    assert count_trials(tmp_path, "a", _returns(0)) == first
    assert (first.n_trials, first.effective_trials, first.variance) == (1, 1.0, 0.0)


def test_independent_configurations_all_count(tmp_path: Path) -> None:
    for seed in range(5):
        count = count_trials(tmp_path, f"trial-{seed}", _returns(seed))
    assert count.n_trials == 5
    assert count.effective_trials == pytest.approx(5, abs=0.1)
    sharpes = [_returns(seed).mean() / _returns(seed).std(ddof=1) for seed in range(5)]
    assert count.variance == pytest.approx(np.var(sharpes, ddof=1))


def test_a_trial_that_never_traded_counts_and_has_no_edge(tmp_path: Path) -> None:
    count_trials(tmp_path, "idle", _returns(0) * 0.0)
    count = count_trials(tmp_path, "busy", _returns(1))
    assert (count.n_trials, count.effective_trials) == (2, 2.0)
    assert np.isfinite(count.variance)


def test_half_correlated_trials_are_worth_what_the_formula_says() -> None:
    shared = _returns(0)
    tried = pd.DataFrame({f"{seed}": shared + _returns(seed) for seed in range(1, 5)})
    rho = tried.corr().to_numpy()[~np.eye(4, dtype=bool)].mean()
    assert effective_trials(tried) == pytest.approx(rho + (1 - rho) * 4, abs=1e-9)
    assert 2.2 < effective_trials(tried) < 2.8


def test_the_choice_among_all_kept_configurations_is_judged_on_the_bars_they_share(
    tmp_path: Path,
) -> None:
    for seed in range(9):
        count_trials(tmp_path, f"trial-{seed}", _returns(seed))
    assert overfitting_of(tmp_path) == "needs 10 configurations, was 9"
    count_trials(tmp_path, "trial-9", _returns(9).iloc[:1_500])
    found = overfitting_of(tmp_path)
    assert not isinstance(found, str)
    shared = pd.concat([_returns(seed).iloc[:1_500] for seed in range(10)], axis=1)
    assert found.probability == probability_of_overfitting(shared).probability
    count_trials(tmp_path, "elsewhere", _returns(10).iloc[1_480:])
    assert overfitting_of(tmp_path) == "needs 32 bars that all configurations share, was 20"
