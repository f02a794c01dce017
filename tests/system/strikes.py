"""Actors that kill their own process, for real, at a named point; each strike happens once."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from sqlalchemy import event

import actors.execution
import actors.risk
from actors.crew import Crew
from dexml.ledger import Ledger

PLAN = "strikes.json"


def strike(folder: Path, point: str, key: str) -> None:
    """Kill this process with SIGKILL if the plan has this strike and it has not happened."""
    plan = folder / PLAN
    strikes = json.loads(plan.read_text()) if plan.exists() else []
    if [point, key] not in strikes:
        return
    try:
        (folder / f"struck-{strikes.index([point, key])}").touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def n_struck(folder: Path) -> int:
    return len(list(folder.glob("struck-*")))


class Striking:
    """Strikes at the end of a transaction, when all rows are written but not committed."""

    _ledger: Ledger
    _home: Path
    _at = ("", "")

    def _watch_commits(self) -> None:
        engine = self._ledger._database._engine
        event.listen(engine, "commit", lambda _connection: strike(self._home, *self._at))


class RiskActor(Striking, actors.risk.RiskActor):
    def __init__(self, run: str, database_url: str) -> None:
        super().__init__(run, database_url)
        self._home = Path(database_url.removeprefix("sqlite:///")).parent / "runs" / run

    def start(self, epoch: int) -> None:
        super().start(epoch)
        self._watch_commits()

    def handle(self, event: Any) -> Any:
        strike(self._home, "risk: heard nothing", event.id)
        self._at = ("risk: written, not committed", event.id)
        commands = super().handle(event)
        strike(self._home, "risk: committed, not answered", event.id)
        return commands


class ExecutionActor(Striking, actors.execution.ExecutionActor):
    def __init__(self, run: str, database_url: str, broker: Any) -> None:
        super().__init__(run, database_url, broker)
        self._home = Path(database_url.removeprefix("sqlite:///")).parent / "runs" / run

    def start(self, epoch: int) -> None:
        super().start(epoch)
        self._watch_commits()

    def work(self, prices: Any, at: Any) -> Any:
        if self._epoch is not None:
            for row in self._ledger.outbox(self._run):
                strike(self._home, "execution: began nothing", row.intent_id)
        outcomes = super().work(prices, at)
        for one in outcomes:
            strike(self._home, "execution: recorded, not answered", one.id.partition(":")[2])
        return outcomes

    def _settle(self, epoch: int, intent_id: str, outcome: Any, at: Any) -> None:
        strike(self._home, "execution: filled, not recorded", intent_id)
        self._at = ("execution: written, not committed", intent_id)
        super()._settle(epoch, intent_id, outcome, at)


class StrikingCrew(Crew):
    """A crew whose owners of book and account die as planned."""

    def _add(self, cls: type, name: str, *arguments: Any, begin: Any = tuple) -> None:
        striking: dict[str, type] = {"risk": RiskActor, "execution": ExecutionActor}
        super()._add(striking.get(name, cls), name, *arguments, begin=begin)
