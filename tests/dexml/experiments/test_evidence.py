from __future__ import annotations

from math import e, log, sqrt
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from dexml.costs import CostConfig
from dexml.experiments.evidence import Judged, judge_forecasts
from dexml.experiments.folds import FORECAST_COLUMNS
from dexml.experiments.trials import count_trials
from dexml.models.suite import ENSEMBLE
from dexml.simulation.market import MarketConfig, PlantedMarket, plant
from dexml.state import KernelConfig
from dexml.targets import labels

BTC, ETH = INSTRUMENTS = ("BTC/USDT", "ETH/USDT")


@pytest.fixture(scope="module")
def market() -> PlantedMarket:
    return plant(MarketConfig(instruments=INSTRUMENTS, n_bars=900, bayes_accuracy=0.75))


def _forecasts(market: PlantedMarket, said: pd.Series, *targets: str) -> pd.DataFrame:
    known = labels(market.history.bars)["direction"]
    rows = pd.DataFrame(
        {"y": known, "p": said.reindex(known.index), "rule": 0.5, "train_rate": 0.5, "fold": 0}
    ).reset_index()
    rows = rows.rename(columns={"instrument": "symbol"})
    late = rows[rows["closed_at"] >= rows["closed_at"].unique()[300]]
    return pd.concat([late.assign(target=name) for name in targets])[list(FORECAST_COLUMNS)]


def _judge(
    market: PlantedMarket, forecasts: pd.DataFrame, folder: Path, **more: KernelConfig
) -> dict[str, object]:
    return judge_forecasts(
        Judged(
            forecasts=forecasts,
            bars=market.history.bars,
            truth=market.truth,
            trials=folder,
            configuration="only",
            **more,
        )
    )


def test_the_truth_reaches_the_whole_edge_and_pays(market: PlantedMarket, tmp_path: Path) -> None:
    forecasts = _forecasts(market, market.truth["direction"], "direction", ENSEMBLE)
    result = _judge(market, forecasts, tmp_path)
    assert result["ensemble"]["edge_reached"] == pytest.approx(1.0)
    assert result["edge"] is True
    assert result["significance"]["deflated_sharpe_probability"] > 0.95
    assert (result["significance"]["n_trials"], result["significance"]["pbo"]) == (1, None)
    strategy = result["strategy"]
    assert strategy["orders"] > 0
    assert strategy["bayes_sharpe_ratio"] == pytest.approx(strategy["sharpe_ratio"])
    assert set(result["targets"]) == {"direction"}


def test_every_target_is_measured_by_the_same_share_of_the_edge(
    market: PlantedMarket, tmp_path: Path
) -> None:
    truth = market.truth["direction"]
    turned = truth.where(truth.rank() % 4 != 0, 1 - truth)  # the wrong side on every fourth row
    result = _judge(market, _forecasts(market, turned, "direction", ENSEMBLE), tmp_path)
    shares = [result["targets"]["direction"]["edge_reached"], result["ensemble"]["edge_reached"]]
    assert shares[0] == pytest.approx(shares[1])
    assert 0.2 < shares[0] < 0.8


def test_buy_and_hold_is_the_growth_of_the_cash_after_its_entry_fee(
    market: PlantedMarket, tmp_path: Path
) -> None:
    forecasts = _forecasts(market, market.truth["direction"], "direction", ENSEMBLE)
    dear = KernelConfig(costs=CostConfig(pool_fee_bps=100))
    held = _judge(market, forecasts, tmp_path, kernel=dear)["strategy"]["buy_and_hold_return"]
    closes = [market.history.bars[name].close[300:] for name in INSTRUMENTS]
    grown = np.mean([close[-1] / close[0] for close in closes])
    assert held == pytest.approx(0.99 * grown - 1)


def test_the_bars_of_the_backtest_are_counted(market: PlantedMarket, tmp_path: Path) -> None:
    forecasts = _forecasts(market, market.truth["direction"], "direction", ENSEMBLE)
    assert _judge(market, forecasts, tmp_path)["strategy"]["bars"] == 600


def test_a_coin_has_no_edge_and_trades_nothing(market: PlantedMarket, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 1e-6, len(market.truth))
    coin = pd.Series(0.5 + noise, market.truth.index)
    result = _judge(market, _forecasts(market, coin, "direction", ENSEMBLE), tmp_path)
    assert result["edge"] is False
    assert result["verdict"].startswith("No evidence of an edge")
    assert result["strategy"]["orders"] == 0
    assert result["strategy"]["bayes_sharpe_ratio"] > 5
    assert result["significance"]["deflated_sharpe_probability"] is None


def test_the_last_bar_has_no_outcome_and_is_not_scored(
    market: PlantedMarket, tmp_path: Path
) -> None:
    forecasts = _forecasts(market, market.truth["direction"], "direction", ENSEMBLE)
    result = _judge(market, forecasts, tmp_path)
    assert forecasts["y"].isna().sum() == 2 * len(INSTRUMENTS)
    assert result["targets"]["direction"]["n"] == len(forecasts) // 2 - len(INSTRUMENTS)


def test_without_a_direction_nothing_is_traded(market: PlantedMarket, tmp_path: Path) -> None:
    result = _judge(market, _forecasts(market, market.truth["volume"], "volume"), tmp_path)
    assert result["ensemble"] is result["strategy"] is result["significance"]["sharpe"] is None
    assert result["verdict"].startswith("No target speaks of direction")
    assert list(tmp_path.iterdir()) == []


def test_other_costs_are_another_trial_and_the_same_ones_are_not(
    market: PlantedMarket, tmp_path: Path
) -> None:
    forecasts = _forecasts(market, market.truth["direction"], "direction", ENSEMBLE)
    dear = KernelConfig(costs=CostConfig(pool_fee_bps=100))
    cheap = [_judge(market, forecasts, tmp_path) for _ in range(2)]
    costly = _judge(market, forecasts, tmp_path, kernel=dear)
    assert [one["significance"]["n_trials"] for one in (*cheap, costly)] == [1, 1, 2]
    assert costly["strategy"]["orders"] < cheap[0]["strategy"]["orders"]


def test_a_target_is_measured_against_the_rate_of_its_training_rows(
    market: PlantedMarket, tmp_path: Path
) -> None:
    at = market.truth.index.get_level_values("closed_at").unique()[:4]
    rows = {"closed_at": at, "y": [1.0, 1.0, 1.0, 0.0], "p": 0.5, "rule": 0.5, "fold": 0}
    forecasts = pd.DataFrame(rows | {"symbol": BTC, "target": "volume", "train_rate": 0.25})
    scores = _judge(market, forecasts, tmp_path)["targets"]["volume"]
    said_a_quarter = -(3 * log(0.25) + log(0.75)) / 4
    assert scores["base_rate"] == 0.25  # training says 0, which is right once in four
    assert scores["base_log_loss"] == pytest.approx(said_a_quarter)
    assert scores["skill"] == pytest.approx(said_a_quarter - log(2))


def test_as_good_as_the_luckiest_of_all_trials_is_no_more_than_an_even_chance(
    market: PlantedMarket, tmp_path: Path
) -> None:
    forecasts = _forecasts(market, market.truth["direction"], "direction", ENSEMBLE)
    alone = _judge(market, forecasts, tmp_path)["significance"]
    (kept,) = tmp_path.glob("*.parquet")
    returns = pd.read_parquet(kept)["return"]
    sharpe = returns.mean() / returns.std(ddof=1)
    # two worthless trials a Sharpe ratio of d apart show one of d / sqrt(2) * luck at best
    luck = 0.5772156649 * NormalDist().inv_cdf(1 - 1 / (2 * e))
    other = sharpe - sharpe * sqrt(2) / luck
    spread = np.array([-1.0, 1.0]) / sqrt(2)  # a deviation of 1, so the mean is the Sharpe ratio
    count_trials(tmp_path, "other", pd.Series(other + spread, returns.index[:2]))
    beside = _judge(market, forecasts, tmp_path)["significance"]
    assert (alone["n_trials"], beside["n_trials"]) == (1, 2)
    assert alone["deflated_sharpe_probability"] > 0.95
    assert beside["deflated_sharpe_probability"] == pytest.approx(0.5, abs=1e-6)
