"""Owner of the book: the only one that applies `step` and commits what it decides."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from dexml.describe import describe
from dexml.errors import ActorNotReady
from dexml.events import Alert, Command, Decision, EquityMarked, Event, Trade
from dexml.experiments.replay import restore
from dexml.ledger import Ledger, StepRows
from dexml.records import decode_command, encode
from dexml.state import State
from dexml.system import step

__all__ = ["RiskActor"]

STREAM = "risk"
SNAPSHOT_EVERY = 64
_EXPLAINING = frozenset({"measured", "detail", "portfolio_weight"})


class RiskActor:
    """Hears events one at a time, decides, and commits decision and intents in one transaction.

    A success means that the event and all its commands are in the ledger. After any failure the
    caller may repeat the event: its id makes the second time return what was decided the first.
    """

    def __init__(self, run: str, database_url: str) -> None:
        self._run = run
        self._database_url = database_url
        self._epoch: int | None = None
        self._ledger: Ledger
        self._state: State
        self._since_snapshot = 0

    def health(self) -> dict[str, Any]:
        """Say whether the actor is started; answers at any time."""
        return {"ready": self._epoch is not None}

    def start(self, epoch: int) -> None:
        """Rebuild the state from the ledger, and own it under `epoch` from now on."""
        self._epoch = None
        self._ledger = Ledger.open(self._database_url)
        self._state = restore(self._ledger, self._run)
        self._since_snapshot = 0
        self._epoch = epoch

    def handle(self, event: Event) -> list[Command]:
        """Decide on an event, commit, and return the commands.

        Raises
        ------
        ActorNotReady
            Before `start`, and after a commit that failed.
        StaleEpoch
            If a newer owner has taken over; nothing was written.
        """
        epoch = self._require_ready()
        known = self._ledger.event_commands(self._run, event.id)
        if known is not None:
            return [decode_command(text) for text in known]
        state, commands = step(self._state, event)
        self._epoch = None  # a commit that fails may have happened: then only `start` knows
        self._commit(epoch, event, commands, state)
        self._state, self._epoch = state, epoch
        return commands

    def view(self) -> dict[str, Any]:
        """Return the book and the risk figures as JSON-able values."""
        self._require_ready()
        return describe(self._state)

    def _commit(self, epoch: int, event: Event, commands: list[Command], state: State) -> None:
        self._since_snapshot += 1
        due = self._since_snapshot >= SNAPSHOT_EVERY
        self._ledger.commit_event(
            STREAM,
            epoch,
            self._run,
            event.id,
            encode(event),
            [encode(command) for command in commands],
            _rows(commands),
            encode(state) if due else None,
        )
        if due:
            self._since_snapshot = 0

    def _require_ready(self) -> int:
        if self._epoch is None:
            raise ActorNotReady("risk", "must be started", "new", "Call start(epoch) first.")
        return self._epoch


def _rows(commands: list[Command]) -> StepRows:
    return StepRows(
        decisions=[_short(one) for one in commands if isinstance(one, Decision)],
        intents=[asdict(one.intent) for one in commands if isinstance(one, Trade)],
        equity=[_short(one) for one in commands if isinstance(one, EquityMarked)],
        alerts=[asdict(one) for one in commands if isinstance(one, Alert)],
    )


def _short(command: Decision | EquityMarked) -> dict[str, Any]:
    # what explains a figure stands in the record of the event only
    return {name: value for name, value in asdict(command).items() if name not in _EXPLAINING}
