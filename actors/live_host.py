"""The loop's host where book and account are owned by actors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from dexml.domain import Intent
from dexml.events import Command, Event, Filled, OrderFailed

__all__ = ["LiveHost"]


class LiveHost:
    """Carries the kernel's words to the actors that own the book and the account.

    Parameters
    ----------
    ask : callable
        As `Supervisor.ask`.
    """

    def __init__(self, ask: Callable[..., Any]) -> None:
        self._ask = ask

    def decide(self, event: Event) -> list[Command]:
        """Let the owner of the book hear `event`; return what it decides."""
        if isinstance(event, OrderFailed):  # an order that risk forgets must never be sent later
            event = self._ask("execution", "give_up", event)
        commands: list[Command] = self._ask("risk", "handle", event)
        return commands

    def execute(
        self, intents: Sequence[Intent], prices: Mapping[str, Decimal] | None, at: datetime
    ) -> list[Filled | OrderFailed]:
        """Let the owner of the account work; it finds the intents in its outbox."""
        outcomes: list[Filled | OrderFailed] = self._ask("execution", "work", prices, at)
        return outcomes
