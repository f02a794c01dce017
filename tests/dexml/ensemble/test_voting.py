from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from dexml.ensemble import Vote
from dexml.errors import ModelError


def mixed(n: int = 3_000, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    generator = np.random.default_rng(seed)
    said = pd.DataFrame(generator.uniform(0.05, 0.95, (n, 3)), columns=["a", "b", "c"])
    truth = 0.6 * said["a"] + 0.3 * said["b"] + 0.1 * said["c"]
    return said, (generator.random(n) < truth).astype(float)


def test_the_weights_are_those_of_the_greatest_likelihood() -> None:
    said, y = mixed()

    def loss(free: np.ndarray) -> float:
        weights = np.exp(free) / np.exp(free).sum()
        p = said.to_numpy() @ weights
        return float(-np.log(np.where(y > 0, p, 1 - p)).mean())

    found = minimize(loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 0})
    expected = np.exp(found.x) / np.exp(found.x).sum()
    np.testing.assert_allclose(Vote.fit(said, y).weights, expected, atol=2e-4)


def test_those_who_are_silent_leave_their_weight_to_the_others() -> None:
    said, y = mixed()
    vote = Vote.fit(said, y)
    a, b, _ = vote.weights
    alone = vote.predict(said.assign(c=np.nan))
    np.testing.assert_allclose(alone, (a * said["a"] + b * said["b"]) / (a + b))
    np.testing.assert_array_equal(alone, vote.predict(said.drop(columns="c")))
    assert np.isnan(vote.predict(said[[]])).all()


def test_a_vote_survives_json_and_refuses_one_class() -> None:
    said, y = mixed(200)
    vote = Vote.fit(said, y)
    assert Vote.from_dict(json.loads(json.dumps(vote.to_dict()))) == vote
    with pytest.raises(ModelError, match="both classes"):
        Vote.fit(said, np.zeros(200))
