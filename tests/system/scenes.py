"""What is done with real Ray processes, in a process of its own; prints what it saw as JSON."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

from dexml.cli_options import guard_ray

guard_ray()  # Ray reads its token mode once, when it is imported

import psutil  # noqa: E402
import ray  # noqa: E402

from actors import cluster, runtime  # noqa: E402
from actors.sandbox import sandbox  # noqa: E402
from actors.supervisor import Member, Supervisor  # noqa: E402
from actors.trainer import TrainerActor  # noqa: E402
from dexml.domain import Mode  # noqa: E402
from dexml.errors import ActorNotReady, StaleEpoch  # noqa: E402
from dexml.events import ModeRequested  # noqa: E402
from dexml.features.panel import PRICE_CORE  # noqa: E402
from dexml.ledger import Ledger  # noqa: E402
from dexml.models.fits import FitLimits, FitRequest  # noqa: E402
from dexml.models.registry import Registry  # noqa: E402
from dexml.models.tabular import FitSpec  # noqa: E402
from tests.system import strikes, tiny  # noqa: E402

N_CYCLES = 30
RISK_POINTS = (
    "risk: heard nothing",
    "risk: written, not committed",
    "risk: committed, not answered",
)
EXECUTION_POINTS = (
    "execution: began nothing",
    "execution: filled, not recorded",
    "execution: written, not committed",
    "execution: recorded, not answered",
)


def undisturbed(home: Path, model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    with tiny.loop(home, "undisturbed", model) as one:
        one.live(N_CYCLES)
        return one.outcome(), reborn(one)


def struck(home: Path, model: str, whole: dict[str, Any]) -> dict[str, Any]:
    """Kill the owners of book and account at each point, at the first chances of a live run."""
    fills = whole["fills"]
    bars = [name for name in whole["events"] if name.startswith("bars_closed")]
    plan = [
        [RISK_POINTS[0], bars[3]],
        [RISK_POINTS[1], bars[4]],
        [RISK_POINTS[2], f"filled:{fills[0]}"],
        *([point, fills[1 + n]] for n, point in enumerate(EXECUTION_POINTS)),
    ]
    with tiny.loop(home, "struck", model, strikes.StrikingCrew) as one:
        folder = one.crew.place.folder
        (folder / strikes.PLAN).write_text(json.dumps(plan))
        one.live(N_CYCLES)
        return {**one.outcome(), "planned": len(plan), "struck": strikes.n_struck(folder)}


def stormy(home: Path, model: str, n_kills: int = 4) -> dict[str, Any]:
    """Kill any actor at random instants from outside while the loop lives."""
    draw, ended, killed = random.Random(0), threading.Event(), list[str]()

    def storm() -> None:
        while len(killed) < n_kills and not ended.wait(draw.uniform(0.3, 1.5)):
            alive = sorted(tiny.processes())
            if alive:
                name = draw.choice(alive)
                tiny.kill_9(name)
                killed.append(name)

    with tiny.loop(home, "stormy", model) as one:
        thread = threading.Thread(target=storm, daemon=True)
        thread.start()
        try:
            one.live(N_CYCLES)
        finally:
            ended.set()
            thread.join()
        return {**one.outcome(), "killed": killed}


def reborn(one: tiny.Loop) -> dict[str, Any]:
    """Kill the risk actor and ask it at once and on until it has a new, empty life."""
    before = one.crew.supervisor.ask("risk", "view")
    tiny.kill_9("RiskActor")
    said = list[str]()
    deadline = time.monotonic() + 20
    while "ActorNotReady" not in said and time.monotonic() < deadline:
        said.append(_answer("risk", "view"))
    health = runtime.call("risk", "health")
    after = one.crew.supervisor.ask("risk", "view")
    return {
        "said": sorted(set(said)),
        "health": health,
        "same": before == after,
        "stale": _stale(one),
    }


def _answer(name: str, method: str) -> str:
    try:
        runtime.call(name, method)
    except ActorNotReady:
        return "ActorNotReady"
    except Exception as error:
        return "away" if runtime.away(error) else type(error).__name__
    return "answered"


def _stale(one: tiny.Loop) -> list[str]:
    """Take each stream over from its actor and let the actor go on."""
    ledger, at = one.crew.ledger, tiny.INSTANTS[tiny.N_HISTORY + N_CYCLES]
    ledger.acquire_epoch("risk", "a newer owner")
    events = len(list(ledger.events(one.run)))
    try:
        runtime.call("risk", "handle", ModeRequested(at=at, mode=Mode.HALTED, by="test"))
    except StaleEpoch:
        return ["StaleEpoch", str(len(list(ledger.events(one.run))) - events)]
    return ["accepted"]


def lost_fit(home: Path) -> dict[str, Any]:
    """Kill the trainer while its fit runs; the fit must be begun again and end once."""
    supervisor = Supervisor("lost", Ledger.open(f"sqlite:///{home / 'ledger.sqlite'}"))
    handle = runtime.start(TrainerActor, "direction", str(home), name="trainer", lifetime=None)
    supervisor.add(Member(name="trainer", handle=handle))
    spec = FitSpec(target="direction", columns=PRICE_CORE, n_folds=3)
    request = FitRequest(rows=str(home / "rows.parquet"), spec=spec)
    supervisor.ask("trainer", "submit", "lost", request, FitLimits(), 1)
    first = _child_of_fit()
    tiny.kill_9("TrainerActor")
    status = supervisor.ask("trainer", "status", "lost")
    first.wait(timeout=20)
    while status.state == "queued":
        time.sleep(0.2)
        status = supervisor.ask("trainer", "status", "lost")
    tiny.kill_9("TrainerActor")
    again = supervisor.ask("trainer", "status", "lost")
    manifest, _ = Registry.of(home).describe(str(status.digest))
    return {"state": status.state, "same": again == status, "published": bool(manifest["files"])}


def _child_of_fit() -> psutil.Process:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for process in psutil.Process().children(recursive=True):
            try:
                if "dexml.models.fits" in process.cmdline():
                    return process
            except psutil.Error:
                continue
        time.sleep(0.1)
    raise TimeoutError("no fit began")


def play(home: Path, model: str) -> dict[str, Any]:
    with sandbox() as temp_dir:
        cluster.start_local(temp_dir, dashboard=False)
        try:
            whole, born = undisturbed(home, model)
            return {
                "undisturbed": whole,
                "struck": struck(home, model, whole),
                "stormy": stormy(home, model),
                "reborn": born,
                "lost_fit": lost_fit(home),
            }
        finally:
            ray.shutdown()


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(play(Path(sys.argv[1]), sys.argv[2])) + "\n")
