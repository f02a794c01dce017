from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from dexml.domain import Bars, Side
from dexml.experiments.backtest import BacktestReport, backtest
from dexml.experiments.simulating import simulate_backtest, simulate_prices, trade_returns
from dexml.experiments.sources import plant_market
from dexml.state import KernelConfig


@pytest.fixture(scope="module")
def bars() -> dict[str, Bars]:
    return plant_market(("BTC/USDT",), n_bars=500, seed=0, bayes_accuracy=0.75).history.bars


@pytest.fixture(scope="module")
def tested(bars: dict[str, Bars]) -> BacktestReport:
    said = np.clip(np.random.default_rng(0).normal(0.6, 0.2, 500), 0.01, 0.99)
    stamps = pd.DatetimeIndex(bars["BTC/USDT"].closed_at, tz="UTC")
    index = pd.MultiIndex.from_product([stamps, ["BTC/USDT"]])
    return backtest(bars, pd.DataFrame({"probability": said}, index), KernelConfig())


def test_the_trades_add_up_to_what_was_earned(tested: BacktestReport) -> None:
    trades = trade_returns(tested)
    assert len(trades) == sum(fill.side is Side.SELL for fill in tested.fills)
    earned = float(sum(trades * tested.equity.reindex(trades.index).to_numpy()))
    bought = sum(f.quote + f.gas for f in tested.fills if f.side is Side.BUY)
    sold = sum(f.quote - f.gas for f in tested.fills if f.side is Side.SELL)
    held = tested.state.books[0].position
    assert earned == pytest.approx(float(sold - bought + (held.paid if held else Decimal(0))))


def test_returns_and_trades_are_simulated_with_the_backtest_s_own_figures(
    tested: BacktestReport,
) -> None:
    found = simulate_backtest(tested, 200, seed=1)
    estimate = found["returns"]["total_return"]["estimate"]
    assert estimate == pytest.approx(tested.metrics["total_return"], abs=1e-9)
    assert found["returns"]["fan"]["bars"][-1] == 499
    assert found["trades"]["fan"]["bars"][-1] == len(trade_returns(tested))
    assert found == simulate_backtest(tested, 200, seed=1)


def test_too_few_trades_are_named_and_not_simulated(bars: dict[str, Bars]) -> None:
    index = pd.MultiIndex.from_arrays([pd.DatetimeIndex([], tz="UTC"), pd.Index([], dtype=str)])
    silent = backtest(bars, pd.DataFrame({"probability": []}, index), KernelConfig())
    found = simulate_backtest(silent, 100)
    assert found["trades"] == {"skipped": "needs 20, was 0"}
    assert found["returns"] == {"skipped": "nothing was traded"}


def test_an_instrument_too_short_for_garch_is_named(bars: dict[str, Bars]) -> None:
    both = {"BTC/USDT": bars["BTC/USDT"], "ETH/USDT": bars["BTC/USDT"].take(slice(0, 100))}
    found = simulate_prices(both, 24, 200)
    assert "must be at least 250" in found["ETH/USDT"]["skipped"]
    assert found["BTC/USDT"]["fan"]["bars"][-1] == 24
    assert found["BTC/USDT"]["garch"]["omega"] > 0
