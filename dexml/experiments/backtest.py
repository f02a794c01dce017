"""The kernel over recorded bars, with costs, in one process."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import numpy as np
import pandas as pd

from dexml.cycle import Timing, run_bar
from dexml.domain import Bar, Bars, Fill, Intent, Signal
from dexml.errors import DataError
from dexml.events import (
    Action,
    BarsClosed,
    Command,
    Decision,
    EquityMarked,
    Event,
    Filled,
    HealthChanged,
    OrderFailed,
    Trade,
)
from dexml.execution.broker import Broker
from dexml.execution.paper import PaperBroker
from dexml.models.suite import ENSEMBLE, signal_of
from dexml.records import encode
from dexml.state import KernelConfig, State
from dexml.system import initial_state, step
from dexml.validation.performance import max_drawdown, sharpe_ratio, win_rate

__all__ = ["BacktestReport", "LocalHost", "backtest"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BacktestReport:
    """What happened.

    Attributes
    ----------
    declined : dict of reason to count
    orders : tuple of Intent
    fills : tuple of Fill
    equity, buy_and_hold : Series
        Quote currency by `closed_at`, after costs; buy-and-hold splits the cash evenly, pays the
        pool's fee once and never sells.
    metrics : dict of str to float
        `total_return`, `sharpe_ratio` (annualised), `max_drawdown`, `turnover` (traded quote over
        starting cash), `exposure` (share of bars with a position), `win_rate` (of bars).
    digest : str
        SHA-256 over the records of all decisions in order.
    """

    decisions: tuple[Decision, ...]
    declined: dict[str, int]
    orders: tuple[Intent, ...]
    fills: tuple[Fill, ...]
    equity: pd.Series
    buy_and_hold: pd.Series
    metrics: dict[str, float]
    digest: str
    state: State


class LocalHost:
    """A host in one process: holds the state, applies `step`, fills through a broker.

    Parameters
    ----------
    health : sequence of HealthChanged
        What the kernel hears of the data's health at the closes that they name.

    Attributes
    ----------
    state : State
    journal : list of (event, commands)
        Everything heard and answered, in order, if `keep_journal`.
    """

    def __init__(
        self,
        state: State,
        broker: Broker,
        *,
        keep_journal: bool = False,
        health: Sequence[HealthChanged] = (),
    ) -> None:
        self.state, self.broker, self.keep_journal = state, broker, keep_journal
        self._health = tuple(health)
        self.journal: list[tuple[Event, list[Command]]] = []
        self.fills: list[Fill] = []

    def decide(self, event: Event) -> list[Command]:
        """Let the kernel hear `event`; at a close, what is known of the data's health first."""
        if isinstance(event, BarsClosed):
            for told in (one for one in self._health if one.at == event.at):
                self.decide(told)
        self.state, commands = step(self.state, event)
        if self.keep_journal:
            self.journal.append((event, commands))
        return commands

    def execute(
        self, intents: Sequence[Intent], prices: Mapping[str, Decimal] | None, at: datetime
    ) -> list[Filled | OrderFailed]:
        """Fill through the broker, at `prices` or at the reference prices."""
        return [self._executed(intent, prices, at) for intent in intents]

    def _executed(
        self, intent: Intent, prices: Mapping[str, Decimal] | None, at: datetime
    ) -> Filled | OrderFailed:
        price = intent.reference_price if prices is None else prices[intent.instrument]
        result = self.broker.execute(intent, price, at)
        if isinstance(result, OrderFailed):
            return result
        self.fills.append(result)
        return Filled(at=at, fill=result)


def backtest(
    bars: Mapping[str, Bars],
    signals: pd.DataFrame,
    config: KernelConfig,
    run: str = "backtest",
    start_cash: Decimal = Decimal(10_000),
    host: LocalHost | None = None,
    until: datetime | None = None,
) -> BacktestReport:
    """Run the kernel over every bar of `bars`.

    Parameters
    ----------
    bars : mapping of instrument to Bars
        Oldest first; stamps may differ between instruments.
    signals : DataFrame
        Column `probability`, and one for each member that spoke, indexed by (closed_at,
        instrument); NaN or absent means no signal.
    config : KernelConfig
        Settings of policy, risk and costs.
    run : str
        Name of the run.
    start_cash : Decimal
        Quote currency.
    host : LocalHost, optional
        To go on from a warmed-up state or to keep the journal.
    until : datetime, optional
        Last close to decide on; later bars only give the prices its orders meet.

    Raises
    ------
    DataError
        If there are no bars or the signals lack their column.
    """
    if "probability" not in signals.columns or not any(len(item) for item in bars.values()):
        was = (tuple(signals.columns), len(bars))
        raise DataError("backtest", "must have bars and `probability`", was, "Give both.")
    if host is None:
        state = initial_state(run, config, bars, start_cash)
        host = LocalHost(state, PaperBroker(config.costs))
    timing = Timing(timeframe=config.timeframe, latency_s=config.costs.latency_s)
    commands: list[Command] = []
    for closed, said, opening in _bar_sets(bars, signals):
        if until is not None and closed[0].closed_at > until:
            break
        commands += run_bar(host, closed, said, opening, timing)
    return _report(commands, host, _hold(bars, start_cash, config), start_cash)


BarSet = tuple[tuple[Bar, ...], tuple[Signal, ...], dict[str, float]]


def _bar_sets(bars: Mapping[str, Bars], signals: pd.DataFrame) -> Iterator[BarSet]:
    said = _forecasts(signals)
    rows = {name: {stamp: row for row, stamp in enumerate(_ns(bars[name]))} for name in bars}
    stamps = sorted({stamp for table in rows.values() for stamp in table})
    step = next(iter(bars.values())).timeframe.seconds * 10**9
    for stamp in stamps:
        closed = tuple(
            bars[name].bar(rows[name][stamp]) for name in sorted(bars) if stamp in rows[name]
        )
        spoken = tuple(
            signal_of(bar.instrument, bar.closed_at, said.get((stamp, bar.instrument), {}))
            for bar in closed
        )
        opening = {  # over a hole there is no price to fill at
            name: float(bars[name].open[rows[name][stamp + step]])
            for name in bars
            if stamp + step in rows[name]
        }
        yield closed, spoken, opening


def _ns(bars: Bars) -> list[int]:
    stamps: list[int] = bars.closed_at.astype("datetime64[ns]").astype(np.int64).tolist()
    return stamps


def _forecasts(signals: pd.DataFrame) -> dict[tuple[int, str], dict[Hashable, float]]:
    closed_at = pd.DatetimeIndex(signals.index.get_level_values(0)).as_unit("ns").asi8.tolist()
    names = signals.index.get_level_values(1).tolist()
    rows = signals.rename(columns={"probability": ENSEMBLE}).to_dict("records")
    keyed = zip(closed_at, names, rows, strict=True)
    return {(stamp, name): row for stamp, name, row in keyed}


def _report(
    commands: list[Command], host: LocalHost, hold: pd.Series, start_cash: Decimal
) -> BacktestReport:
    decisions = tuple(item for item in commands if isinstance(item, Decision))
    marks = [item for item in commands if isinstance(item, EquityMarked)]
    index = pd.DatetimeIndex([mark.at for mark in marks], name="closed_at")
    equity = pd.Series([float(mark.equity) for mark in marks], index=index, name="equity")
    invested = [mark.equity != mark.cash for mark in marks]
    metrics = _metrics(equity, float(start_cash), host.state.config)
    metrics["exposure"] = sum(invested) / len(invested)
    metrics["turnover"] = float(sum(fill.quote for fill in host.fills)) / float(start_cash)
    chain = hashlib.sha256()
    for decision in decisions:
        chain.update(encode(decision).encode())
    refused = Counter(str(d.reason) for d in decisions if d.action is Action.DECLINE)
    return BacktestReport(
        decisions=decisions,
        declined=dict(sorted(refused.items())),
        orders=tuple(item.intent for item in commands if isinstance(item, Trade)),
        fills=tuple(host.fills),
        equity=equity,
        buy_and_hold=hold,
        metrics=metrics,
        digest=chain.hexdigest(),
        state=host.state,
    )


def _metrics(equity: pd.Series, start: float, config: KernelConfig) -> dict[str, float]:
    values = np.concatenate([[start], equity.to_numpy(dtype=np.float64)])
    returns = values[1:] / values[:-1] - 1
    return {
        "total_return": float(values[-1] / start - 1),
        "sharpe_ratio": sharpe_ratio(returns, config.bars_per_day * 365),
        "max_drawdown": max_drawdown(values),
        "win_rate": win_rate(returns),
    }


def _hold(bars: Mapping[str, Bars], start_cash: Decimal, config: KernelConfig) -> pd.Series:
    closes = pd.concat({name: bars[name].frame()["close"] for name in sorted(bars)}, axis=1)
    grown = closes.ffill() / closes.bfill().iloc[0]
    kept = 1 - config.costs.pool_fee_bps / 10_000
    return (grown.fillna(1.0).mean(axis=1) * float(start_cash) * kept).rename("buy_and_hold")
