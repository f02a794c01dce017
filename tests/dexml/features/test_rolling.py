from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dexml.features.rolling import (
    asof,
    log_ratio,
    log_returns,
    ratio,
    rolling_max,
    rolling_mean,
    rolling_min,
    rolling_std,
    rolling_sum,
    student_cdf,
)


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
    times = np.array(["2024-01-01", "2024-01-03", "2024-01-09"], dtype="datetime64[ns]")
    shifts = [np.timedelta64(hours, "h") for hours in (-24 * 7, -24, 0, 24)]
    found = asof(times, np.array([1.0, 2.0, 3.0]), shifts)
    expected = [[np.nan, np.nan, 1], [np.nan, 1, 2], [1, 2, 3], [1, 2, 3]]
    np.testing.assert_array_equal(found, expected)


# Live rows stand side by side, each column an instrument with stamps of its own.
@given(seed=st.integers(0, 10_000), n=st.sampled_from([1, 2, 5]))
def test_live_rows_give_the_bits_that_the_series_gives(seed: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    values = generator.normal(100, 1, (60, n))
    step = generator.integers(1, 4, (60, n)).astype("timedelta64[h]")
    stamps = np.datetime64("2024-01-01", "ns") + np.cumsum(step, axis=0)
    shifts = [np.timedelta64(-hours, "h") for hours in (0, 5, 31, 400)]
    for k in range(n):
        own = np.ascontiguousarray(values[:, k])
        for study in (rolling_sum, rolling_mean, rolling_std, rolling_min, rolling_max):
            for window in (2, 7, 24):
                assert study(values, window)[0, k] == study(own, window)[-1]
        assert log_returns(values, 3)[0, k] == log_returns(own, 3)[-1]
        live, series = asof(stamps, values, shifts), asof(stamps[:, k], own, shifts)
        np.testing.assert_array_equal([one[0, k] for one in live], [one[-1] for one in series])
