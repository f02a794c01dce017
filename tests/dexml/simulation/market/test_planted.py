from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dexml.domain import Target
from dexml.simulation.market import NUISANCE, MarketConfig, PlantedMarket, plant


@cache
def market(bayes_accuracy: float = 0.70, seed: int = 0) -> PlantedMarket:
    return plant(MarketConfig(bayes_accuracy=bayes_accuracy, seed=seed))


def fingerprint(planted: PlantedMarket) -> str:
    digest = hashlib.sha256(planted.truth.to_numpy().tobytes())
    for bars in planted.history.bars.values():
        digest.update(bars.frame().to_csv().encode())
    digest.update(planted.history.news.to_csv().encode())
    digest.update(planted.history.macro.to_csv().encode())
    return digest.hexdigest()


def outcomes(planted: PlantedMarket, target: Target) -> pd.Series:
    columns = {}
    for name, bars in planted.history.bars.items():
        value = {
            Target.DIRECTION: pd.Series(bars.close),
            Target.VOLUME: pd.Series(bars.volume),
            Target.VOLATILITY: pd.Series(bars.close).rolling(20).std(),
        }[target]
        rises = (value.shift(-1) > value).where(value.notna() & value.shift(-1).notna())
        columns[name] = rises.set_axis(pd.DatetimeIndex(bars.closed_at, tz="UTC"))
    return pd.DataFrame(columns).stack().reindex(planted.truth.index).astype(float)


def test_the_same_settings_give_the_same_bytes_and_another_seed_others() -> None:
    one, same, other = (plant(MarketConfig(n_bars=200, seed=seed)) for seed in (1, 1, 2))
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)


@pytest.mark.parametrize(
    ("accuracy", "seed"), [(0.50, 0), (0.55, 1), (0.60, 2), (0.70, 0), (0.70, 3), (0.86, 4)]
)
def test_the_bayes_accuracy_asked_for_is_met(accuracy: float, seed: int) -> None:
    assert market(accuracy, seed).bayes_accuracy("direction") == pytest.approx(accuracy, abs=0.005)


@pytest.mark.parametrize("target", [Target.DIRECTION, Target.VOLATILITY, Target.VOLUME])
@pytest.mark.parametrize("accuracy", [0.50, 0.70, 0.86])
def test_what_happens_agrees_with_the_true_probabilities(accuracy: float, target: Target) -> None:
    planted = market(accuracy, 4 if accuracy == 0.86 else 0)
    p, y = planted.truth[target], outcomes(planted, target)
    known = p.notna() & y.notna()
    p, y = p[known], y[known]
    for low in np.arange(0.0, 1.0, 0.1):
        rows = (p >= low) & (p < low + 0.1)
        surprise = (y - p)[rows].groupby("closed_at").sum()  # instruments move together
        if len(surprise) > 100:
            assert abs(surprise.sum()) < 4 * np.sqrt((surprise**2).sum())
    gain = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean() - planted.bayes_log_loss(target)
    assert abs(gain) < 0.015


def test_sentiment_and_macro_have_the_truth_of_direction() -> None:
    truth = market().truth
    assert list(truth.columns) == [str(target) for target in Target]
    assert truth["sentiment"].equals(truth["direction"])
    assert truth["macro"].equals(truth["direction"])
    assert len(truth) == 6 * 3_000


def test_the_null_market_is_a_coin_flip_about_which_nothing_is_known() -> None:
    planted = market(0.50)
    assert (planted.truth["direction"] == 0.5).all()
    assert planted.bayes_log_loss("direction") == pytest.approx(np.log(2))
    assert planted.price_only_accuracy() == 0.5
    y = outcomes(planted, Target.DIRECTION)
    for name, term in planted.terms.items():
        product = ((y - 0.5) * term).groupby("closed_at").sum()
        assert abs(product.mean()) < 4 * product.sem(), name


def test_no_single_driver_carries_more_than_sixty_percent_of_the_edge() -> None:
    for accuracy, seed in ((0.60, 2), (0.70, 0), (0.86, 4)):
        planted = market(accuracy, seed)
        p = planted.truth["direction"]
        edge = accuracy - 0.5
        for name, term in planted.terms.items():
            bins = pd.qcut(term, 40, labels=False, duplicates="drop")
            guess = p.groupby(bins).transform("mean")
            share = (np.where(guess > 0.5, p, 1 - p).mean() - 0.5) / edge
            assert share < 0.6, (accuracy, name)
    assert len(NUISANCE) >= 8


def test_at_full_strength_prices_alone_reach_two_thirds() -> None:
    assert market(0.86, 4).price_only_accuracy() == pytest.approx(0.66, abs=0.025)
    assert market(0.70).price_only_accuracy() < 0.62


def test_bars_join_up_and_move_like_a_market() -> None:
    bars = market(0.50).history.bars
    moves = pd.DataFrame({name: np.diff(np.log(b.close)) for name, b in bars.items()})
    for b in bars.values():
        assert (b.open[1:] == b.close[:-1]).all()
        assert (b.high > b.low).all()
    assert moves.stack().std() == pytest.approx(0.01, rel=0.25)
    assert stats.kurtosis(moves.stack()) > 1.5
    pairs = moves.corr().to_numpy()[np.triu_indices(6, 1)]
    assert pairs.min() > 0.15
    sizes = moves.abs()
    assert all(sizes[name].autocorr(24) > 0.05 for name in sizes)


def test_volume_has_a_season_and_grows_with_the_move() -> None:
    frame = market(0.50).history.bars["BTC/USDT"].frame()
    volume = np.log(frame["volume"])
    by_hour = volume.groupby(frame.index.hour).mean()
    assert by_hour.max() - by_hour.min() > 0.5
    assert volume.corr(np.log(frame["close"] / frame["open"]).abs(), method="spearman") > 0.2


def test_macro_values_are_known_only_after_the_day_they_describe() -> None:
    macro = market().history.macro
    assert (macro["known_at"] > macro["period_at"] + pd.Timedelta(days=1)).all()
    assert macro["known_at"].max() <= pd.Timestamp(market().config.end)
    assert macro["series"].nunique() == 7
