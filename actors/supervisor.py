"""The one that knows the other actors: starts them, drives the loop, revives what died."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from ray.exceptions import GetTimeoutError, RayActorError

from actors import runtime
from dexml.cycle import run_bar
from dexml.domain import Intent
from dexml.errors import ActorNotReady, EnvironmentRefused
from dexml.events import Command, Event, Filled, OrderFailed
from dexml.ledger import Ledger

__all__ = ["Member", "Supervisor"]

PATIENCE_S = 60.0  # for an actor to come back


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One actor of the crew: how to find it and how it begins.

    Attributes
    ----------
    name : str
        Its Ray name, which is also the name of its writer stream.
    begin : callable
        Gives the arguments of `start` after the epoch; called at each (re)start.
    """

    name: str
    handle: Any
    begin: Callable[[], tuple[Any, ...]] = tuple


class Supervisor:
    """Drives one run: bars in, forecasts, decisions, orders, outcomes.

    Every call that has an effect carries a key, so after an actor died the supervisor waits for
    its next life, starts it under a new epoch and repeats the call: nothing is lost or made twice.
    """

    def __init__(self, run: str, ledger: Ledger, call: Callable[..., Any] = runtime.call) -> None:
        self._run = run
        self._ledger = ledger
        self._call = call
        self._members: dict[str, Member] = {}

    def add(self, member: Member) -> None:
        """Take in a member and start it under a new epoch."""
        self._members[member.name] = member
        self._begin(member)

    def ask(self, name: str, method: str, *args: Any, timeout_s: float = 10.0) -> Any:
        """Call a member's method, reviving the member as often as it dies within the patience."""
        member = self._members[name]
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self._call(member.handle, method, *args, timeout_s=timeout_s)
            except (RayActorError, GetTimeoutError, ActorNotReady) as error:
                if time.monotonic() > deadline:
                    raise _gone(name, error) from error
                self._begin(member)

    def cycle(self, closed_at: datetime) -> list[Command]:
        """Live through the bars that close at `closed_at`; return what was decided."""
        prices = self._poll()
        forecasts = self.ask("forecast", "forecast", closed_at, timeout_s=30)
        commands = run_bar(_LiveHost(self), forecasts.bars, forecasts.signals, prices)
        self.ask("monitor", "observe", list(forecasts.bars))
        return commands

    def _poll(self) -> dict[str, float]:
        # the first feed is the preferred one: its price of an open bar wins
        prices: dict[str, float] = {}
        for name in self._feeds():
            report = self.ask(name, "poll", timeout_s=30)
            prices = {**getattr(report, "prices", {}), **prices}
        return prices

    def _feeds(self) -> list[str]:
        return [name for name in self._members if name.startswith(("feed:", "context"))]

    def _begin(self, member: Member) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                epoch = self._ledger.acquire_epoch(member.name, f"supervisor of {self._run}")
                self._call(member.handle, "start", epoch, *member.begin(), timeout_s=30)
                return
            except (RayActorError, GetTimeoutError) as error:
                if time.monotonic() > deadline:
                    raise _gone(member.name, error) from error
                time.sleep(0.1)


def _gone(name: str, error: Exception) -> EnvironmentRefused:
    return EnvironmentRefused(
        f"actor {name}", "must answer", error, "See its log under the Ray dashboard."
    )


class _LiveHost:
    """Carries the kernel's words to the actors that own the book and the account."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._ask = supervisor.ask

    def decide(self, event: Event) -> list[Command]:
        if isinstance(event, OrderFailed):  # an order that risk forgets must never be sent later
            self._ask("execution", "give_up", event)
        commands: list[Command] = self._ask("risk", "handle", event)
        return commands

    def execute(
        self, intents: Sequence[Intent], prices: Mapping[str, Decimal] | None, at: datetime
    ) -> list[Filled | OrderFailed]:
        outcomes: list[Filled | OrderFailed] = self._ask("execution", "work", prices, at)
        return outcomes
