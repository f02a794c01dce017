"""What the kernel was told of parts and instruments, so that only changes are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from actors.failures import first_line
from dexml.events import HealthChanged, PartChanged
from dexml.experiments.replay import restore
from dexml.ledger import Ledger

__all__ = ["Standing"]


class Standing:
    """Lets the kernel hear when a part or an instrument begins to fail, and when it is well again.

    Parameters
    ----------
    ask : callable
        As `Supervisor.ask`.
    """

    def __init__(self, run: str, ledger: Ledger, ask: Callable[..., Any]) -> None:
        self._run, self._ledger, self._ask = run, ledger, ask
        self._failing: set[str] = set()
        self._unwell: set[str] | None = None  # not asked yet

    def of_part(self, at: datetime, name: str, failure: tuple[str, object] | None) -> None:
        """Hear how a part is: None, or what it was asked and what became of it."""
        if (failure is None) == (name not in self._failing):
            return
        reason = "" if failure is None else f"{failure[0]}: {first_line(failure[1])}"
        event = PartChanged(at=at, part=name, working=failure is None, reason=reason)
        self._ask("risk", "handle", event)
        self._failing ^= {name}

    def of_instruments(self, at: datetime, unwell: Mapping[str, str]) -> None:
        """Hear which instruments are in quarantine, and why."""
        if self._unwell is None:  # an earlier life may have told of some
            books = restore(self._ledger, self._run).books
            self._unwell = {book.instrument for book in books if not book.healthy}
        for name in sorted(self._unwell ^ set(unwell)):
            event = HealthChanged(
                at=at,
                instrument=name,
                healthy=name not in unwell,
                reason=unwell.get(name, "its bars are whole again"),
            )
            self._ask("risk", "handle", event)
        self._unwell = set(unwell)
