from __future__ import annotations

import json

import numpy as np
import pandas as pd

from dexml.ensemble import Bag, Stacker, expit, logit


def rows(n: int = 1_500, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    generator = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product(
        [pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC"), ["BTC/USDT", "ETH/USDT"]],
        names=["closed_at", "instrument"],
    )
    x = generator.normal(size=(2 * n, 2))
    y = (generator.random(2 * n) < expit(0.8 * x[:, 0] - 0.4 * x[:, 1])).astype(float)
    return pd.DataFrame(expit(x), index, ["a", "b"]), y


def test_a_bag_is_the_mean_of_stackers_and_near_the_one_of_all_rows() -> None:
    said, y = rows()
    bag, whole = Bag.fit(said, y, seed=1), Stacker.fit(said, y)
    parts = np.mean([logit(stacker.predict(said)) for stacker in bag.stackers], axis=0)
    np.testing.assert_allclose(logit(bag.predict(said)), parts, atol=1e-9)
    np.testing.assert_allclose(bag.predict(said), whole.predict(said), atol=0.03)
    weights = np.array([stacker.weights for stacker in bag.stackers])
    assert (weights.std(axis=0) > 0.01).all()  # each saw other blocks


def test_the_same_seed_draws_the_same_blocks() -> None:
    said, y = rows(400)
    assert Bag.fit(said, y, seed=3) == Bag.fit(said, y, seed=3) != Bag.fit(said, y, seed=4)


def test_all_rows_of_an_instant_are_drawn_together() -> None:
    said, y = rows(400)
    # the second instrument says the opposite of the first: only apart could either show
    told = said.assign(a=np.where(np.arange(800) % 2, 0.2, 0.8), b=0.5)
    opposite = np.where(np.arange(800) % 2, 1.0, 0.0)
    opposite[::97] = 1 - opposite[::97]
    base = [stacker.base for stacker in Bag.fit(told, opposite).stackers]
    np.testing.assert_allclose(expit(base), 0.5, atol=0.03)
    assert y.size == 800


def test_a_bag_survives_json() -> None:
    said, y = rows(300)
    bag = Bag.fit(said, y)
    again = Bag.from_dict(json.loads(json.dumps(bag.to_dict())))
    np.testing.assert_array_equal(again.predict(said), bag.predict(said))
    assert np.isnan(bag.predict(said.assign(a=np.nan, b=np.nan))).all()
