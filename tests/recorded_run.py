"""A home whose ledger holds a short run, made by the real owners of book and account, no Ray."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd

from actors.execution import ExecutionActor
from actors.risk import RiskActor
from dexml.domain import Bars, Intent, Timeframe
from dexml.events import Command, Event, Filled, OrderFailed
from dexml.execution.paper import PaperBroker
from dexml.experiments.backtest import LocalHost, backtest
from dexml.ledger import Ledger
from dexml.records import encode
from dexml.state import KernelConfig, State
from dexml.system import initial_state

RUN = "demo-20240101-000000-1"


class _OwnedHost(LocalHost):
    def __init__(self, state: State, url: str) -> None:
        broker = PaperBroker(state.config.costs)
        super().__init__(state, broker)
        self.risk, self.execution = RiskActor(RUN, url), ExecutionActor(RUN, url, broker)
        with Ledger.open(url) as ledger:
            self.risk.start(ledger.acquire_epoch("risk", "test"))
            self.execution.start(ledger.acquire_epoch("execution", "test"))

    def decide(self, event: Event) -> list[Command]:
        super().decide(event)
        return self.risk.handle(event)

    def execute(
        self, intents: Sequence[Intent], prices: Mapping[str, Decimal] | None, at: datetime
    ) -> list[Filled | OrderFailed]:
        return self.execution.work(prices, at)


def hourly(n_bars: int, seed: int = 0) -> pd.DataFrame:
    """Open, high, low, close and volume by opening time."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, n_bars)))
    opened = np.concatenate([[100.0], close[:-1]])
    return pd.DataFrame(
        {
            "timestamp": pd.date_range("2024-01-01", periods=n_bars, freq="h", tz="UTC"),
            "open": opened,
            "high": np.maximum(opened, close) * 1.002,
            "low": np.minimum(opened, close) / 1.002,
            "close": close,
            "volume": rng.lognormal(size=n_bars),
        }
    )


def record_run(home: Path, n_bars: int = 120) -> str:
    """Write a run of one instrument into the ledger of `home` and return its name."""
    frame = hourly(n_bars).set_index("timestamp").shift(freq="h")
    next_up = frame["close"].shift(-1) > frame["close"]
    return record_bars(home, {"BTC/USDT": frame}, {"BTC/USDT": np.where(next_up, 0.9, 0.1)})


def record_bars(
    home: Path, frames: Mapping[str, pd.DataFrame], chances: Mapping[str, np.ndarray]
) -> str:
    """Write a run over bars by closing time, with a probability for each of them."""
    url = f"sqlite:///{home / 'ledger.sqlite'}"
    bars = {name: Bars.from_frame(name, Timeframe.H1, frame) for name, frame in frames.items()}
    told = {name: pd.Series(chances[name], index=frame.index) for name, frame in frames.items()}
    said = pd.concat(told, names=["instrument", "closed_at"]).swaplevel().to_frame("probability")
    state = initial_state(RUN, KernelConfig(), tuple(bars), Decimal(10_000))
    with Ledger.open(url) as ledger:
        config = {"initial_state": encode(state)}
        ledger.start_run(RUN, datetime(2024, 1, 1, tzinfo=UTC), config, 0)
    backtest(bars, said, KernelConfig(), host=_OwnedHost(state, url))
    return RUN


def copied(home: Path, to: Path) -> Path:
    """Copy the ledger of a home, with what its log still holds; a copied file would lack that."""
    with (
        closing(sqlite3.connect(home / "ledger.sqlite")) as source,
        closing(sqlite3.connect(to / "ledger.sqlite")) as target,
    ):
        source.backup(target)
    return to


def write_bars(folder: Path, name: str, frame: pd.DataFrame) -> Path:
    folder.mkdir(exist_ok=True)
    frame.to_parquet(folder / name)
    return folder
