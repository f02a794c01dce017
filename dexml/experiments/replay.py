"""Hear a recorded run again and compare every command, byte by byte."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dexml.errors import UsageError
from dexml.events import Decision
from dexml.ledger import Ledger
from dexml.records import decode_event, decode_state, encode
from dexml.state import State
from dexml.system import step

__all__ = ["Recorded", "ReplayReport", "began", "replay", "replay_run", "restore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One event and the commands it caused, as records (see `dexml.records.encode`)."""

    event: str
    commands: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """Whether the run repeats itself.

    Attributes
    ----------
    first_difference : str or None
        The event's id with what was recorded and what is decided now.
    state : State
        After the last event that was heard.
    """

    identical: bool
    events: int
    decisions: int
    first_difference: str | None
    state: State


def replay(events: Iterable[Recorded], initial: State) -> ReplayReport:
    """Hear recorded events from `initial`, and stop at the first command that differs."""
    state, n_events, n_decisions = initial, 0, 0
    difference = None
    for recorded in events:
        event = decode_event(recorded.event)
        state, commands = step(state, event)
        n_events += 1
        n_decisions += sum(isinstance(command, Decision) for command in commands)
        now = [encode(command) for command in commands]
        if now != list(recorded.commands):
            difference = _described(event.id, list(recorded.commands), now)
            break
    return ReplayReport(
        identical=difference is None,
        events=n_events,
        decisions=n_decisions,
        first_difference=difference,
        state=state,
    )


def replay_run(ledger: Ledger, run: str) -> ReplayReport:
    """Replay a run of the ledger from its first event, after verifying every chain.

    Raises
    ------
    UsageError
        If the ledger has no such run.
    LedgerError
        If a row was changed since it was written.
    """
    initial = decode_state(began(ledger, run)["config"]["initial_state"])
    ledger.verify()
    rows = (Recorded(event=row.event, commands=row.commands) for row in ledger.events(run))
    return replay(rows, initial)


def restore(ledger: Ledger, run: str) -> State:
    """Return the state after the last event of a run: its newest snapshot, and what came after.

    Raises
    ------
    UsageError
        If the ledger has no such run.
    LedgerError
        If the snapshot, the run's beginning or a row of the book's stream was changed.
    """
    first = began(ledger, run)["config"]["initial_state"]
    for stream in ("runs", "risk"):
        ledger.verify_chain(stream)
    seq, text = ledger.latest_snapshot(run) or (0, first)
    state = decode_state(text)
    for row in ledger.events(run, after_seq=seq):
        state, _ = step(state, decode_event(row.event))
    return state


def began(ledger: Ledger, run: str) -> dict[str, Any]:
    """Return the run's record; raises UsageError, naming the latest, if there is none."""
    started = ledger.run(run)
    if started is None:
        latest = ledger.latest_run()
        raise UsageError(
            "run",
            "must be in the ledger",
            run,
            f"The latest is {latest['run'] if latest else 'none'}.",
        )
    return started


def _described(event_id: str, then: list[str], now: list[str]) -> str:
    for old, new in zip(then, now, strict=False):
        if old != new:
            return f"{event_id}: recorded {old}, now {new}"
    return f"{event_id}: recorded {len(then)} commands, now {len(now)}"
