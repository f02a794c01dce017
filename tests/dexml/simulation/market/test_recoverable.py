"""A learner that sees only what was published finds most of the edge, and none where none is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier

from dexml.domain import Bars, History
from dexml.simulation.market import MarketConfig, PlantedMarket, plant


def published_features(history: History) -> pd.DataFrame:
    table = {name: one_instrument(history, bars) for name, bars in history.bars.items()}
    panel = pd.concat(table, names=["instrument", "closed_at"]).swaplevel().sort_index()
    for n in (1, 6, 24):
        market = panel[f"return_{n}"].groupby("closed_at").transform("mean")
        panel[f"relative_{n}"] = panel[f"return_{n}"] - market
    return panel


def one_instrument(history: History, bars: Bars) -> pd.DataFrame:
    frame = bars.frame()
    log_close = np.log(frame["close"])
    move = log_close.diff()
    out = {f"return_{n}": log_close.diff(n) for n in (1, 2, 3, 6, 12, 24)}
    volatility = {n: np.sqrt((move**2).rolling(n).mean()) for n in (6, 24, 168)}
    out["regime"] = np.log(volatility[24] / volatility[168])
    out["momentum"] = out["return_3"] / volatility[24]
    out["momentum_x_regime"] = out["momentum"] * out["regime"]
    window = frame["close"].rolling(20)
    out["band"] = (frame["close"] - window.mean()) / window.std()
    out["volume"] = np.log(frame["volume"] / frame["volume"].rolling(24).mean())
    out["hour"] = pd.Series(frame.index.hour, frame.index)
    out["weekday"] = pd.Series(frame.index.dayofweek, frame.index)
    news = history.news.drop_duplicates("title")
    own = news[[bars.instrument in text.split() for text in news["instruments"]]]
    for label, rows in (("own", own), ("all", news)):
        for hours in (6, 24):
            out[f"{label}_{hours}h"] = decayed_mean(rows, bars.closed_at, hours)
    out["own_x_regime"] = out["own_24h"] * out["regime"].to_numpy()
    for series, rows in history.macro.groupby("series"):
        at = np.searchsorted(naive(rows["known_at"]), bars.closed_at, side="right") - 1
        out[f"{series}_change"] = rows["value"].diff().to_numpy()[at]
        out[f"{series}_value"] = rows["value"].to_numpy()[at]
    return pd.DataFrame(out, index=frame.index)


def decayed_mean(rows: pd.DataFrame, closed_at: np.ndarray, hours: int) -> np.ndarray:
    known, score = naive(rows["known_at"]), rows["score"].to_numpy()
    first = np.searchsorted(known, closed_at - np.timedelta64(hours, "h"))
    last = np.searchsorted(known, closed_at, side="right")
    out = np.zeros(len(closed_at))
    for bar, (begin, end) in enumerate(zip(first, last, strict=True)):
        age = (closed_at[bar] - known[begin:end]) / np.timedelta64(1, "h")
        weight = 0.5 ** (age / (hours / 4))
        out[bar] = (weight * score[begin:end]).sum() / (weight.sum() + 1)
    return out


def naive(stamps: pd.Series) -> np.ndarray:
    return stamps.dt.tz_localize(None).to_numpy()


def learn(planted: PlantedMarket) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return forecasts, true probabilities and outcomes of the bars after the first 2,200."""
    panel = published_features(planted.history)
    up = {
        name: pd.Series((np.diff(bars.close) > 0).astype(float), bars.frame().index[:-1])
        for name, bars in planted.history.bars.items()
    }
    y = pd.concat(up, names=["instrument", "closed_at"]).swaplevel().reindex(panel.index)
    bar = pd.factorize(panel.index.get_level_values("closed_at"))[0]
    train, test = (bar >= 168) & (bar < 2_199), (bar >= 2_200) & (bar < 2_999)
    model = LGBMClassifier(
        n_estimators=250,
        learning_rate=0.04,
        num_leaves=15,
        min_child_samples=150,
        colsample_bytree=0.5,
        reg_lambda=5.0,
        n_jobs=1,
        verbose=-1,
        deterministic=True,
    ).fit(panel[train], y[train])
    p = planted.truth["direction"].reindex(panel.index)
    return model.predict_proba(panel[test])[:, 1], p[test].to_numpy(), y[test].to_numpy()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_pooled_learner_reaches_four_fifths_of_the_edge_out_of_sample(seed: int) -> None:
    guess, p, _ = learn(plant(MarketConfig(bayes_accuracy=0.70, seed=seed)))
    reached = np.where(guess > 0.5, p, 1 - p).mean() - 0.5
    assert reached >= 0.80 * (np.maximum(p, 1 - p).mean() - 0.5)


@pytest.mark.slow
def test_a_pooled_learner_finds_nothing_on_the_null_market() -> None:
    hits = []
    for seed in range(3):
        guess, _, y = learn(plant(MarketConfig(bayes_accuracy=0.50, seed=seed)))
        hits.append(((guess > 0.5) == y).reshape(-1, 6).mean(axis=1))  # one cluster an hour
    by_hour = np.concatenate(hits)
    assert abs(by_hour.mean() - 0.5) < 2.5 * by_hour.std() / np.sqrt(len(by_hour))
