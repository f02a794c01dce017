"""The truth recomputed, by other means, from nothing but what was published."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from dexml.domain import History
from dexml.simulation.market import DRIVERS, MarketConfig, PlantedMarket, plant


@pytest.fixture(scope="module")
def planted() -> PlantedMarket:
    return plant(MarketConfig(n_bars=600, bayes_accuracy=0.75, seed=3))


def published_logit(history: History, instrument: str, scale: float) -> float:
    """Work out the log-odds of one row from a history that ends at it."""
    log_close = pd.DataFrame({n: np.log(b.close) for n, b in history.bars.items()})
    first = pd.DataFrame({n: [np.log(b.open[0])] for n, b in history.bars.items()})
    path = pd.concat([first, log_close], ignore_index=True)[list(history.bars)]
    now = pd.Timestamp(history.bars[instrument].closed_at[-1], tz="UTC")
    own = path[instrument]
    moves = own.diff().dropna()
    day, week = (np.sqrt((moves.tail(n) ** 2).mean()) for n in (24, 168))
    regime = np.tanh(4 * np.log(day / week))
    closes = own[1:].tail(20)
    band = soft((closes.iloc[-1] - closes.mean()) / closes.std(ddof=0) / 1.15)
    short = soft((own.iloc[-1] - own.tail(4).iloc[0]) / (1.75 * day))
    slow = (path.iloc[-1] - path.tail(7).iloc[0]) / (1.7 * 0.01)
    sentiment = decayed(history.news, instrument, now, 6.0) / 0.24
    drivers = {
        "regime_momentum": -1.6 * short * regime,
        "band_position": band,
        "calendar": (1.5 if now.dayofweek < 5 else 0.75) * np.sin(np.pi * (now.hour - 8) / 12),
        "cross_section": soft(slow[instrument] - slow.mean()),
        "sentiment": sentiment,
        "sentiment_in_regime": 1.6 * sentiment * regime,
        "market_sentiment": decayed(history.news, None, now, 1.5) / 0.2,
        "vix_change": soft(change(history.macro, "vix") / 1.2),
        "greed_momentum": soft(change(history.macro, "fear_greed") / 9.5) * short,
    }
    return scale * sum(DRIVERS[name] * value for name, value in drivers.items())


def soft(value: float) -> float:
    return 3 * np.tanh(value / 3)


def decayed(
    news: pd.DataFrame, instrument: str | None, now: pd.Timestamp, half_life_h: float
) -> float:
    news = news.drop_duplicates("title")
    words = [text.split() for text in news["instruments"]]
    news = news[[instrument in names if instrument else bool(names) for names in words]]
    weight = 0.5 ** ((now - news["known_at"]) / pd.Timedelta(hours=half_life_h))
    return float((weight * news["score"]).sum() / (1 + weight.sum()))


def change(macro: pd.DataFrame, series: str) -> float:
    values = macro[macro["series"] == series].sort_values("known_at")["value"].to_numpy()
    return float(values[-1] - values[-2])


@pytest.mark.parametrize("row", [20, 101, 299, 444, 599])
def test_the_probability_follows_from_what_was_published_by_the_close(
    planted: PlantedMarket, row: int
) -> None:
    closed_at = planted.config.closed_at[row]
    history = planted.history.until(closed_at)
    for name in planted.config.instruments:
        expected = special.expit(published_logit(history, name, planted.scale))
        truth = planted.truth["direction"].loc[(pd.Timestamp(closed_at, tz="UTC"), name)]
        assert truth == pytest.approx(expected, abs=1e-9)


def published_volatility(planted: PlantedMarket, name: str) -> np.ndarray:
    """Run the GARCH recursion over published moves; one value more than there are bars."""
    bars = planted.history.bars[name]
    variance = [1.0]
    for move in np.log(bars.close / bars.open):
        grown = 0.02 + 0.07 * (move / 0.01) ** 2 + 0.91 * variance[-1]
        variance.append(float(np.clip(grown, 0.16, 12.25)))
    return 0.01 * np.sqrt(variance)


@pytest.mark.parametrize("row", [19, 250, 599])
def test_the_volatility_truth_equals_a_simulation_of_the_next_close(
    planted: PlantedMarket, row: int
) -> None:
    generator = np.random.default_rng(0)
    for name in ("BTC/USDT", "DOGE/USDT"):
        bars = planted.history.bars[name]
        at = (pd.Timestamp(planted.config.closed_at[row], tz="UTC"), name)
        sigma = published_volatility(planted, name)[row + 1]
        size = np.abs(generator.standard_t(6, 200_000)) / np.sqrt(1.5) * sigma
        up = generator.random(200_000) < planted.truth["direction"].loc[at]
        after = bars.close[row] * np.exp(np.where(up, size, -size))
        stay = np.broadcast_to(bars.close[row - 18 : row + 1], (200_000, 19))
        spread = np.column_stack([stay, after]).std(axis=1)
        rises = (spread > bars.close[row - 19 : row + 1].std()).mean()
        assert planted.truth["volatility"].loc[at] == pytest.approx(rises, abs=0.005)


def test_the_volume_truth_is_the_conditional_law_of_a_joint_normal(
    planted: PlantedMarket,
) -> None:
    name, row = "SOL/USDT", 60
    bars = planted.history.bars[name]
    sigma = published_volatility(planted, name)[: row + 2]
    size = np.abs(np.log(bars.close / bars.open))[: row + 1]
    tail = 2 * stats.t.sf(size / sigma[:-1] * np.sqrt(1.5), 6)
    hours = pd.date_range("2023-01-01", periods=row + 2, freq="h")
    hour = hours.hour.to_numpy()
    known = 0.40 * np.sin(np.pi * (hour - 9) / 12) + 0.15 * np.sin(np.pi * (hour - 2) / 6)
    known += np.where(hours.dayofweek < 5, 0.1, -0.25) + 0.6 * np.log(sigma / 0.01)
    log_volume = np.log(bars.volume[: row + 1] / 400_000.0)
    left = log_volume - known[:-1] - 0.22 * stats.norm.isf(tail)
    step = np.arange(row + 2)
    start = 0.18**2 * (1 - 0.81 ** (np.minimum.outer(step, step) + 1)) / (1 - 0.81)
    covariance = 0.9 ** np.abs(np.subtract.outer(step, step)) * start + 0.28**2 * np.eye(row + 2)
    gain = np.linalg.solve(covariance[:-1, :-1], covariance[:-1, -1])
    mean = known[-1] + gain @ left
    variance = covariance[-1, -1] - gain @ covariance[:-1, -1] + 0.22**2
    expected = stats.norm.sf((log_volume[-1] - mean) / np.sqrt(variance))
    at = (pd.Timestamp(planted.config.closed_at[row], tz="UTC"), name)
    assert planted.truth["volume"].loc[at] == pytest.approx(expected, abs=1e-7)
