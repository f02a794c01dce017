from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from dexml.ensemble import Isotonic, Platt, expit, fit_calibrator, logit
from dexml.ensemble.calibration import CALIBRATORS, LEAST_IN_STEP, MANY_ROWS
from dexml.validation.metrics import calibration_error


def sure_of_itself(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=n)
    return expit(2 * x), (generator.random(n) < expit(0.5 * x + 0.3)).astype(float)


def test_platts_line_is_that_of_logistic_regression() -> None:
    p, y = sure_of_itself(50_000)
    expected = LogisticRegression(C=np.inf, tol=1e-10).fit(logit(p)[:, None], y)
    found = Platt.fit(p, y)
    assert found.slope == pytest.approx(expected.coef_[0, 0], abs=2e-4)
    assert found.intercept == pytest.approx(expected.intercept_[0], abs=2e-4)


@pytest.mark.parametrize("n", [2_000, MANY_ROWS])
def test_new_forecasts_come_true_as_often_as_they_say(n: int) -> None:
    calibrate = fit_calibrator(*sure_of_itself(n))
    assert calibrate.kind == ("isotonic" if n == MANY_ROWS else "platt")
    p, y = sure_of_itself(40_000, seed=1)
    assert calibration_error(y, calibrate(p)) < 0.03 < calibration_error(y, p)


def test_forecasts_that_point_the_wrong_way_become_the_base_rate() -> None:
    p, y = sure_of_itself(2_000)
    assert np.ptp(Platt.fit(1 - p, y)(p)) == 0
    assert Platt.fit(1 - p, y)(p)[0] == pytest.approx(y.mean())


def test_no_step_of_an_isotonic_line_rests_on_a_handful() -> None:
    p, y = sure_of_itself(MANY_ROWS)
    assert len(Isotonic.fit(p, y).said) == MANY_ROWS // LEAST_IN_STEP


@given(st.integers(0, 30), st.sampled_from(sorted(CALIBRATORS)))
def test_order_is_kept_nan_stays_and_json_keeps_every_bit(seed: int, kind: str) -> None:
    p, y = sure_of_itself(500, seed)
    calibrate = CALIBRATORS[kind].fit(p, y)
    line = calibrate(np.linspace(0.001, 0.999, 200))
    assert (np.diff(line) >= 0).all()
    assert np.isnan(calibrate([np.nan])).all()
    again = CALIBRATORS[kind].from_dict(json.loads(json.dumps(calibrate.to_dict())))
    np.testing.assert_array_equal(again(p), calibrate(p))
