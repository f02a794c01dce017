"""A loop over plain objects: real owners of book and account, parts that fail as told, no Ray."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from actors.execution import ExecutionActor
from actors.forecast import Forecasts
from actors.monitor import MonitorActor
from actors.risk import RiskActor
from actors.supervisor import Member, Supervisor
from actors.watching import Watch
from dexml.costs import CostConfig
from dexml.data.sources.context import ContextReport
from dexml.domain import Signal
from dexml.execution.paper import PaperBroker
from dexml.experiments.sources import bar_sets
from dexml.ledger import Ledger
from dexml.records import encode
from dexml.simulation.market import MarketConfig, plant
from dexml.state import KernelConfig
from dexml.system import initial_state, warm_up

NAMES = ("BTC/USDT", "ETH/USDT")
RUN = "parts"
MARKET = plant(MarketConfig(instruments=NAMES, n_bars=400, bayes_accuracy=0.8))
SETS = bar_sets(MARKET.history.bars, 400)
FIRST = 300


class Part:
    """An actor that answers what it is told to, or fails with what it is told to."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.failure: Exception | None = None
        self.begun = self.asked = 0
        self.healed_by_start: int | None = None

    def start(self, epoch: int) -> None:
        self.begun += 1
        if self.begun == self.healed_by_start:
            self.failure = None

    def health(self) -> dict[str, Any]:
        if self.failure is not None:
            raise self.failure
        return {"epoch": 1}

    def poll(self, *_at: datetime) -> Any:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return self.answer() if callable(self.answer) else self.answer


class Forecaster(Part):
    unwell: tuple[tuple[str, str], ...] = ()

    def forecast(self, closed_at: Any) -> Any:
        bars = next(bars for bars in SETS if bars[0].closed_at == closed_at)
        said = [
            Signal(instrument=b.instrument, closed_at=closed_at, probability=0.9, members=())
            for b in bars
        ]
        self.answer = Forecasts(bars=bars, signals=tuple(said), unwell=self.unwell)
        return self.poll()


class Monitor(Part):
    def __init__(self, owner: MonitorActor) -> None:
        super().__init__(None)
        self.owner = owner

    def start(self, epoch: int) -> None:
        super().start(epoch)
        self.owner.start(epoch, [bar for bars in SETS[FIRST - 32 : FIRST] for bar in bars])

    def observe(self, bars: Any) -> Any:
        self.poll()
        return self.owner.observe(bars)


class Rig:
    """A loop over plain objects and a clock that a test moves."""

    def __init__(self, url: str, watch: Watch | None = None) -> None:
        self.ledger = Ledger.open(url)
        self.seconds = 0.0
        self.row = FIRST
        self.said: list[tuple[str, str]] = []
        self.supervisor = Supervisor(RUN, self.ledger, self.send, self.now, watch)
        self.parts: dict[str, Part] = {
            "feed:one": Part(None),
            "context": Part(ContextReport(n_news=0, n_macro=0, failed={})),
            "forecast": Forecaster(None),
            "monitor": Monitor(MonitorActor(RUN, url)),
        }
        self.owners: dict[str, Any] = {
            "risk": RiskActor(RUN, url),
            "execution": ExecutionActor(RUN, url, PaperBroker(CostConfig())),
        }
        for name, owner in (self.owners | self.parts).items():
            self.supervisor.add(Member(name=name, handle=owner))

    def now(self) -> float:
        self.seconds += 1e-6  # no two readings of a clock are equal
        return self.seconds

    def send(self, handle: Any, method: str, *args: Any) -> Any:
        def answer(_timeout_s: float) -> Any:
            self.said.append(("answered", method))
            self.seconds += 1
            return getattr(handle, method)(*args)

        self.said.append(("asked", method))
        return answer

    def live(self, n_cycles: int) -> None:
        for _ in range(n_cycles):
            self.supervisor.cycle(SETS[self.row][0].closed_at)
            self.row += 1

    def alerts(self, subject: str = "part_changed") -> list[str]:
        rows = self.ledger.alerts(RUN)
        return [row["text"] for row in rows if row["subject"] == subject]

    def decided(self) -> int:
        return len(self.ledger.decisions(RUN))


def begin_run(url: str) -> str:
    """Begin the run in a new ledger and return its address."""
    with Ledger.open(url) as ledger:
        state = initial_state(RUN, KernelConfig(), NAMES, Decimal(10_000))
        state = warm_up(state, SETS[:FIRST])
        at = SETS[FIRST - 1][0].closed_at
        ledger.start_run(RUN, at, {"initial_state": encode(state)}, 0)
    return url
