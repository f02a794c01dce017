from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dexml.errors import DataError
from dexml.validation import metrics, performance
from dexml.validation.bootstrap import Bootstrap
from dexml.validation.scorecard import (
    forecast_statistics,
    scorecard,
    strategy_statistics,
    strategy_table,
)

RNG = np.random.default_rng(0)
N = 300
HOURS = pd.date_range("2024-01-01", periods=N, freq="h", tz="UTC", name="closed_at")
RETURNS = pd.Series(RNG.normal(0.0005, 0.01, N), HOURS)
POSITIONS = (RNG.random((N, 2)) < 0.3) * 0.5
FEW = Bootstrap(n_resamples=200)


def test_every_figure_of_a_strategy_is_that_of_its_function() -> None:
    found = scorecard(strategy_table(RETURNS, POSITIONS), strategy_statistics(), FEW)["estimate"]
    equity = np.r_[1.0, (1 + RETURNS).cumprod()]
    expected = {
        "sharpe_ratio": performance.sharpe_ratio(RETURNS),
        "sortino_ratio": performance.sortino_ratio(RETURNS),
        "max_drawdown": performance.max_drawdown(equity),
        "value_at_risk": performance.value_at_risk(RETURNS),
        "expected_shortfall": performance.expected_shortfall(RETURNS),
        "compounded_return": performance.compounded_return(RETURNS),
        "win_rate": performance.win_rate(RETURNS),
        "turnover": performance.turnover(POSITIONS),
        "exposure": performance.exposure(POSITIONS),
    }
    assert list(found.index) == list(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-12), name


def test_a_loss_on_the_first_bar_is_a_drawdown() -> None:
    table = strategy_table(pd.Series([-0.5, 0.1], HOURS[:2]), [1.0, 1.0])
    assert strategy_statistics()["max_drawdown"](table) == 0.5


def test_daily_figures_are_annualised_by_days() -> None:
    table = strategy_table(RETURNS, POSITIONS)
    daily, hourly = strategy_statistics(365), strategy_statistics()
    for name in ("sharpe_ratio", "sortino_ratio"):
        assert hourly[name](table) == pytest.approx(daily[name](table) * 24**0.5)


def test_every_interval_holds_its_estimate_but_that_of_the_drawdown_may_lie_above() -> None:
    found = scorecard(strategy_table(RETURNS, POSITIONS), strategy_statistics(), FEW)
    steady = found.drop(index="max_drawdown")
    assert ((steady["low"] <= steady["estimate"]) & (steady["estimate"] <= steady["high"])).all()
    assert (found["low"] < found["high"]).all()
    assert (found["standard_error"] > 0).all()


def test_a_strategy_that_never_trades_has_a_scorecard_of_zeros() -> None:
    flat = strategy_table(pd.Series(np.zeros(N), HOURS), np.zeros(N))
    found = scorecard(flat, strategy_statistics(), FEW)
    assert (found.to_numpy() == 0.0).all()


def test_every_figure_of_a_forecast_has_an_interval_over_instants() -> None:
    names = ["closed_at", "instrument"]
    index = pd.MultiIndex.from_product([HOURS, ["BTC/USDT", "ETH/USDT"]], names=names)
    p = RNG.uniform(0.3, 0.7, len(index))
    moves = RNG.normal(0.0, 0.01, len(index)) + 0.02 * (p - 0.5)
    rows = pd.DataFrame({"y": moves > 0, "p": p, "return": moves}, index).astype(float)
    found = scorecard(rows, forecast_statistics(), FEW)
    assert found.loc["accuracy", "estimate"] == metrics.accuracy(rows["y"], p)
    assert found.loc["log_loss", "estimate"] == metrics.log_loss(rows["y"], p)
    assert found.loc["brier_score", "estimate"] == metrics.brier_score(rows["y"], p)
    assert found.loc["calibration_error", "estimate"] == metrics.calibration_error(rows["y"], p)
    expected = metrics.information_coefficient(p, moves)
    assert found.loc["information_coefficient", "estimate"] == expected
    means = metrics.quantile_returns(p, moves)["return"].to_numpy()
    assert found.loc["quantile_spread", "estimate"] == means[-1] - means[0]
    assert len(found) == 6


def test_positions_must_be_of_the_same_bars() -> None:
    with pytest.raises(DataError, match="positions must be given for each of 300 returns, was 299"):
        strategy_table(RETURNS, POSITIONS[1:])
