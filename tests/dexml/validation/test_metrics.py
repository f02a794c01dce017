from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn import metrics as sklearn_metrics

from dexml.errors import DataError
from dexml.validation import metrics

RNG = np.random.default_rng(1)
Y = (RNG.random(500) < 0.4).astype(float)
P = np.clip(RNG.normal(0.4 + 0.1 * Y, 0.1), 0.01, 0.99)


def test_scores_are_those_of_scikit_learn() -> None:
    assert metrics.log_loss(Y, P) == pytest.approx(sklearn_metrics.log_loss(Y, P), rel=1e-12)
    assert metrics.brier_score(Y, P) == pytest.approx(sklearn_metrics.brier_score_loss(Y, P))
    assert metrics.accuracy(Y, P) == sklearn_metrics.accuracy_score(Y, P > 0.5)


def test_rank_correlation_is_that_of_scipy_with_ties_too() -> None:
    tied = np.round(P, 1)
    expected = spearmanr(tied, Y).statistic
    assert metrics.information_coefficient(tied, Y) == pytest.approx(expected, rel=1e-12)
    assert metrics.information_coefficient(np.ones(3), [1.0, 2.0, 3.0]) == 0.0


def test_clustered_error_is_that_of_statsmodels() -> None:
    groups = np.repeat(np.arange(100), 5)
    values = RNG.normal(size=100)[groups] + 0.1 * RNG.normal(size=500)
    fit = sm.OLS(values, np.ones(500)).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}
    )
    expected = fit.bse[0] * np.sqrt(100 / 99)
    assert metrics.clustered_standard_error(values, groups) == pytest.approx(expected, rel=1e-9)


def test_five_copies_of_each_draw_are_no_more_certain_than_one() -> None:
    draws = RNG.normal(size=200)
    alone = metrics.clustered_standard_error(draws, np.arange(200))
    copied = metrics.clustered_standard_error(np.repeat(draws, 5), np.repeat(np.arange(200), 5))
    assert copied == pytest.approx(alone, rel=1e-12)
    assert alone == pytest.approx(np.std(draws, ddof=1) / np.sqrt(200), rel=1e-12)


@given(st.lists(st.floats(1.0, 100.0), min_size=1, max_size=30))
def test_drawdown_is_the_worst_pair_of_peak_and_later_value(equity: list[float]) -> None:
    pairs = [(equity[i], equity[j]) for i in range(len(equity)) for j in range(i, len(equity))]
    expected = max(1 - later / peak for peak, later in pairs)
    assert metrics.max_drawdown(equity) == pytest.approx(expected, abs=1e-12)


def test_returns_that_do_not_vary_have_no_sharpe_ratio() -> None:
    assert metrics.sharpe_ratio(np.full(10, 0.01)) == 0.0
    assert metrics.sharpe_ratio([0.01]) == 0.0


def test_hourly_returns_are_annualised_by_their_number_in_a_year() -> None:
    r = RNG.normal(0.001, 0.01, 300)
    assert metrics.sharpe_ratio(r) == pytest.approx(r.mean() / r.std(ddof=1) * 8760**0.5)


def test_a_perfectly_calibrated_forecast_has_no_calibration_error() -> None:
    assert metrics.calibration_error([1, 0, 1, 0], [0.5] * 4, n_bins=1) == 0.0


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([1.0, np.nan], [0.5, 0.5], "labels must be given and finite, was 1 missing of 2"),
        ([1.0], [0.5, 0.5], "must have one shape"),
        ([2.0], [0.5], "labels must be 0 or 1"),
        ([1.0], [1.5], r"must lie in \[0, 1\]"),
        ([], [], "must be given"),
    ],
)
def test_what_cannot_be_scored_is_refused(y: list[float], p: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        metrics.log_loss(y, p)
