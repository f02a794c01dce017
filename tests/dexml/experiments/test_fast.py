from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from dexml.costs import CostConfig
from dexml.domain import Bars, Timeframe
from dexml.errors import ConfigError, DataError
from dexml.experiments.backtest import BacktestReport, backtest
from dexml.experiments.fast import FastReport, fast_backtest
from dexml.risk.exits import ExitConfig
from dexml.risk.orders import OrderLimits
from dexml.risk.policy import PolicyConfig
from dexml.risk.sizing import SizingConfig
from dexml.risk.trips import TripLimits
from dexml.state import KernelConfig

NAME = "BTC/USDT"
UNGUARDED = PolicyConfig(least_profit=-1.0)


def market(
    seed: int, n: int, *, sigma: float = 0.01, jump: float = 0.0, holes: float = 0.0
) -> Bars:
    """Bars whose opening may lie apart from the close before, and of which some are missing."""
    generator = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(generator.standard_t(4, n) * sigma / 1.4))
    before = np.concatenate([[100.0], close[:-1]])
    opening = before * np.exp(generator.normal(0, 1, n) * jump)
    reach = np.abs(generator.normal(0, sigma, (2, n)))
    frame = pd.DataFrame(
        {
            "open": opening,
            "high": np.maximum(opening, close) * (1 + reach[0]),
            "low": np.minimum(opening, close) * (1 - np.minimum(reach[1], 0.5)),
            "close": close,
            "volume": 1.0,
        },
        index=pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC"),
    )
    kept = generator.random(n) >= holes
    return Bars.from_frame(NAME, Timeframe.H1, frame[kept])


def forecasts(seed: int, n: int, middle: float, spread: float, silent: float = 0.0) -> np.ndarray:
    generator = np.random.default_rng(seed + 1)
    said = np.clip(generator.normal(middle, spread, n), 0.01, 0.99)
    return np.where(generator.random(n) < silent, np.nan, said)


def slow(bars: Bars, said: np.ndarray, config: KernelConfig, cash: int) -> BacktestReport:
    index = pd.MultiIndex.from_product(
        [pd.DatetimeIndex(bars.closed_at, tz="UTC"), [NAME]], names=["closed_at", "instrument"]
    )
    signals = pd.DataFrame({"probability": said}, index)
    return backtest({NAME: bars}, signals, config, start_cash=Decimal(cash))


def refuse_difference(exact: BacktestReport, fast: FastReport) -> None:
    decided = [(str(one.action), str(one.reason)) for one in exact.decisions]
    assert list(fast.decisions.itertuples(index=False, name=None)) == decided
    np.testing.assert_allclose(fast.equity, exact.equity, rtol=1e-10)
    assert [str(one.side) for one in exact.fills] == fast.fills["side"].tolist()
    for name in ("base", "quote"):
        expected = [float(getattr(one, name)) for one in exact.fills]
        np.testing.assert_allclose(fast.fills[name], expected, rtol=1e-9)


CONFIGURATIONS = st.builds(
    KernelConfig,
    costs=st.builds(
        CostConfig,
        pool_fee_bps=st.sampled_from([0, 5, 30]),
        pool_depth_usd=st.sampled_from([500_000, 5_000_000]),
        quote_decimals=st.sampled_from([6, 18]),
    ),
    policy=st.builds(
        PolicyConfig,
        horizon=st.sampled_from([1, 3]),
        min_edge=st.sampled_from([0.0, 0.0005, 0.002]),
        rebalance_band=st.sampled_from([0.0, 0.05]),
        cooldown_bars=st.sampled_from([0, 3]),
        max_stops=st.sampled_from([2, 8]),
        low_profit_trades=st.sampled_from([1, 4]),
        least_profit=st.sampled_from([-0.10, 0.0]),
    ),
    sizing=st.builds(
        SizingConfig, min_outcomes=st.sampled_from([5, 100]), max_outcomes=st.just(120)
    ),
    exits=st.builds(
        ExitConfig,
        stop_atr=st.sampled_from([0.5, 2.0]),
        take_profit_ratio=st.sampled_from([0.5, 2.0]),
        max_holding_bars=st.sampled_from([3, 72]),
    ),
    trips=st.builds(TripLimits, consecutive_losses=st.sampled_from([3.0, 10.0])),
    window_bars=st.sampled_from([24, 60]),
    warm_up_bars=st.just(20),
)


@given(
    seed=st.integers(0, 10_000),
    config=CONFIGURATIONS,
    sigma=st.sampled_from([0.004, 0.01, 0.03]),
    jump=st.sampled_from([0.0, 0.002, 0.02]),
    holes=st.sampled_from([0.0, 0.1]),
    silent=st.sampled_from([0.0, 0.2]),
    middle=st.sampled_from([0.5, 0.6, 0.8]),
    cash=st.sampled_from([500, 10_000, 1_000_000]),
)
@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_trades_and_equity_are_those_of_the_decision_kernel(
    seed: int,
    config: KernelConfig,
    sigma: float,
    jump: float,
    holes: float,
    silent: float,
    middle: float,
    cash: int,
) -> None:
    bars = market(seed, 160, sigma=sigma, jump=jump, holes=holes)
    said = forecasts(seed, len(bars), middle, 0.15, silent)
    exact = slow(bars, said, config, cash)
    refuse_difference(exact, fast_backtest(bars, said, config, Decimal(cash)))


def test_a_usual_history_has_every_kind_of_trade_and_agrees_in_all() -> None:
    bars, config = market(1, 400), KernelConfig(window_bars=100, policy=UNGUARDED)
    said = forecasts(1, 400, 0.62, 0.15)
    exact = slow(bars, said, config, 10_000)
    fast = fast_backtest(bars, said, config)
    refuse_difference(exact, fast)
    sold = Counter(fast.fills.loc[fast.fills["side"] == "sell", "reason"])
    assert min(sold["stop"], sold["take_profit"], sold["edge"]) > 0


def test_a_wild_market_is_refused_for_its_risk_in_both() -> None:
    bars, said = market(4, 300, sigma=0.032), forecasts(4, 300, 0.7, 0.15)
    config = KernelConfig(window_bars=60, policy=UNGUARDED)
    fast = fast_backtest(bars, said, config)
    refuse_difference(slow(bars, said, config, 10_000), fast)
    refused = Counter(fast.decisions["reason"])
    assert refused["risk"] > 10
    assert len(fast.fills) > 2


def test_an_instrument_that_earns_little_is_left_alone_in_both() -> None:
    bars, said = market(1, 400), forecasts(1, 400, 0.62, 0.15)
    guarded = KernelConfig(
        window_bars=100, policy=PolicyConfig(low_profit_trades=2, least_profit=0.01)
    )
    fast = fast_backtest(bars, said, guarded)
    refuse_difference(slow(bars, said, guarded, 10_000), fast)
    usual = fast_backtest(bars, said, KernelConfig(window_bars=100))
    assert 0 < len(fast.fills) < len(usual.fills)


def test_a_bar_that_touches_both_levels_is_stopped_at_its_low_in_both() -> None:
    calm = market(2, 60, sigma=0.002)
    frame = calm.frame().copy()
    frame.loc[frame.index[40], ["high", "low"]] = frame["close"].iloc[40] * np.array([1.2, 0.8])
    bars = Bars.from_frame(NAME, Timeframe.H1, frame)
    said = np.where(np.arange(60) == 38, 0.95, np.nan)
    config = KernelConfig(policy=PolicyConfig(min_edge=0.0), costs=CostConfig(pool_fee_bps=0))
    exact, fast = slow(bars, said, config, 10_000), fast_backtest(bars, said, config)
    refuse_difference(exact, fast)
    assert fast.fills["reason"].tolist() == ["edge", "stop"]
    paid = fast.fills["quote"].iloc[1] / fast.fills["base"].iloc[1]
    assert paid == pytest.approx(frame["low"].iloc[40], rel=1e-3)


def test_the_tail_of_long_windows_is_that_of_whole_days_in_both() -> None:
    bars = Bars.from_frame(
        NAME,
        Timeframe.D1,
        market(3, 140)
        .frame()
        .set_axis(pd.date_range("2023-01-01", periods=140, freq="D", tz="UTC"), axis=0),
    )
    config = KernelConfig(timeframe=Timeframe.D1, window_bars=100)
    said = forecasts(3, 140, 0.6, 0.1)
    refuse_difference(slow(bars, said, config, 10_000), fast_backtest(bars, said, config))


def test_what_it_cannot_do_is_refused_by_name() -> None:
    bars, usual = market(0, 30), KernelConfig()
    said = np.full(30, 0.6)
    with pytest.raises(ConfigError, match=r"policy\.name must be net_edge"):
        fast_backtest(bars, said, replace(usual, policy=PolicyConfig(name="mine")))
    with pytest.raises(ConfigError, match=r"orders\.orders_per_day must never bind"):
        fast_backtest(bars, said, replace(usual, orders=OrderLimits(orders_per_day=20)))
    with pytest.raises(DataError, match=r"probability must be in \[0, 1\]"):
        fast_backtest(bars, said + 1, usual)
    with pytest.raises(DataError, match=r"probability must be 30 numbers"):
        fast_backtest(bars, said[:-1], usual)
    with pytest.raises(DataError, match="must have bars of 86400 s"):
        fast_backtest(bars, said, replace(usual, timeframe=Timeframe.D1))


def test_without_a_signal_nothing_is_traded_and_the_cash_stays() -> None:
    bars = market(5, 60)
    fast = fast_backtest(bars, np.full(60, np.nan), KernelConfig())
    assert (fast.equity == 10_000.0).all()
    assert fast.fills.empty
    assert set(fast.decisions["reason"]) == {"data"}
