from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dexml.features.rolling import asof, log_ratio, ratio, rolling_mean, rolling_std, student_cdf


@pytest.mark.parametrize("window", [1, 2, 20, 200])
def test_rolling_moments_equal_those_of_pandas(window: int) -> None:
    values = np.random.default_rng(0).normal(100, 1, 500)
    series = pd.Series(values).rolling(window)
    np.testing.assert_allclose(rolling_mean(values, window), series.mean(), rtol=1e-12)
    np.testing.assert_allclose(rolling_std(values, window), series.std(ddof=0), atol=1e-9)


@given(start=st.integers(0, 300), end=st.integers(301, 500))
def test_a_window_has_the_same_bits_wherever_history_starts_or_ends(start: int, end: int) -> None:
    values = np.random.default_rng(1).normal(100, 1, 500)
    whole, part = rolling_std(values, 20), rolling_std(values[start:end], 20)
    np.testing.assert_array_equal(part[19:], whole[start + 19 : end])


def test_a_history_shorter_than_the_window_is_unknown() -> None:
    assert np.isnan(rolling_mean(np.ones(3), 5)).all()


def test_student_distribution_equals_that_of_scipy() -> None:
    x = np.linspace(-30, 30, 2_001)
    np.testing.assert_allclose(student_cdf(x), stats.t(4).cdf(x), atol=1e-12)


def test_ratios_never_divide_by_zero_and_keep_the_unknown() -> None:
    nan = np.nan
    np.testing.assert_array_equal(
        ratio(np.array([1.0, 1.0, 1.0]), np.array([0.0, 4.0, nan]), 0.5), [0.5, 0.25, nan]
    )
    np.testing.assert_array_equal(
        log_ratio(np.array([1.0, 0.0, nan]), np.array([1.0, 1.0, 1.0])), [0.0, 0.0, nan]
    )


def test_asof_reads_the_last_value_at_or_before_the_instant() -> None:
    times = np.array(["2024-01-01", "2024-01-03"], dtype="datetime64[ns]")
    when = np.array(
        ["2023-12-31", "2024-01-01", "2024-01-02", "2024-01-09"], dtype="datetime64[ns]"
    )
    np.testing.assert_array_equal(asof(times, np.array([1.0, 2.0]), when), [np.nan, 1, 1, 2])
