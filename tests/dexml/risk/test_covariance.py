from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.covariance import ledoit_wolf as sklearn_ledoit_wolf

from dexml.errors import DataError
from dexml.risk.covariance import correlation_of, ewma_covariance, ledoit_wolf, sample_covariance

ALL: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sample": sample_covariance,
    "ewma": ewma_covariance,
    "constant correlation": lambda x: ledoit_wolf(x).covariance,
    "identity": lambda x: ledoit_wolf(x, "identity").covariance,
}


def moves(seed: int, n: int = 60, m: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    market = rng.standard_t(5, (n, 1)) * 0.01
    return (market + rng.standard_t(5, (n, m)) * 0.01) * rng.uniform(0.5, 3, m) + 0.001


def constant_correlation_by_hand(x: np.ndarray) -> tuple[np.ndarray, float]:
    """Return Ledoit and Wolf (2004a), appendix, sum by sum."""
    t, n = x.shape
    y = x - x.mean(axis=0)
    s = np.array(
        [[sum(y[k, i] * y[k, j] for k in range(t)) / t for j in range(n)] for i in range(n)]
    )
    r = np.array([[s[i, j] / np.sqrt(s[i, i] * s[j, j]) for j in range(n)] for i in range(n)])
    mean_r = 2 / ((n - 1) * n) * sum(r[i, j] for i in range(n - 1) for j in range(i + 1, n))
    f = np.array(
        [
            [s[i, i] if i == j else mean_r * np.sqrt(s[i, i] * s[j, j]) for j in range(n)]
            for i in range(n)
        ]
    )
    pi = rho = 0.0
    for i in range(n):
        for j in range(n):
            cross = y[:, i] * y[:, j] - s[i, j]
            pi_ij = np.mean(cross**2)
            pi += pi_ij
            theta_i = np.mean((y[:, i] ** 2 - s[i, i]) * cross)
            theta_j = np.mean((y[:, j] ** 2 - s[j, j]) * cross)
            both = np.sqrt(s[j, j] / s[i, i]) * theta_i + np.sqrt(s[i, i] / s[j, j]) * theta_j
            rho += pi_ij if i == j else mean_r / 2 * both
    gamma = ((f - s) ** 2).sum()
    delta = max(0.0, min(1.0, (pi - rho) / gamma / t))
    return delta * f + (1 - delta) * s, delta


@pytest.mark.parametrize(("n", "m"), [(60, 5), (8, 12), (400, 3)])
def test_the_constant_correlation_shrinkage_is_the_papers(n: int, m: int) -> None:
    found, expected = ledoit_wolf(moves(1, n, m)), constant_correlation_by_hand(moves(1, n, m))
    assert found.covariance == pytest.approx(expected[0], rel=1e-10)
    assert found.intensity == pytest.approx(expected[1], abs=1e-10)


@pytest.mark.parametrize(("n", "m"), [(60, 5), (8, 12), (400, 3)])
def test_the_identity_shrinkage_is_scikit_learns(n: int, m: int) -> None:
    found, expected = ledoit_wolf(moves(2, n, m), "identity"), sklearn_ledoit_wolf(moves(2, n, m))
    assert found.covariance == pytest.approx(expected[0], rel=1e-10)
    assert found.intensity == pytest.approx(expected[1], abs=1e-10)


def test_the_sample_and_the_weighted_covariance_are_those_of_numpy_and_pandas() -> None:
    x = moves(3)
    assert sample_covariance(x) == pytest.approx(np.cov(x.T), rel=1e-10)
    squares = pd.DataFrame({(i, j): x[:, i] * x[:, j] for i in range(5) for j in range(5)})
    expected = squares.ewm(alpha=0.06).mean().iloc[-1].to_numpy().reshape(5, 5)
    assert ewma_covariance(x, 0.94) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", ALL)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(1, 12), st.integers(-6, 6))
def test_every_covariance_is_symmetric_and_positive_semi_definite(
    name: str, seed: int, n: int, m: int, exponent: int
) -> None:
    x = moves(seed, n, m) * 10.0**exponent
    x[:, 0] = x[0, 0] if seed % 3 == 0 else x[:, -1]  # no variance, or a perfect twin
    found = ALL[name](x)
    assert (found == found.T).all()
    assert np.linalg.eigvalsh(found).min() >= -1e-12 * np.trace(found)


def test_shrinkage_is_nearer_to_the_truth_where_bars_are_few() -> None:
    truth = 0.0001 * (0.5 + 0.5 * np.eye(20)) * np.outer(*[np.linspace(1, 3, 20)] * 2)
    root = np.linalg.cholesky(truth)
    miss = {name: 0.0 for name in ALL}
    for seed in range(30):
        x = np.random.default_rng(seed).normal(size=(30, 20)) @ root.T
        for name, estimate in ALL.items():
            miss[name] += float(np.linalg.norm(estimate(x) - truth))
    assert miss["constant correlation"] < 0.97 * miss["sample"]


def test_one_instrument_has_its_variance() -> None:
    x = moves(4, m=1)
    for target in ("constant_correlation", "identity"):
        assert ledoit_wolf(x, target).covariance == pytest.approx(np.var(x))  # type: ignore[arg-type]


def test_instruments_that_do_not_move_have_no_covariance_and_no_correlation() -> None:
    still = np.zeros((20, 3))
    for estimate in ALL.values():
        assert (estimate(still) == 0).all()
        assert (correlation_of(estimate(still)) == np.eye(3)).all()


def test_correlations_are_those_of_numpy() -> None:
    x = moves(5)
    assert correlation_of(sample_covariance(x)) == pytest.approx(np.corrcoef(x.T), abs=1e-12)


@pytest.mark.parametrize("estimate", ALL.values(), ids=ALL)
def test_holes_and_single_bars_are_refused(estimate: Callable[[np.ndarray], np.ndarray]) -> None:
    holed = moves(6)
    holed[7, 2] = np.nan
    with pytest.raises(DataError, match="return 7 of column 2 must be finite, was nan"):
        estimate(holed)
    with pytest.raises(DataError, match=r"must have at least 2 rows and one column, was \(1, 5\)"):
        estimate(moves(6, n=1))


@pytest.mark.parametrize("decay", [0.0, 1.1, np.nan])
def test_a_decay_out_of_range_is_refused(decay: float) -> None:
    with pytest.raises(DataError, match=r"decay of the covariance must be in \(0, 1\]"):
        ewma_covariance(moves(0), decay)
