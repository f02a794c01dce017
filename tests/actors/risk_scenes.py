"""What `test_risk_ray.py` asks about, lived through on a local Ray; the last line is JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from dexml.cli_options import guard_ray

guard_ray()

import ray  # noqa: E402
from ray.exceptions import RayActorError  # noqa: E402

import actors.risk  # noqa: E402
from actors import cluster, runtime  # noqa: E402
from actors.sandbox import sandbox  # noqa: E402
from actors.supervisor import Member, Supervisor  # noqa: E402
from dexml.domain import Bar, Signal  # noqa: E402
from dexml.events import Action, BarsClosed, Decision, Trade  # noqa: E402
from dexml.experiments.replay import replay_run, restore  # noqa: E402
from dexml.experiments.sources import bar_sets  # noqa: E402
from dexml.ledger import Ledger  # noqa: E402
from dexml.records import encode  # noqa: E402
from dexml.reservations import reserved  # noqa: E402
from dexml.risk.orders import OrderLimits  # noqa: E402
from dexml.simulation.market import MarketConfig, plant  # noqa: E402
from dexml.state import KernelConfig  # noqa: E402
from dexml.system import initial_state, warm_up  # noqa: E402

N_CALLERS, N_IN_FLIGHT, N_BARS = 20, 50, 120
NAMES = tuple(f"{letter}{letter}/USDT" for letter in "ABCDEFGHIJKLMNOPQRST")


class RiskActor(actors.risk.RiskActor):
    """The actor, which also says in which process it lives."""

    def pid(self) -> int:
        return os.getpid()


class Scene:
    """A run of some instruments and the actor that owns its book."""

    def __init__(self, url: str, run: str, names: Sequence[str], config: KernelConfig) -> None:
        market = plant(MarketConfig(instruments=tuple(names), n_bars=N_BARS, bayes_accuracy=0.8))
        sets = bar_sets(market.history.bars, N_BARS)
        self.url, self.run, self.last = url, run, {bar.instrument: bar for bar in sets[-1]}
        self.ledger = Ledger.open(url)
        state = warm_up(initial_state(run, config, names, Decimal(10_000)), sets)
        self.at: datetime = sets[-1][0].closed_at
        self.ledger.start_run(run, self.at, {"initial_state": encode(state)}, 0)
        self.supervisor = Supervisor(run, self.ledger)
        self.actor = self.owner(f"risk of {run}")
        self.supervisor.add(Member(name="risk", handle=self.actor))

    def owner(self, name: str) -> Any:
        return runtime.start(RiskActor, self.run, self.url, name=name, lifetime=None)

    def close_of(self, name: str, seconds: float) -> BarsClosed:
        """A bar that is bought on."""
        bar = closed_later(self.last[name], self.at + timedelta(seconds=seconds))
        said = Signal(instrument=name, closed_at=bar.closed_at, probability=0.9)
        return BarsClosed(at=bar.closed_at, bars=(bar,), signals=(said,))


def closed_later(bar: Bar, at: datetime) -> Bar:
    return replace(bar, closed_at=at, open=bar.close, high=bar.close, low=bar.close)


@ray.remote(num_cpus=0)
def insist(actor: Any, closes: Sequence[BarsClosed]) -> tuple[str, str, int]:
    """Offer later and later bars until one is decided on: an older one than was heard is not."""
    for close in closes:
        commands = runtime.call(actor, "handle", close, timeout_s=120)
        decided = [one for one in commands if isinstance(one, Decision)]
        if decided:
            n_orders = sum(isinstance(one, Trade) for one in commands)
            done = "enter" if decided[0].action is Action.ENTER else "declined"
            return done, f"{decided[0].reason} {decided[0].detail}", n_orders
    return "never decided", "", 0


def race(scene: Scene) -> dict[str, Any]:
    """Let a caller for each instrument want the whole of the gross limit."""
    asked = []  # all within a minute: an order that stays open for longer would trip the mode
    for number, name in enumerate(NAMES):
        closes = [scene.close_of(name, (20 * k + number + 1) / 100) for k in range(2 * N_CALLERS)]
        asked.append(insist.remote(scene.actor, closes))
    told = ray.get(asked, timeout=240)
    return {
        "callers": len(asked),
        "told": [done for done, _, _ in told],
        "reasons": sorted({reason for done, reason, _ in told if done == "declined"}),
        "orders": sum(n_orders for _, _, n_orders in told),
        "queued": len(scene.ledger.outbox(scene.run)),
        "reservations": len(scene.ledger.reservations(scene.run)),
        "identical": replay_run(scene.ledger, scene.run).identical,
    }


@ray.remote(num_cpus=0)
def tell(actor: Any, close: BarsClosed) -> list[str]:
    return [encode(one) for one in runtime.call(actor, "handle", close, timeout_s=120)]


def same(scene: Scene) -> dict[str, Any]:
    before = scene.ledger.n_events(scene.run)
    close = scene.close_of(NAMES[0], 10_000)
    told = ray.get([tell.remote(scene.actor, close) for _ in range(N_CALLERS)], timeout=240)
    return {
        "callers": len(told),
        "answers": len({json.dumps(one) for one in told}),
        "new_events": scene.ledger.n_events(scene.run) - before,
    }


def killed(scene: Scene) -> dict[str, Any]:
    """Kill the actor while decisions are in flight; repeat, as the loop does, what was lost."""
    pids = {runtime.call(scene.actor, "pid")}
    closes = [scene.close_of(NAMES[0], n) for n in range(1, N_IN_FLIGHT + 1)]
    asked = [scene.actor.handle.remote(close) for close in closes]
    while scene.ledger.n_events(scene.run) < N_IN_FLIGHT // 3:
        time.sleep(0.01)
    os.kill(next(iter(pids)), signal.SIGKILL)
    failures = []
    for close, reference in zip(closes, asked, strict=True):
        try:
            ray.get(reference, timeout=60)
        except Exception as error:
            away = isinstance(error, RayActorError)
            failures.append("away" if away else type(error.cause).__name__)  # type: ignore[attr-defined]
            scene.supervisor.ask("risk", "handle", close)
    pids.add(runtime.call(scene.actor, "pid"))
    heard = [row.event_id for row in scene.ledger.events(scene.run)]
    open_intents = reserved(restore(scene.ledger, scene.run))
    kept = scene.ledger.reservations(scene.run)
    return {
        "in_flight": len(asked),
        "pids": len(pids),
        "failures": failures,
        "events": len(heard),
        "distinct_events": len(set(heard)),
        "in_order": heard == [close.id for close in closes],
        "reserved": sorted(kept),
        "open": sorted(open_intents),
        "equal": kept == open_intents,
        "identical": replay_run(scene.ledger, scene.run).identical,
    }


def paused(scene: Scene) -> dict[str, Any]:
    """Stop the actor with a call in its mailbox, replace it, and let it go on."""
    before = scene.ledger.n_events(scene.run)
    close = scene.close_of(NAMES[0], 100_000)
    pid = runtime.call(scene.actor, "pid")
    os.kill(pid, signal.SIGSTOP)
    waiting = scene.actor.handle.remote(close)
    new = scene.owner("another risk")
    scene.supervisor.add(Member(name="risk", handle=new))
    scene.supervisor.ask("risk", "handle", close)
    os.kill(pid, signal.SIGCONT)
    return {
        "old": failure(waiting),
        "after": failure(scene.actor.handle.remote(scene.close_of(NAMES[0], 100_001))),
        "new_events": scene.ledger.n_events(scene.run) - before,
    }


def failure(reference: Any) -> str:
    try:
        ray.get(reference, timeout=60)
    except Exception as error:
        return type(error.cause).__name__  # type: ignore[attr-defined]
    return "none"


def main(folder: Path) -> None:
    with sandbox() as place:
        cluster.start_local(place, num_cpus=2, dashboard=False)
        limits = OrderLimits(gross_notional=Decimal(500))
        url = f"sqlite:///{folder}/race.db"
        first = Scene(url, "race", NAMES, KernelConfig(orders=limits))
        said = {"race": race(first), "same": same(first)}
        url = f"sqlite:///{folder}/killed.db"
        second = Scene(url, "killed", NAMES[:1], KernelConfig())
        said |= {"killed": killed(second), "paused": paused(second)}
        ray.shutdown()
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
