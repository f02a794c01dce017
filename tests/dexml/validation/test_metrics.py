from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import spearmanr
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve as sklearn_curve

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


def test_a_perfectly_calibrated_forecast_has_no_calibration_error() -> None:
    assert metrics.calibration_error([1, 0, 1, 0], [0.5] * 4, n_bins=1) == 0.0


def test_calibration_is_that_of_scikit_learn_where_no_probability_repeats() -> None:
    curve = metrics.calibration_curve(Y, np.linspace(0.01, 0.99, 500), n_bins=10)
    observed, stated = sklearn_curve(
        Y, np.linspace(0.01, 0.99, 500), n_bins=10, strategy="quantile"
    )
    np.testing.assert_allclose(curve["observed"], observed, rtol=1e-12)
    np.testing.assert_allclose(curve["stated"], stated, rtol=1e-12)
    assert curve["n"].tolist() == [50] * 10
    expected = np.abs(observed - stated).mean()
    assert metrics.calibration_error(Y, np.linspace(0.01, 0.99, 500)) == pytest.approx(expected)


def test_calibration_does_not_depend_on_the_order_of_rows_that_say_the_same() -> None:
    # Half of them happen: the forecast is right, however its rows lie.
    assert metrics.calibration_error([1, 1, 0, 0], [0.5] * 4, n_bins=2) == 0.0
    assert len(metrics.calibration_curve([1, 1, 0, 0], [0.5] * 4, n_bins=2)) == 1


def test_bins_that_differ_in_size_count_by_their_rows() -> None:
    y, p = [1, 0, 0, 0, 0], [0.1, 0.1, 0.1, 0.1, 0.9]
    gap = (4 * abs(0.25 - 0.1) + 1 * abs(0.0 - 0.9)) / 5
    assert metrics.calibration_error(y, p, n_bins=2) == pytest.approx(gap, rel=1e-12)


def test_quantile_returns_are_those_of_pandas() -> None:
    forecasts, followed = RNG.normal(size=1_000), RNG.normal(size=1_000)
    expected = pd.Series(followed).groupby(pd.qcut(forecasts, 5, labels=False)).mean()
    found = metrics.quantile_returns(forecasts, followed)
    np.testing.assert_allclose(found["return"], expected, rtol=1e-12)
    assert found["n"].tolist() == [200] * 5
    assert found["forecast"].is_monotonic_increasing


def test_equal_forecasts_share_a_quantile() -> None:
    found = metrics.quantile_returns([0.5] * 6, np.arange(6.0), 3)
    assert found.to_numpy().tolist() == [[0.5, 2.5, 6.0]]


def test_what_has_no_partner_is_refused() -> None:
    with pytest.raises(DataError, match="forecasts and returns must have one shape"):
        metrics.information_coefficient([0.1, 0.2, 0.3], [1.0, 2.0])
    with pytest.raises(DataError, match="clusters must be given for each value, was 2 of 3"):
        metrics.clustered_standard_error([1.0, 2.0, 3.0], [0, 1])
    with pytest.raises(DataError, match="clusters must be at least two"):
        metrics.clustered_standard_error([1.0, 2.0], [0, 0])
    with pytest.raises(DataError, match="bins must be at least 1"):
        metrics.calibration_error([1, 0], [0.5, 0.5], n_bins=0)


def test_a_sure_forecast_that_is_wrong_costs_much_but_not_everything() -> None:
    assert metrics.log_loss([1, 0], [0.0, 1.0]) == pytest.approx(-np.log(1e-15), rel=1e-3)


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
