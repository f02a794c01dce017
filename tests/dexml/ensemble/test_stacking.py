from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from dexml.ensemble import Stacker, expit, logit, weighted_vote
from dexml.errors import ModelError
from dexml.validation.metrics import calibration_error, log_loss


def informed(n: int = 4_000, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=n), rng.normal(size=n)
    truth = expit(0.8 * a - 0.5 * b + 0.2)
    members = pd.DataFrame({"a": expit(0.4 * a), "b": expit(b), "noise": expit(rng.normal(size=n))})
    return members, (rng.random(n) < truth).astype(float), truth


def test_weights_are_those_of_logistic_regression_when_the_penalty_vanishes() -> None:
    members, y, _ = informed()
    stacker = Stacker.fit(members, y, penalty=1e-9)
    design = sm.add_constant(members.apply(lambda p: logit(p) - stacker.base).to_numpy())
    expected = sm.Logit(y, design).fit(disp=0).params
    found = [stacker.intercept, *stacker.weights]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert stacker.weights[1] < 0


def test_the_stack_is_calibrated_and_near_the_truth_on_new_rows() -> None:
    members, y, _ = informed()
    stacker = Stacker.fit(members, y)
    fresh, labels, truth = informed(20_000, seed=1)
    p = stacker.predict(fresh)
    assert log_loss(labels, p) - log_loss(labels, truth) < 0.002
    assert calibration_error(labels, p) < 0.02


def test_a_heavy_penalty_leaves_the_base_rate() -> None:
    members, y, _ = informed()
    p = Stacker.fit(members, y, penalty=1e12).predict(members)
    np.testing.assert_allclose(p, y.mean(), atol=1e-6)


def test_a_heavy_penalty_leaves_the_mean_of_members_that_begin_equal() -> None:
    members, y, _ = informed()
    stacker = Stacker.fit(members, y, penalty=1e12, prior=1 / 3)
    np.testing.assert_allclose(stacker.weights, 1 / 3, atol=1e-6)


def test_few_rows_leave_a_good_member_nearly_as_it_is() -> None:
    _, y, truth = informed(60)
    told = pd.DataFrame({"told": expit(0.3 * logit(truth))})
    weights = [Stacker.fit(told, y, prior=prior).weights[0] for prior in (0.0, 1.0)]
    assert weights[0] < 0.5 < 0.8 < weights[1]


def test_noise_alone_is_shrunk_to_almost_the_base_rate() -> None:
    rng = np.random.default_rng(5)
    members = pd.DataFrame({"noise": expit(rng.normal(0, 0.1, 3_000))})
    y = (rng.random(3_000) < 0.5).astype(float)
    assert np.std(Stacker.fit(members, y).predict(members)) < 0.02


def test_a_missing_member_counts_as_the_base_rate() -> None:
    members, y, _ = informed()
    stacker = Stacker.fit(members, y)
    silent = members.assign(b=np.nan)
    at_base = members.assign(b=expit([stacker.base])[0])
    np.testing.assert_allclose(stacker.predict(silent), stacker.predict(at_base), atol=1e-12)
    np.testing.assert_array_equal(
        stacker.predict(silent), stacker.predict(members.drop(columns="b"))
    )
    assert np.isnan(stacker.predict(members[[]])).all()


@given(st.integers(0, 3_999), st.integers(1, 7))
def test_a_row_has_the_same_bits_alone_and_in_a_batch(row: int, length: int) -> None:
    few = MEMBERS.iloc[row : row + length]
    np.testing.assert_array_equal(STACKER.predict(few), WHOLE[row : row + length])


def test_json_keeps_every_bit() -> None:
    again = Stacker.from_dict(json.loads(json.dumps(STACKER.to_dict())))
    assert again == STACKER


def test_rows_without_a_label_are_left_out() -> None:
    members, y, _ = informed(500)
    extended = pd.concat([members, members.iloc[:5]], ignore_index=True)
    assert Stacker.fit(extended, [*y, *[np.nan] * 5]) == Stacker.fit(members, y)


def test_what_cannot_be_stacked_is_refused() -> None:
    members, y, _ = informed(50)
    with pytest.raises(ModelError, match="both classes"):
        Stacker.fit(members, np.ones(50))
    with pytest.raises(ModelError, match="member b must have forecasts"):
        Stacker.fit(members.assign(b=np.nan), y)


def test_a_vote_weighs_only_those_that_spoke() -> None:
    said = pd.DataFrame({"a": [0.9, np.nan, np.nan], "b": [0.3, 0.3, np.nan]})
    np.testing.assert_allclose(weighted_vote(said, {"a": 2.0, "b": 1.0}), [0.7, 0.3, np.nan])
    with pytest.raises(ModelError, match="must be at least 0"):
        weighted_vote(said, {"a": -1.0})


MEMBERS, LABELS, _ = informed()
STACKER = Stacker.fit(MEMBERS, LABELS)
WHOLE = STACKER.predict(MEMBERS)
