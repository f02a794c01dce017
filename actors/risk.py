"""Owner of the book: the only one that applies `step` and commits what it decides.

Decision, intents, what they reserve and the outbox are one transaction, under the owner's epoch and
on condition that the run has heard nothing that the owner has not.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from dexml.describe import describe
from dexml.errors import ActorNotReady, LedgerError
from dexml.events import Alert, Command, Decision, EquityMarked, Event, Filled, Trade
from dexml.experiments.replay import began, restore
from dexml.ledger import Ledger, StepRows
from dexml.records import decode_command, decode_event, decode_state, encode
from dexml.reservations import NOTHING, changed, reserved, room
from dexml.state import State
from dexml.system import step
from dexml.vitals import account_gap

__all__ = ["RiskActor"]

STREAM = "risk"
SNAPSHOT_EVERY = 64
_EXPLAINING = frozenset({"measured", "detail", "portfolio_weight"})


class RiskActor:
    """Hears events one at a time, decides, and commits decision and intents in one transaction.

    A success means that the event and all its commands are in the ledger. After any failure, also
    one that leaves open whether the commit happened, the actor must be started again, and the
    caller may repeat the event: its id makes the second time return what was decided the first.
    """

    def __init__(self, run: str, database_url: str) -> None:
        self._run = run
        self._database_url = database_url
        self._epoch: int | None = None
        self._ledger: Ledger
        self._state: State
        self._begun: State | None = None
        self._n_heard = 0

    def health(self) -> dict[str, Any]:
        """Say whether the actor is started; answers at any time."""
        return {"ready": self._epoch is not None}

    def start(self, epoch: int) -> None:
        """Rebuild the state from the ledger, and own it under `epoch` from now on.

        Raises
        ------
        StaleEpoch
            If a newer owner has taken over.
        LedgerError
            If the ledger was changed, or reserves for other intents than are open.
        """
        self._epoch = None
        self._ledger = Ledger.open(self._database_url)
        self._ledger.require_epoch(STREAM, epoch)
        self._n_heard = self._ledger.n_events(self._run)
        self._state = restore(self._ledger, self._run)
        self._require_reserved()
        self._epoch = epoch

    def handle(self, event: Event) -> list[Command]:
        """Decide on an event, commit, and return the commands.

        Raises
        ------
        ActorNotReady
            Before `start`, and after a call that failed.
        StaleEpoch
            If a newer owner has taken over; nothing was written.
        LimitReached
            If the ledger reserves more than the book knows of; nothing was written.
        LedgerAway
            If the database does not answer; the event may have been committed.
        EnvironmentRefused
            If the database is full or read-only; nothing was written.
        """
        epoch = self._require_ready()
        self._epoch = None  # a commit that fails may have happened: then only `start` knows
        known = self._ledger.event_commands(self._run, event.id)
        if known is None:
            commands = self._decide(epoch, event)
        else:
            self._ledger.require_epoch(STREAM, epoch)
            commands = [decode_command(text) for text in known]
        self._epoch = epoch
        return commands

    def view(self) -> dict[str, Any]:
        """Return the book and the risk figures as JSON-able values."""
        self._require_ready()
        return describe(self._state)

    def account_gap(self) -> float:
        """Return how far the book is from what its account's fills add up to (share of equity)."""
        self._require_ready()
        if self._begun is None:
            text = began(self._ledger, self._run)["config"]["initial_state"]
            self._begun = decode_state(text)
        waiting = {row.intent_id for row in self._ledger.unheard_outcomes(self._run)}
        rows = [row for row in self._ledger.fills(self._run) if row.intent_id not in waiting]
        filled = [decode_event(json.dumps(row.outcome)) for row in rows]
        fills = [event.fill for event in filled if isinstance(event, Filled)]
        return account_gap(self._state, self._begun, fills)

    def _decide(self, epoch: int, event: Event) -> list[Command]:
        state, commands = step(self._state, event)
        self._commit(epoch, event, commands, state)
        self._state = state
        self._n_heard += 1
        return commands

    def _commit(self, epoch: int, event: Event, commands: list[Command], state: State) -> None:
        # counted over all lives: an owner that dies often must not replay ever more
        due = (self._n_heard + 1) % SNAPSHOT_EVERY == 0
        self._ledger.commit_event(
            STREAM,
            epoch,
            self._run,
            event.id,
            encode(event),
            [encode(command) for command in commands],
            _rows(commands, self._state, state),
            encode(state) if due else None,
            after=self._n_heard,
        )

    def _require_reserved(self) -> None:
        open_intents = reserved(self._state)
        kept = self._ledger.reservations(self._run, list(open_intents))
        for intent_id in sorted(kept):
            due = open_intents.get(intent_id, NOTHING)
            if kept[intent_id] != due:
                raise LedgerError(
                    f"reservation of intent {intent_id!r}",
                    f"must be {due}, as the book has it",
                    kept[intent_id],
                    "Stay halted, and compare dexml replay with the ledger's reservations.",
                )

    def _require_ready(self) -> int:
        if self._epoch is None:
            raise ActorNotReady("risk", "must be started", "new", "Call start(epoch) first.")
        return self._epoch


def _rows(commands: list[Command], before: State, after: State) -> StepRows:
    return StepRows(
        decisions=[_short(one) for one in commands if isinstance(one, Decision)],
        intents=[asdict(one.intent) for one in commands if isinstance(one, Trade)],
        equity=[_short(one) for one in commands if isinstance(one, EquityMarked)],
        alerts=[asdict(one) for one in commands if isinstance(one, Alert)],
        reservations=changed(before, after),
        room=room(before, after),
    )


def _short(command: Decision | EquityMarked) -> dict[str, Any]:
    # what explains a figure stands in the record of the event only
    return {name: value for name, value in asdict(command).items() if name not in _EXPLAINING}
