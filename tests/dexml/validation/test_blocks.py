from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import optimal_block_length as block_length_of_arch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from dexml.errors import DataError
from dexml.validation.blocks import optimal_block_length, resampled_positions
from tests.dexml.validation.simulated import autoregressive


@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.3, 0.7, 0.95])
@pytest.mark.parametrize("n", [50, 500, 3_000])
def test_the_length_is_that_of_arch(phi: float, n: int) -> None:
    series = autoregressive(n, phi, seed=n)
    expected = float(block_length_of_arch(series)["stationary"].iloc[0])
    assert optimal_block_length(series) == pytest.approx(max(1.0, expected), rel=1e-9)


def test_the_length_of_an_autoregression_nears_its_closed_form() -> None:
    # Patton, Politis and White (2009): (2 phi / (1 - phi^2))^(2/3) n^(1/3).
    n, phi = 10_000, 0.7
    found = [optimal_block_length(autoregressive(n, phi, seed)) for seed in range(10)]
    assert np.mean(found) == pytest.approx((2 * phi / (1 - phi**2)) ** (2 / 3) * n ** (1 / 3), 0.08)


def test_the_length_is_bounded_and_does_not_depend_on_the_unit() -> None:
    back_and_forth = np.diff(np.random.default_rng(0).normal(size=401))
    assert optimal_block_length(back_and_forth) == 60.0  # 3 sqrt(n)
    assert optimal_block_length(back_and_forth[:25]) == 9.0  # n / 3, rounded up
    series = autoregressive(300, 0.5, 1)
    assert optimal_block_length(1e-6 * series + 7) == pytest.approx(optimal_block_length(series))


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ([1.0] * 30, "series must vary, was 1 throughout"),
        ([1.0] * 19, "series must hold at least 20, was 19"),
        ([*range(30), np.nan], "series must be given and finite"),
    ],
)
def test_a_series_that_says_nothing_is_refused(series: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        optimal_block_length(series)


@given(n=st.integers(1, 200), length=st.floats(1.0, 300.0), seed=st.integers(0, 99))
def test_a_resample_has_as_many_rows_all_of_the_table(n: int, length: float, seed: int) -> None:
    rows = resampled_positions(n, length, np.random.default_rng(seed))
    assert len(rows) == n
    assert rows.min() >= 0
    assert rows.max() < n


@pytest.mark.parametrize("length", [1.0, 5.0, 40.0])
def test_blocks_are_as_long_as_asked_and_begin_anywhere(length: float) -> None:
    n, generator = 97, np.random.default_rng(0)
    drawn = np.array([resampled_positions(n, length, generator) for _ in range(4_000)])
    follows = (np.diff(drawn, axis=1) % n == 1).mean()
    p = 1 / length
    assert follows == pytest.approx((1 - p) + p / n, abs=0.004)  # by chance in one of n
    starts = np.bincount(drawn[:, 0], minlength=n)
    assert chisquare(starts).pvalue > 1e-3
    everywhere = np.bincount(drawn[:, 50], minlength=n)
    assert chisquare(everywhere).pvalue > 1e-3
