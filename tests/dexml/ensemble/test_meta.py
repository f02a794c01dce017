from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from dexml.ensemble import Ensemble, Meta, Stacker, choose, expit, logit
from dexml.errors import ConfigError, ModelError
from dexml.validation.metrics import log_loss
from dexml.validation.splits import block_splits

N = 3_000


def market(seed: int = 0, moves: bool = True) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Two members: one knows in calm hours, the other in wild ones, if `moves`; else both do."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(N, 2))
    calm = np.sign(generator.normal(size=N))
    trust = np.column_stack([1 + calm, 1 - calm]) if moves else np.ones((N, 2))
    truth = expit((trust * x).sum(axis=1))
    stamps = pd.date_range("2024-01-01", periods=N, freq="h", tz="UTC")
    index = pd.MultiIndex.from_product([stamps, ["BTC/USDT"]], names=["closed_at", "instrument"])
    said = pd.DataFrame(expit(x), index, ["a", "b"]).assign(calm=calm)
    return said, (generator.random(N) < truth).astype(float), truth


def cuts(said: pd.DataFrame) -> list:
    return block_splits(said.index.get_level_values("closed_at"), 5, pd.Timedelta(hours=24))


@pytest.mark.parametrize("penalty", [1.0, 30.0])
def test_the_weights_are_those_of_scikit_learn(penalty: float) -> None:
    said, y, _ = market()
    y = np.where(np.arange(N) % 11, y, np.nan)  # without a label a row does not count
    meta = Meta.fit(said[["a", "b"]], y, said[["calm"]], penalty=penalty)
    known = np.isfinite(y)
    z = (said["calm"][known] - said["calm"][known].mean()) / said["calm"][known].std(ddof=0)
    base = logit([y[known].mean()])[0]
    x = [logit(said[name][known]) - base for name in ("a", "b")]
    terms = np.column_stack([x[0], x[0] * z, x[1], x[1] * z])
    oracle = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000).fit(terms, y[known])
    np.testing.assert_allclose(np.ravel(meta.weights), oracle.coef_[0], rtol=1e-4)
    assert meta.intercept == pytest.approx(oracle.intercept_[0], abs=1e-4)
    np.testing.assert_allclose(
        meta.predict(said[known]), oracle.predict_proba(terms)[:, 1], rtol=1e-4
    )


@given(seed=st.integers(0, 50), prior=st.sampled_from([0.0, 0.5]))
@settings(max_examples=15, deadline=None)
def test_without_a_context_that_varies_it_is_the_stacker(seed: int, prior: float) -> None:
    said, y, _ = market(seed)
    meta = Meta.fit(said[["a", "b"]], y, said[["calm"]] * 0.0, prior=prior)
    stacker = Stacker.fit(said[["a", "b"]], y, prior=prior)
    np.testing.assert_allclose(meta.predict(said), stacker.predict(said), rtol=1e-9)


def test_a_great_penalty_leaves_the_mean_log_odds() -> None:
    said, y, _ = market()
    meta = Meta.fit(said[["a", "b"]], y, said[["calm"]], penalty=1e12, prior=0.5)
    expected = meta.intercept - meta.base + logit(said[["a", "b"]]).mean(axis=1)
    np.testing.assert_allclose(logit(meta.predict(said)), expected, atol=1e-6)


def test_it_is_chosen_where_the_regime_says_whom_to_believe_and_only_there() -> None:
    said, y, truth = market()
    chosen = choose(said[["a", "b"]], y, cuts(said), context=said[["calm"]])
    assert chosen.ensemble.combiner.kind == "meta"
    assert set(chosen.ensemble.losses) == {"stacking", "weighted_vote", "bagging", "meta"}
    assert log_loss(y, chosen.forecasts) - log_loss(y, truth) < 0.01
    assert chosen.ensemble.losses["stacking"] - chosen.ensemble.losses["meta"] > 0.05
    said, y, _ = market(moves=False)
    plain = choose(said[["a", "b"]], y, cuts(said), context=said[["calm"]])
    assert plain.ensemble.combiner.kind == "stacking"


def test_no_forecast_saw_its_own_block() -> None:
    said, y, _ = market()
    splits = cuts(said)
    lied = y.copy()
    lied[splits[2].test] = 1 - lied[splits[2].test]
    one, two = (
        Meta.fit(
            *(part.iloc[splits[2].train] for part in (said[["a", "b"]], labels, said[["calm"]]))
        )
        for labels in (pd.Series(y), pd.Series(lied))
    )
    assert one == two
    forecasts = choose(said[["a", "b"]], y, splits, "meta", context=said[["calm"]]).forecasts
    again = choose(said[["a", "b"]], lied, splits, "meta", context=said[["calm"]]).forecasts
    rank = np.argsort(np.argsort(forecasts[splits[2].test]))
    np.testing.assert_array_equal(rank, np.argsort(np.argsort(again[splits[2].test])))
    assert not np.allclose(forecasts[splits[0].test], again[splits[0].test])


def test_missing_members_and_missing_context_leave_the_rest_speaking() -> None:
    said, y, _ = market()
    meta = Meta.fit(said[["a", "b"]], y, said[["calm"]])
    alone = meta.predict(said.assign(b=np.nan))
    np.testing.assert_array_equal(alone, meta.predict(said[["a", "calm"]]))
    assert np.isfinite(alone).all()
    unknown = meta.predict(said.assign(calm=np.nan))
    np.testing.assert_array_equal(unknown, meta.predict(said[["a", "b"]]))
    np.testing.assert_array_equal(unknown, meta.predict(said.assign(calm=meta.centres[0])))
    assert np.isfinite(meta.predict(said.assign(calm=1e300))).all()
    assert np.isnan(meta.predict(said.assign(a=np.nan, b=np.nan))).all()
    holes = said.mask(np.random.default_rng(1).random(said.shape) < 0.3)
    with_holes = Meta.fit(holes[["a", "b"]], y, holes[["calm"]])
    assert log_loss(y, with_holes.predict(said)) < log_loss(y, np.full(N, y.mean())) - 0.1


def test_a_row_has_the_same_bits_alone_and_after_json_and_shares_are_its_terms() -> None:
    said, y, _ = market()
    meta = Meta.fit(said[["a", "b"]], y, said[["calm"]])
    ensemble = Ensemble(combiner=meta)
    assert ensemble.columns == ("calm",)
    again = Ensemble.from_dict(json.loads(json.dumps(ensemble.to_dict())))
    whole = again.predict(said)
    np.testing.assert_array_equal(whole, ensemble.predict(said))
    assert again.predict(said.iloc[7:8])[0] == whole[7]
    shares = ensemble.shares(said)
    assert list(shares) == ["a", "b"]
    np.testing.assert_allclose(shares.sum(axis=1) + meta.intercept, logit(whole), atol=1e-9)


def test_what_cannot_be_learnt_from_is_refused() -> None:
    said, y, _ = market()
    with pytest.raises(ModelError, match="must hold both classes"):
        Meta.fit(said[["a"]], y * 0, said[["calm"]])
    with pytest.raises(ModelError, match="member a must have forecasts"):
        Meta.fit(said[["a"]] * np.nan, y, said[["calm"]])
    with pytest.raises(ConfigError, match="must be one of stacking, weighted_vote, bagging, was"):
        choose(said[["a", "b"]], y, cuts(said), "meta")
