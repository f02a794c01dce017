"""What is done with real Ray processes, in a process of its own; prints what it saw as JSON."""

from __future__ import annotations

import itertools
import json
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

from dexml.cli_options import guard_ray

guard_ray()  # Ray reads its token mode once, when it is imported

import ray  # noqa: E402

from actors import runtime  # noqa: E402
from actors.sandbox import sandbox  # noqa: E402
from dexml.errors import ActorNotReady, StaleEpoch  # noqa: E402
from tests.system import strikes, tiny  # noqa: E402

N_CYCLES = 40
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


def undisturbed(home: Path, model: str) -> dict[str, Any]:
    with tiny.loop(home, "undisturbed", model) as one:
        began = time.perf_counter()
        one.live(N_CYCLES)
        return {**one.outcome(), "seconds": time.perf_counter() - began}


def struck(home: Path, model: str, whole: dict[str, Any]) -> dict[str, Any]:
    """Kill the owners of book and account at each point, at the first chances of a live run."""
    fills = whole["fills"]
    bars = [name for name in whole["events"] if name.startswith("bars_closed")]
    filled = f"filled:{fills[0]}"
    plan = [
        [RISK_POINTS[0], bars[3]],
        [RISK_POINTS[1], bars[4]],
        [RISK_POINTS[2], bars[5]],
        [RISK_POINTS[1], filled],
        [RISK_POINTS[2], f"filled:{fills[1]}"],
        *([point, fills[2 + n]] for n, point in enumerate(EXECUTION_POINTS)),
    ]
    with tiny.loop(home, "struck", model, strikes.StrikingCrew) as one:
        folder = one.crew.place.folder
        (folder / strikes.PLAN).write_text(json.dumps(plan))
        one.live(N_CYCLES)
        return {**one.outcome(), "planned": len(plan), "struck": strikes.n_struck(folder)}


def stormy(home: Path, model: str, n_kills: int = 6) -> dict[str, Any]:
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
        began = time.perf_counter()
        try:
            one.live(N_CYCLES)
        finally:
            ended.set()
            thread.join()
        return {**one.outcome(), "killed": killed, "seconds": time.perf_counter() - began}


def reborn(home: Path, model: str) -> dict[str, Any]:
    """Kill the risk actor and ask it at once and on until it is started again."""
    with tiny.loop(home, "reborn", model) as one:
        one.live(5)
        supervisor = one.crew.supervisor
        before = supervisor.ask("risk", "view")
        tiny.kill_9("RiskActor")
        said = list[str]()
        deadline = time.monotonic() + 20
        while "ActorNotReady" not in said and time.monotonic() < deadline:
            said.append(_answer("risk", "view"))
        refused = {name: _answer(name, method) for name, method in _QUESTIONS.items()}
        health = runtime.call("risk", "health")
        after = supervisor.ask("risk", "view")
        return {
            "said": sorted(set(said)),
            "health": health,
            "same": before == after,
            "others": refused,
            "stale": _stale(one),
        }


_QUESTIONS = {"execution": "health", "monitor": "health", "forecast": "health"}


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
    ledger, at = one.crew.ledger, tiny.INSTANTS[tiny.N_HISTORY + 4]
    from dexml.domain import Mode
    from dexml.events import ModeRequested

    ledger.acquire_epoch("risk", "a newer owner")
    events = len(list(ledger.events(one.run)))
    try:
        runtime.call("risk", "handle", ModeRequested(at=at, mode=Mode.HALTED, by="test"))
    except StaleEpoch:
        return ["StaleEpoch", str(len(list(ledger.events(one.run))) - events)]
    return ["accepted"]


def play(home: Path) -> dict[str, Any]:
    kept = home / "model.txt"
    model = kept.read_text() if kept.exists() else tiny.publish_suite(home)
    kept.write_text(model)
    with sandbox() as temp_dir:
        runtime.start_local(temp_dir)
        try:
            marks = [time.perf_counter()]
            whole = undisturbed(home, model)
            marks.append(time.perf_counter())
            seen = {"undisturbed": whole, "struck": struck(home, model, whole)}
            marks.append(time.perf_counter())
            seen["stormy"] = stormy(home, model)
            marks.append(time.perf_counter())
            seen["reborn"] = reborn(home, model)
            marks.append(time.perf_counter())
            return {**seen, "marks": [b - a for a, b in itertools.pairwise(marks)]}
        finally:
            ray.shutdown()


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(play(Path(sys.argv[1]))) + "\n")
