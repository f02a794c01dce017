"""A crew small enough for tests: two instruments, one exchange, one fitted target."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import ray

from actors import runtime
from actors.crew import Crew, Place
from dexml.clock import SimulatedClock
from dexml.domain import to_datetime
from dexml.events import Decision
from dexml.experiments.replay import replay_run
from dexml.experiments.sources import bar_sets
from dexml.features.panel import PRICE_CORE, build_panel
from dexml.records import decode_command
from dexml.simulation.exchanges import ExchangeServers
from dexml.simulation.market import MarketConfig, plant
from dexml.state import KernelConfig
from dexml.system import initial_state, warm_up
from dexml.targets import labels
from tests.direction_suite import publish_direction

NAMES = ("BTC/USDT", "ETH/USDT")
N_HISTORY = 1_000
CONFIG = MarketConfig(
    instruments=NAMES, n_bars=1_600, bayes_accuracy=0.8, hourly_volatility=0.02, seed=0
)
MARKET = plant(CONFIG)
INSTANTS = [to_datetime(stamp) for stamp in CONFIG.closed_at]


def publish_suite(home: Path) -> str:
    """Fit `direction` on the bars before the loop begins and publish it alone."""
    panel = build_panel(MARKET.history.until(CONFIG.closed_at[N_HISTORY - 1])).iloc[: -len(NAMES)]
    return publish_direction(
        home, panel, PRICE_CORE, labels(MARKET.history.bars), INSTANTS[N_HISTORY]
    )


@dataclass(kw_only=True)
class Loop:
    """A crew and the clock that its exchange follows."""

    crew: Crew
    clock: SimulatedClock
    run: str

    def live(self, n_cycles: int) -> None:
        done = len(self.crew.ledger.equity(self.run))
        for closed_at in INSTANTS[N_HISTORY + done :][:n_cycles]:
            self.cycle(closed_at)

    def cycle(self, closed_at: datetime) -> None:
        self.clock.advance(closed_at - self.clock.now())
        self.crew.supervisor.cycle(closed_at)

    def outcome(self) -> dict[str, Any]:
        """What must be the same however often something died."""
        ledger, run = self.crew.ledger, self.run
        rows = list(ledger.events(run))
        commands = [decode_command(text) for row in rows for text in row.commands]
        decisions = [one for one in commands if isinstance(one, Decision)]
        fills = ledger.trades(run)
        return {
            "digest": hashlib.sha256(
                "".join(t for r in rows for t in r.commands).encode()
            ).hexdigest(),
            "events": [row.event_id for row in rows],
            "decisions": [one.decision_id for one in decisions],
            "fills": [fill["intent_id"] for fill in fills],
            "equity": [row["equity"] for row in ledger.equity(run)],
            "waiting": [row.intent_id for row in ledger.outbox(run)],
            "identical": replay_run(ledger, run).identical,
            "outcomes": len(ledger.outcomes(run)),
        }


@contextmanager
def loop(home: Path, run: str, model: str, crew_class: type[Crew] = Crew) -> Iterator[Loop]:
    """Start a crew on the planted market and retire it at the end."""
    clock = SimulatedClock(INSTANTS[N_HISTORY - 1])
    with ExchangeServers(MARKET.history, clock) as servers:
        urls = {name: servers.urls[name] for name in ("binance", "news", "macro")}
        place = Place(home=home, run=run)
        place.folder.mkdir(parents=True)
        crew = crew_class(place, NAMES, urls, ("vix",), clock)
        try:
            begin(crew, model)
            yield Loop(crew=crew, clock=clock, run=run)
        except KeyboardInterrupt:  # all of Ray ends, or has: who asks a dead one ends with it
            crew.ledger.close()
            raise
        except BaseException:
            retire(crew)
            raise
        retire(crew)


def begin(crew: Crew, model: str) -> None:
    crew.start_feeds()
    crew.supervisor.ask("context", "poll", timeout_s=60)
    since, until = INSTANTS[0] - timedelta(hours=1), INSTANTS[N_HISTORY - 1]
    crew.supervisor.ask("feed:binance", "backfill", since, until, timeout_s=60)
    config = KernelConfig()
    state = initial_state("tiny", config, NAMES, Decimal(10_000))
    sets = bar_sets(crew.history().bars, config.window_bars)
    crew.open_run(until, warm_up(state, sets), 0)
    crew.start_traders(model, config)


def retire(crew: Crew) -> None:
    """Kill the crew for good and wait until its names are free."""
    for member in crew.supervisor._members.values():
        ray.kill(member.handle)
        while named(member.name):
            time.sleep(0.05)
    crew.ledger.close()


def named(name: str) -> bool:
    try:
        runtime.find(name)
    except ValueError:
        return False
    return True


def processes() -> dict[str, psutil.Process]:
    """Return the live process of each actor by its class."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        title = (process.cmdline() or [""])[0].strip()
        if title.startswith("ray::") and "Actor" in title:
            found[title.removeprefix("ray::").partition(".")[0]] = process
    return found


def kill_9(cls: str) -> int:
    """Kill the process of an actor as the kernel would when memory is short; return its pid."""
    process = processes()[cls]
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    return process.pid
