from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from dexml.costs import CostConfig
from dexml.domain import Bars, Timeframe, to_datetime64
from dexml.errors import DataError
from dexml.events import Action
from dexml.execution.paper import PaperBroker
from dexml.experiments.backtest import BacktestReport, LocalHost, backtest
from dexml.experiments.replay import Recorded, replay
from dexml.records import encode
from dexml.state import KernelConfig
from dexml.system import initial_state

INSTRUMENTS = ("BNB/USDT", "BTC/USDT", "DOGE/USDT", "ETH/USDT", "LINK/USDT", "SOL/USDT")


def market(
    n_bars: int, names: tuple[str, ...] = INSTRUMENTS, seed: int = 0, accuracy: float = 0.7
) -> tuple[dict[str, Bars], pd.DataFrame]:
    """Bars whose next sign is `accuracy`-predictable, and the true probability of a rise."""
    rng, bars, frames = np.random.default_rng(seed), {}, []
    for name in names:
        said = rng.random(n_bars) < 0.5
        right = rng.random(n_bars) < accuracy
        up = np.concatenate([[True], np.where(said == right, True, False)[:-1]])
        size = np.abs(rng.normal(0, 0.01, n_bars))
        close = 100 * np.exp(np.cumsum(np.where(up, size, -size)))
        opened = np.concatenate([[100.0], close[:-1]])
        wick = 1 + np.abs(rng.normal(0, 0.002, n_bars))
        index = pd.date_range("2024-01-01 01:00", periods=n_bars, freq="h", tz="UTC")
        frame = pd.DataFrame(
            {
                "open": opened,
                "high": np.maximum(opened, close) * wick,
                "low": np.minimum(opened, close) / wick,
                "close": close,
                "volume": 1.0,
            },
            index=index,
        )
        bars[name] = Bars.from_frame(name, Timeframe.H1, frame)
        p = np.where(said, accuracy, 1 - accuracy)
        keys = pd.MultiIndex.from_product([index, [name]], names=["closed_at", "instrument"])
        frames.append(pd.DataFrame({"probability": p}, index=keys))
    return bars, pd.concat(frames).sort_index()


def run(n_bars: int = 300, accuracy: float = 0.7, seed: int = 0) -> BacktestReport:
    return backtest(*market(n_bars, seed=seed, accuracy=accuracy), KernelConfig())


def test_an_edge_that_pays_its_costs_earns_and_none_trades_nothing() -> None:
    good = run(600)
    assert good.metrics["sharpe_ratio"] > 2
    assert good.metrics["total_return"] > 0
    null = run(600, accuracy=0.5)
    assert null.orders == ()
    assert null.declined["abstain"] == 600 * 6
    assert null.metrics["total_return"] == 0


def test_every_bar_of_every_instrument_is_decided_once() -> None:
    report = run()
    assert len({d.decision_id for d in report.decisions}) == len(report.decisions) == 300 * 6
    entries = [d for d in report.decisions if d.action is Action.ENTER]
    assert len(entries) <= len(report.orders)


def test_the_same_input_gives_the_same_digest_and_another_seed_another() -> None:
    assert run().digest == run().digest
    assert run().digest != run(seed=1).digest


def test_an_order_decided_at_a_close_is_filled_after_it_at_the_next_opening_price() -> None:
    bars, signals = market(100)
    gapped = {
        name: replace(item, open=item.open * 1.005, high=item.high * 1.01)
        for name, item in bars.items()
    }
    report = backtest(gapped, signals, KernelConfig())
    orders = {order.intent_id: order for order in report.orders}
    bought = [f for f in report.fills if orders[f.intent_id].reason == "enter"]
    assert bought
    for fill in bought:
        order = orders[fill.intent_id]
        assert (fill.filled_at - order.decided_at).total_seconds() == 12
        assert float(fill.price / order.reference_price) == pytest.approx(1.005, abs=0.0015)


def test_equity_adds_up_from_the_fills_alone() -> None:
    report = run()
    cash = Decimal(10_000)
    for fill in report.fills:
        cash += (fill.quote if fill.side == "sell" else -fill.quote) - fill.gas
    assert cash == report.state.cash
    assert float(report.state.equity) >= float(cash)


def test_buy_and_hold_splits_the_cash_and_pays_the_pool_fee_once() -> None:
    at = pd.date_range("2024-01-01 01:00", periods=3, freq="h", tz="UTC")
    closes = {"BTC/USDT": [100.0, 150.0, 200.0], "ETH/USDT": [50.0, 50.0, 45.0]}
    bars = {
        name: Bars.from_frame(
            name,
            Timeframe.H1,
            pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), prices), at).assign(
                volume=1.0
            ),
        )
        for name, prices in closes.items()
    }
    keys = pd.MultiIndex.from_product([at, closes], names=["closed_at", "instrument"])
    silent = pd.DataFrame({"probability": np.nan}, keys)
    dear = KernelConfig(costs=CostConfig(pool_fee_bps=100))
    held = backtest(bars, silent, dear).buy_and_hold
    # 4950 in each of two, after 1% of 10000: BTC to 150% and 200%, ETH to 100% and 90%
    assert held.tolist() == pytest.approx([9_900.0, 7_425.0 + 4_950.0, 9_900.0 + 4_455.0])


def test_the_future_of_the_bars_changes_no_past_decision() -> None:
    bars, signals = market(200)
    whole = backtest(bars, signals, KernelConfig())
    part = backtest({n: b.take(slice(0, 120)) for n, b in bars.items()}, signals, KernelConfig())
    assert whole.decisions[: 120 * 6] == part.decisions


def test_a_missing_bar_delays_its_instrument_only() -> None:
    bars, signals = market(100, names=INSTRUMENTS[:2])
    kept = np.arange(100) != 60
    holed = bars[INSTRUMENTS[0]]
    columns = {n: getattr(holed, n)[kept] for n in ("closed_at", "open", "high", "low", "close")}
    bars[INSTRUMENTS[0]] = replace(holed, **columns, volume=holed.volume[kept])
    report = backtest(bars, signals, KernelConfig())
    assert len(report.decisions) == 199
    assert not report.state.open_intents or report.state.open_intents[0].side


def test_signals_without_probability_are_refused() -> None:
    bars, signals = market(10)
    with pytest.raises(DataError, match="must have bars and `probability`"):
        backtest(bars, signals.rename(columns={"probability": "p"}), KernelConfig())


def journal(n_bars: int) -> tuple[LocalHost, list[Recorded]]:
    bars, signals = market(n_bars)
    config = KernelConfig()
    state = initial_state("replayed", config, bars, Decimal(10_000))
    host = LocalHost(state, PaperBroker(config.costs), keep_journal=True)
    backtest(bars, signals, config, host=host)
    records = [
        Recorded(event=encode(event), commands=[encode(c) for c in commands])
        for event, commands in host.journal
    ]
    return host, records


def test_a_replay_is_identical_and_ends_in_the_same_state() -> None:
    host, records = journal(150)
    initial = initial_state("replayed", KernelConfig(), INSTRUMENTS, Decimal(10_000))
    report = replay(records, initial)
    assert report.identical
    assert (report.events, report.decisions) == (len(records), 150 * 6)
    assert encode(report.state) == encode(host.state)


def test_a_changed_fill_or_setting_shows_as_the_first_difference() -> None:
    _, records = journal(150)
    initial = initial_state("replayed", KernelConfig(), INSTRUMENTS, Decimal(10_000))
    row = next(i for i, r in enumerate(records) if '"kind":"filled"' in r.event)
    lost = replay([*records[:row], *records[row + 1 :]], initial)
    assert not lost.identical
    dear = KernelConfig(costs=CostConfig(pool_fee_bps=30))
    other = replay(records, initial_state("replayed", dear, INSTRUMENTS, Decimal(10_000)))
    assert other.first_difference is not None
    assert "recorded" in other.first_difference


def test_over_a_hole_in_all_bars_no_order_is_filled_at_what_came_after_it() -> None:
    bars, signals = market(120)
    hole = (np.arange(120) < 60) | (np.arange(120) >= 70)
    holed = {
        name: Bars.from_frame(name, Timeframe.H1, item.frame()[hole]) for name, item in bars.items()
    }
    report = backtest(holed, signals, KernelConfig())
    after = bars[INSTRUMENTS[0]].closed_at[59]
    decided = [order for order in report.orders if to_datetime64(order.decided_at) == after]
    filled = {fill.intent_id for fill in report.fills}
    assert decided
    assert not filled & {order.intent_id for order in decided}
