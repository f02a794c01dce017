from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from dexml.ensemble import COMBINERS, Ensemble, choose, expit, logit
from dexml.errors import ConfigError
from dexml.validation.metrics import log_loss
from dexml.validation.splits import block_splits

N = 3_000


def panel(values: np.ndarray, names: list[str]) -> pd.DataFrame:
    stamps = pd.date_range("2024-01-01", periods=len(values), freq="h", tz="UTC")
    index = pd.MultiIndex.from_product([stamps, ["BTC/USDT"]], names=["closed_at", "instrument"])
    return pd.DataFrame(values, index, names)


def evidence(seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Two members that each know a part: log-odds add."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(N, 2))
    truth = expit(x.sum(axis=1))
    return panel(expit(x), ["a", "b"]), (generator.random(N) < truth).astype(float), truth


def opinions(seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Either of two members knows, and nobody knows which: probabilities mix."""
    generator = np.random.default_rng(seed)
    said = generator.choice([0.001, 0.999], size=(N, 2))
    right = np.where(generator.random(N) < 0.7, said[:, 0], said[:, 1])
    return panel(said, ["a", "b"]), (generator.random(N) < right).astype(float)


def splits(oof: pd.DataFrame) -> list:
    return block_splits(oof.index.get_level_values("closed_at"), 5, pd.Timedelta(hours=24))


def test_evidence_is_stacked_and_the_stack_is_near_the_truth() -> None:
    said, y, truth = evidence()
    chosen = choose(said, y, splits(said))
    assert chosen.ensemble.combiner.kind == "stacking"
    assert log_loss(y, chosen.forecasts) - log_loss(y, truth) < 0.01
    assert set(chosen.ensemble.losses) == {"stacking", "weighted_vote", "bagging"}


def test_opinions_are_voted_on() -> None:
    said, y = opinions()
    losses = choose(said, y, splits(said)).ensemble.losses
    assert min(losses, key=losses.__getitem__) == "weighted_vote"
    assert choose(said, y, splits(said)).ensemble.combiner.kind == "weighted_vote"


def test_a_way_that_is_asked_for_is_taken_and_an_unknown_one_refused() -> None:
    said, y, _ = evidence()
    for method in COMBINERS:
        chosen = choose(said, y, splits(said), method, context=0 * said.add_prefix("x"))
        assert chosen.ensemble.combiner.kind == method
        assert list(chosen.ensemble.losses) == [method]
    with pytest.raises(ConfigError, match="must be one of stacking, weighted_vote, bagging"):
        choose(said, y, splits(said), "prayer")


def test_no_forecast_saw_its_own_block() -> None:
    said, y, _ = evidence()
    cuts = splits(said)
    forecasts = choose(said, y, cuts).forecasts
    lied = y.copy()
    lied[cuts[2].test] = 1 - lied[cuts[2].test]
    again = choose(said, lied, cuts, choose(said, y, cuts).ensemble.combiner.kind).forecasts
    # other blocks learnt from the lie, the block itself did not, but for the calibrator's choice
    rank = np.argsort(np.argsort(forecasts[cuts[2].test]))
    np.testing.assert_array_equal(rank, np.argsort(np.argsort(again[cuts[2].test])))
    assert not np.allclose(forecasts[cuts[0].test], again[cuts[0].test])


def test_the_shares_of_a_stack_are_its_terms_and_add_up() -> None:
    said, y, _ = evidence()
    ensemble = Ensemble(combiner=choose(said, y, splits(said), "stacking").ensemble.combiner)
    stacker = ensemble.combiner
    shares = ensemble.shares(said)
    term = stacker.weights[0] * (logit(said["a"]) - stacker.base)  # type: ignore[attr-defined]
    np.testing.assert_allclose(shares["a"], term, atol=1e-9)
    total = shares.sum(axis=1) + stacker.intercept  # type: ignore[attr-defined]
    np.testing.assert_allclose(total, logit(ensemble.predict(said)), atol=1e-9)
    assert (ensemble.shares(said.drop(columns="b"))["b"] == 0).all()


@pytest.mark.parametrize("method", sorted(COMBINERS))
def test_an_ensemble_survives_json_and_a_silent_member(method: str) -> None:
    said, y, _ = evidence()
    context = 0 * said.add_prefix("x")
    ensemble = choose(said, y, splits(said), method, context=context).ensemble
    again = Ensemble.from_dict(json.loads(json.dumps(ensemble.to_dict())))
    np.testing.assert_array_equal(again.predict(said), ensemble.predict(said))
    lonely = ensemble.predict(said.assign(b=np.nan))
    assert np.isfinite(lonely).all()
    assert ((lonely > 0) & (lonely < 1)).all()
    assert np.isnan(ensemble.predict(said.assign(a=np.nan, b=np.nan))).all()
