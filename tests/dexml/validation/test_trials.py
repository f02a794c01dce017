from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, silhouette_samples

from dexml.errors import DataError
from dexml.validation.significance import (
    deflated_sharpe_ratio,
    probabilistic_sharpe_ratio,
    sharpe_moments,
)
from dexml.validation.trials import cluster_trials, deflate, silhouettes


def families(sizes: tuple[int, ...], rho: float, n_bars: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n_bars, len(sizes)))[:, np.repeat(np.arange(len(sizes)), sizes)]
    return np.sqrt(rho) * common + np.sqrt(1 - rho) * rng.normal(size=common.shape)


def test_silhouettes_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(40, 3)), rng.integers(4, size=40)
    labels[7] = 9  # alone
    np.testing.assert_allclose(
        silhouettes(points, labels), silhouette_samples(points, labels), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("sizes", [(5, 5), (6, 6, 6), (3, 5, 9, 12), (4, 4, 4, 4, 4, 4)])
def test_families_of_trials_are_found(sizes: tuple[int, ...]) -> None:
    returns = families(sizes, rho=0.7, n_bars=1_000, seed=len(sizes))
    order = np.random.default_rng(1).permutation(sum(sizes))
    labels = cluster_trials(np.corrcoef(returns[:, order].T))
    truth = np.repeat(np.arange(len(sizes)), sizes)[order]
    assert adjusted_rand_score(truth, labels) == 1.0


def test_clusters_are_numbered_by_their_first_trial_and_need_no_seed() -> None:
    correlation = np.corrcoef(families((4, 4, 4), 0.8, 500, seed=3).T)
    assert cluster_trials(correlation).tolist() == [0] * 4 + [1] * 4 + [2] * 4
    np.testing.assert_array_equal(cluster_trials(correlation), cluster_trials(correlation))


def test_families_are_found_whatever_their_sizes_and_likeness() -> None:
    rng, reached = np.random.default_rng(0), []
    for seed in range(25):
        sizes = rng.integers(3, 9, size=rng.integers(3, 8))
        blocks = [
            families((n,), rng.uniform(0.4, 0.9), 1_500, 100 * seed + number)
            for number, n in enumerate(sizes)
        ]
        labels = cluster_trials(np.corrcoef(np.hstack(blocks).T))
        reached.append(adjusted_rand_score(np.repeat(np.arange(len(sizes)), sizes), labels))
    assert np.mean(reached) > 0.97


def test_independent_trials_are_never_taken_for_a_few() -> None:
    # Silhouettes cannot tell all alone from small groups, hence a verdict by the raw count.
    noise = np.random.default_rng(0).normal(size=(1_000, 50))
    assert 10 <= len(set(cluster_trials(np.corrcoef(noise.T)))) < 50


def test_copies_are_one_trial_and_two_trials_are_two() -> None:
    assert set(cluster_trials(np.ones((6, 6)))) == {0}
    assert cluster_trials(np.eye(1)).tolist() == [0]
    assert cluster_trials(np.array([[1.0, 0.4], [0.4, 1.0]])).tolist() == [0, 1]
    pair = np.array([[1.0, 0.0, 0.9], [0.0, 1.0, 0.0], [0.9, 0.0, 1.0]])
    assert cluster_trials(pair).tolist() == [0, 1, 0]


def test_the_two_counts_deflate_as_the_formula_says() -> None:
    returns = families((5, 5, 5), 0.8, 800, seed=6) * 0.01 + 0.0006
    found = deflate(returns, chosen=7)
    sharpes = [sharpe_moments(one).sharpe for one in returns.T]
    one = sharpe_moments(returns[:, 7])
    rest = (one.skewness, one.kurtosis)
    variance = np.var(sharpes, ddof=1)
    assert (found.n_trials, found.n_effective) == (15, 3)
    assert found.variance == pytest.approx(variance, rel=1e-12)
    assert found.raw == pytest.approx(
        deflated_sharpe_ratio(one.sharpe, 800, 15, variance, *rest), rel=1e-12
    )
    groups = [returns[:, rows : rows + 5] for rows in (0, 5, 10)]
    weighed = [group @ (1 / group.var(axis=0, ddof=1)) for group in groups]
    spread = np.var([one.mean() / one.std(ddof=1) for one in weighed], ddof=1)
    assert found.effective_variance == pytest.approx(spread, rel=1e-9)
    assert found.effective == pytest.approx(
        deflated_sharpe_ratio(one.sharpe, 800, 3, spread, *rest), rel=1e-9
    )


def test_one_trial_is_not_deflated() -> None:
    returns = np.random.default_rng(7).normal(0.05, 1.0, size=(300, 1))
    one = sharpe_moments(returns[:, 0])
    expected = probabilistic_sharpe_ratio(one.sharpe, 300, one.skewness, one.kurtosis)
    found = deflate(returns, 0)
    assert found.raw == found.effective == pytest.approx(expected, rel=1e-12)
    assert (found.variance, found.effective_variance) == (0.0, 0.0)


def test_the_best_of_noise_is_seen_through_by_the_raw_count() -> None:
    rng, passed = np.random.default_rng(8), 0
    for _ in range(60):
        noise = rng.normal(size=(250, 12))
        best = int(np.argmax(noise.mean(axis=0) / noise.std(axis=0)))
        passed += deflate(noise, best).raw > 0.95
    assert passed <= 6


def test_trials_that_never_traded_count_as_trials() -> None:
    rng = np.random.default_rng(9)
    busy = rng.normal(0.05, 1.0, size=(400, 3))
    found = deflate(np.c_[busy, np.zeros((400, 2))], 0)
    assert found.n_trials == 5
    sharpes = [*(sharpe_moments(one).sharpe for one in busy.T), 0.0, 0.0]
    assert found.variance == pytest.approx(np.var(sharpes, ddof=1), rel=1e-12)
    with pytest.raises(DataError, match="returns must vary, was 0 throughout"):
        deflate(np.c_[busy, np.zeros((400, 2))], 4)


@pytest.mark.parametrize("chosen", [-1, 3])
def test_a_trial_that_is_not_there_cannot_be_chosen(chosen: int) -> None:
    with pytest.raises(DataError, match=rf"chosen must be a column, 0\.\.2, was {chosen}"):
        deflate(np.random.default_rng(0).normal(size=(50, 3)), chosen)


@pytest.mark.parametrize(
    "correlation",
    [
        np.ones((2, 3)),
        np.array([[1.0, 0.5], [0.2, 1.0]]),
        np.array([[1.0, 1.5], [1.5, 1.0]]),
        np.array([[0.9, 0.5], [0.5, 0.9]]),
    ],
)
def test_what_is_no_correlation_is_refused(correlation: np.ndarray) -> None:
    with pytest.raises(DataError, match="correlation must be symmetric"):
        cluster_trials(correlation)
