"""The book of a run from its ledger; what was read once is not read again."""

from __future__ import annotations

from threading import Lock
from typing import Any

from dexml.book.track import Track
from dexml.book.view import book_view
from dexml.events import OrderFailed
from dexml.experiments.replay import began
from dexml.ledger import EventRow, Ledger
from dexml.records import decode_command, decode_event, decode_state
from dexml.state import State
from dexml.system import step

__all__ = ["BookReader"]


class BookReader:
    """Follows one run; asking again costs one query until there is a new event.

    The state is the newest snapshot and what was heard after it, so that a long run is opened
    without deciding it again. Safe to use from several threads.

    Parameters
    ----------
    ledger : Ledger
        Where the run is.
    run : str
        Its name.
    """

    def __init__(self, ledger: Ledger, run: str) -> None:
        self._ledger, self._run = ledger, run
        self._lock = Lock()
        self._track = Track()
        self._seq = self._state_seq = 0
        self._state: State | None = None
        self._view: dict[str, Any] | None = None

    def view(self) -> dict[str, Any]:
        """Return the book as `book_view` shows it.

        Raises
        ------
        UsageError
            If the ledger has no such run.
        LedgerError
            If a record cannot be read, or the snapshot is not the one that was committed.
        """
        with self._lock:
            state = self._state or self._opened()
            for row in self._ledger.events(self._run, after_seq=self._seq):
                state, self._view = self._heard(row, state), None
            self._state = state
            if self._view is None:
                self._view = {"run": self._run, **book_view(self._track, state)}
            return self._view

    def _opened(self) -> State:
        first = began(self._ledger, self._run)["config"]["initial_state"]
        self._state_seq, text = self._ledger.latest_snapshot(self._run) or (0, first)
        return decode_state(text)

    def _heard(self, row: EventRow, state: State) -> State:
        commands = [decode_command(text) for text in row.commands]
        kind, _, intent_id = row.event_id.partition(":")
        if row.seq > self._state_seq:
            state, _ = step(state, decode_event(row.event))
        if kind == "order_failed":
            event = decode_event(row.event)
            if isinstance(event, OrderFailed):
                self._track.not_filled(event)
        if kind == "filled":
            self._track.filled(intent_id)
        self._track.decided(commands)
        self._seq, self._state = row.seq, state
        return state
