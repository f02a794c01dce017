from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import SPA

from dexml.errors import DataError
from dexml.validation.blocks import resampled_positions
from dexml.validation.bootstrap import Bootstrap
from dexml.validation.superior import superior_predictive_ability
from tests.dexml.validation.simulated import autoregressive


class SameResamples:
    """Gives arch the resamples that dexml draws."""

    def __init__(self, data: np.ndarray, settings: Bootstrap) -> None:
        self.data, self.settings = data, settings

    def bootstrap(self, n_resamples: int) -> Iterator[Any]:
        assert self.settings.block_length is not None
        for number in range(n_resamples):
            generator = np.random.default_rng([self.settings.seed, number])
            length = self.settings.block_length
            rows = resampled_positions(len(self.data), length, generator)
            yield (self.data[rows],), {}


def by_arch(gains: np.ndarray, settings: Bootstrap) -> Any:
    # arch compares means as they are, so each is put into the unit of its standard deviation first.
    assert settings.block_length is not None
    n, size = len(gains), int(settings.block_length)
    scaled = gains / errors(gains, size)
    test = SPA(np.zeros(n), -scaled, block_size=size, reps=settings.n_resamples)
    test.bootstrap = SameResamples(scaled, settings)  # type: ignore[assignment]
    test.compute()
    return test.pvalues


@pytest.mark.parametrize(("seed", "edge"), [(0, 0.0), (1, 0.1), (2, 0.15), (3, -0.05)])
def test_the_three_values_are_those_of_arch_on_the_same_resamples(seed: int, edge: float) -> None:
    rng = np.random.default_rng(seed)
    gains = rng.normal(size=(300, 12)) * rng.uniform(0.5, 3.0, 12)
    gains[:, 3] += edge
    gains[:, 5] -= 0.8  # so bad that only the upper value counts it
    settings = Bootstrap(n_resamples=400, block_length=5, seed=seed)
    found = superior_predictive_ability(np.zeros(300), gains, settings)
    expected = by_arch(gains, settings)
    assert found.lower == pytest.approx(expected["lower"], abs=1e-12)
    assert found.consistent == pytest.approx(expected["consistent"], abs=1e-12)
    assert found.upper == pytest.approx(expected["upper"], abs=1e-12)
    assert found.best == int(np.argmax(gains.mean(axis=0) / errors(gains, 5)))
    assert (found.n_models, found.block_length) == (12, 5)


def errors(gains: np.ndarray, size: int) -> np.ndarray:
    test = SPA(np.zeros(len(gains)), -gains, block_size=size)
    test._compute_variance()
    return np.sqrt(test._loss_diff_var / len(gains))


def test_the_statistic_is_the_largest_mean_over_its_standard_error() -> None:
    gains = np.column_stack([autoregressive(200, 0.5, seed) + 0.1 for seed in range(4)])
    found = superior_predictive_ability(np.zeros(200), gains, Bootstrap(block_length=8))
    expected = (gains.mean(axis=0) / errors(gains, 8)).max()
    assert found.statistic == pytest.approx(expected, rel=1e-9)


def test_the_standard_error_is_that_of_the_resamples() -> None:
    gains = autoregressive(200, 0.6, 1) + 1.0
    drawn = [
        gains[resampled_positions(200, 8.0, np.random.default_rng([9, number]))].mean()
        for number in range(8_000)
    ]
    settings = Bootstrap(n_resamples=100, block_length=8)
    found = superior_predictive_ability(np.zeros(200), gains[:, None], settings)
    assert gains.mean() / found.statistic == pytest.approx(np.std(drawn), rel=0.03)


def rejected(n_models: int, n_bars: int, n_runs: int, phi: float, edge: float = 0.0) -> float:
    count = 0
    for run in range(n_runs):
        columns = [autoregressive(n_bars, phi, 1_000 * run + one) for one in range(n_models)]
        gains = np.column_stack(columns)
        gains[:, 0] += edge
        settings = Bootstrap(n_resamples=200, seed=run)
        count += superior_predictive_ability(np.zeros(n_bars), gains, settings).consistent < 0.05
    return count / n_runs


def test_the_best_of_worthless_models_is_rejected_as_rarely_as_it_should() -> None:
    assert rejected(n_models=10, n_bars=250, n_runs=150, phi=0.0) <= 0.10


def test_a_model_that_is_better_is_found() -> None:
    assert rejected(n_models=10, n_bars=250, n_runs=20, phi=0.0, edge=0.4) >= 0.95


@pytest.mark.soak
@pytest.mark.parametrize(("phi", "bound"), [(0.0, 0.075), (0.4, 0.15)])
def test_the_size_is_as_the_docstring_says_in_a_large_study(phi: float, bound: float) -> None:
    assert 0.02 <= rejected(n_models=20, n_bars=500, n_runs=800, phi=phi) <= bound


def test_bad_models_do_not_hide_a_good_one() -> None:
    # Hansen's point: the upper value is dragged up by models that nobody would choose.
    rng = np.random.default_rng(4)
    gains = rng.normal(size=(400, 60)) - 0.5
    gains[:, 7] += 0.62
    found = superior_predictive_ability(np.zeros(400), gains)
    assert found.consistent < found.upper / 3
    assert found.best == 7


def test_only_worse_models_are_no_evidence() -> None:
    gains = np.random.default_rng(5).normal(size=(300, 5)) - 1.0
    found = superior_predictive_ability(np.zeros(300), gains)
    assert found.statistic == 0.0
    assert (found.lower, found.consistent, found.upper) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(("t", "counted"), [(-1.80, True), (-1.93, False)])
def test_models_count_down_to_a_threshold_that_grows_with_the_logarithm(
    t: float, counted: bool
) -> None:
    # n = 300: sqrt(2 log log n) is 1.866.
    gains = np.random.default_rng(10).normal(size=(300, 30))
    gains -= gains.mean(axis=0)
    gains += t * errors(gains, 1)
    gains[:, 0] += (1.5 - t) * errors(gains, 1)[0]
    found = superior_predictive_ability(np.zeros(300), gains, Bootstrap(block_length=1))
    assert (found.consistent == found.upper) is counted
    assert found.lower < found.upper


def test_the_benchmark_is_what_gains_are_counted_from() -> None:
    rng = np.random.default_rng(6)
    benchmark, models = rng.normal(size=200), rng.normal(0.1, 1.0, size=(200, 3))
    found = superior_predictive_ability(benchmark, models)
    assert found == superior_predictive_ability(np.zeros(200), models - benchmark[:, None])
    scaled = superior_predictive_ability(8 * benchmark, 8 * models)  # exact in binary
    assert found == scaled


HOURS = pd.date_range("2024-01-01", periods=40, freq="h", tz="UTC")
MODELS = pd.DataFrame(np.random.default_rng(7).normal(size=(40, 3)), HOURS)


@pytest.mark.parametrize(
    ("benchmark", "models", "message"),
    [
        (np.zeros(39), MODELS, "benchmark must hold 40 bars"),
        (pd.Series(0.0, HOURS + pd.Timedelta("1h")), MODELS, "must be of the same bars"),
        (MODELS[1], MODELS, "gain of model 1 must vary, was 0 throughout"),
        (np.zeros(19), MODELS[:19], "models must hold at least 20, was 19"),
        (np.full(40, np.nan), MODELS, "benchmark must be given and finite, was 40 missing of 40"),
        (np.zeros(40), MODELS[::-1], "models must go forward in time"),
    ],
)
def test_what_cannot_be_compared_is_refused(benchmark: Any, models: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        superior_predictive_ability(benchmark, models)
