from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dexml.costs import CostConfig
from dexml.experiments.evidence import Judged, judge_forecasts
from dexml.experiments.folds import FORECAST_COLUMNS
from dexml.models.suite import ENSEMBLE
from dexml.simulation.market import MarketConfig, PlantedMarket, plant
from dexml.state import KernelConfig
from dexml.targets import labels

INSTRUMENTS = ("BTC/USDT", "ETH/USDT")


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
    assert result["strategy"]["orders"] > 0
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
