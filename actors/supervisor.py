"""The one that knows the other actors: starts them, drives the loop, revives what died."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from math import inf
from traceback import format_exc
from typing import Any

from ray.exceptions import GetTimeoutError, RayActorError, RayError

from actors import runtime
from dexml.cycle import Timing, exact, live_through, run_bar
from dexml.domain import Intent
from dexml.errors import ActorNotReady, EnvironmentRefused, LedgerAway
from dexml.events import (
    Command,
    Event,
    Filled,
    HealthChanged,
    OrderFailed,
    PartChanged,
    event_order,
)
from dexml.experiments.replay import restore
from dexml.ledger import Ledger
from dexml.records import decode_event
from dexml.redaction import redacted

__all__ = ["Member", "Supervisor"]

PATIENCE_S = 60.0  # for an actor to come back
BACK_OFF_S = 60.0  # before a part that failed is asked again
_LOG = logging.getLogger(__name__)


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
    The loop needs the owners of the book and of the account. Any other part may fail, or stay away
    for longer than `PATIENCE_S`: that is an alert, the part is left alone for `BACK_OFF_S` and then
    begun anew, and the loop goes on.

    Parameters
    ----------
    send : callable
        As `runtime.send`.
    now : callable
        Seconds of a clock that never goes back.
    """

    def __init__(
        self,
        run: str,
        ledger: Ledger,
        send: Callable[..., Callable[[float], Any]] = runtime.send,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._ledger = ledger
        self._send = send
        self._now = now
        self.timing = Timing()
        self._members: dict[str, Member] = {}
        self._resting: dict[str, tuple[datetime, float]] = {}  # until when, on both clocks
        self._failing: set[str] = set()
        self._unwell: set[str] | None = None  # not asked yet

    def add(self, member: Member) -> None:
        """Take in a member and start it under a new epoch."""
        self._members[member.name] = member
        self._begin(member)

    def ask(
        self,
        name: str,
        method: str,
        *args: Any,
        timeout_s: float = 10.0,
        sent: Callable[[float], Any] | None = None,
    ) -> Any:
        """Call a member's method, reviving the member as often as it dies within the patience.

        Parameters
        ----------
        sent : callable, optional
            Waits for the answer to a call of this kind that was sent already.
        """
        member = self._members[name]
        deadline = self._now() + PATIENCE_S
        while True:
            try:
                answer, sent = sent or self._send(member.handle, method, *args), None
                return answer(timeout_s)
            except (RayActorError, GetTimeoutError, ActorNotReady, LedgerAway) as error:
                if self._now() > deadline:
                    raise _gone(name, error) from error
                self._begin(member)

    def cycle(self, closed_at: datetime) -> list[Command]:
        """Live through the bars that close at `closed_at`; return what was decided.

        Without forecasts nothing is decided.
        """
        prices = self._poll(closed_at)
        self._settle(closed_at, prices)
        self._hear_requests(closed_at, prices)
        forecasts = self._spare(closed_at, "forecast", "forecast", closed_at, timeout_s=30)
        if forecasts is None:
            return []
        self._tell_health(closed_at, dict(forecasts.unwell))
        commands = run_bar(_LiveHost(self), forecasts.bars, forecasts.signals, prices, self.timing)
        self._spare(closed_at, "monitor", "observe", list(forecasts.bars))
        return commands

    def tend(self) -> None:
        """Begin anew every member that died since it was last asked; the rest is left alone."""
        for member in self._members.values():
            try:
                if not self._is_ready(member):
                    self._begin(member)
            except EnvironmentRefused as error:
                _LOG.warning("%s does not come back", member.name, exc_info=error)

    def _settle(self, closed_at: datetime, prices: Mapping[str, float]) -> None:
        """Bring to its end what an earlier cycle or life left open, before anything is decided."""
        host, at = _LiveHost(self), closed_at + timedelta(seconds=self.timing.latency_s)
        for outcome in sorted(host.execute((), exact(prices), at), key=event_order):
            host.decide(outcome)

    def _hear_requests(self, closed_at: datetime, prices: Mapping[str, float]) -> None:
        """Let the kernel hear what people asked since the last bar, before it decides."""
        at = closed_at + timedelta(seconds=self.timing.latency_s)
        for record in self._ledger.unheard_requests(self._run):
            live_through(_LiveHost(self), decode_event(record), exact(prices), at)

    def _poll(self, closed_at: datetime) -> dict[str, float]:
        # the first feed is the preferred one: its price of an open bar wins
        prices: dict[str, float] = {}
        asked = {name: (closed_at,) if name.startswith("feed:") else () for name in self._feeds()}
        sent = {name: self._sent_ahead(name, "poll", *at) for name, at in asked.items()}
        for name, at in asked.items():
            report = self._spare(closed_at, name, "poll", *at, timeout_s=30, sent=sent[name])
            if report is not None:
                prices = {**getattr(report, "prices", {}), **prices}
        return prices

    def _feeds(self) -> list[str]:
        return [name for name in self._members if name.startswith(("feed:", "context"))]

    def _sent_ahead(self, name: str, method: str, *args: Any) -> Callable[[float], Any] | None:
        """Let a part work while others are waited for; None if it must be seen to first."""
        if name in self._resting:
            return None
        try:
            return self._send(self._members[name].handle, method, *args)
        except RayError:
            return None

    def _spare(
        self,
        closed_at: datetime,
        name: str,
        method: str,
        *args: Any,
        timeout_s: float = 10.0,
        sent: Callable[[float], Any] | None = None,
    ) -> Any:
        """Ask a part that the loop can do without; None if it failed or rests after a failure."""
        if self._rests(name, closed_at):
            return None
        try:
            if self._resting.pop(name, None) is not None:
                self._begin(self._members[name])
            answer = self.ask(name, method, *args, timeout_s=timeout_s, sent=sent)
        except Exception as error:  # the loop's edge: whatever a part does becomes an alert
            _LOG.warning("%s.%s failed\n%s", name, method, redacted(format_exc()))
            self._resting[name] = self._rest(closed_at, error)
            self._hear_of(closed_at, name, (method, error))
            return None
        self._hear_of(closed_at, name, _shortfall(answer))
        return answer

    # Who answers with an error may be asked at the next bar of a simulated year; who does not
    # answer is not waited for at each of them.
    def _rest(self, closed_at: datetime, error: Exception) -> tuple[datetime, float]:
        gone = isinstance(error, EnvironmentRefused)
        until = closed_at + timedelta(seconds=BACK_OFF_S)
        return until, self._now() + (BACK_OFF_S if gone else 0.0)

    def _rests(self, name: str, closed_at: datetime) -> bool:
        loop, wall = self._resting.get(name, (closed_at, -inf))
        return closed_at < loop or self._now() < wall

    def _hear_of(self, at: datetime, name: str, failure: tuple[str, object] | None) -> None:
        """Let the kernel hear when a part begins to fail and when it works again."""
        if (failure is None) == (name not in self._failing):
            return
        self._failing ^= {name}
        reason = "" if failure is None else f"{failure[0]}: {_first_line(failure[1])}"
        event = PartChanged(at=at, part=name, working=failure is None, reason=reason)
        self.ask("risk", "handle", event)

    def _tell_health(self, at: datetime, unwell: Mapping[str, str]) -> None:
        """Let the kernel hear which instruments went into quarantine or came out of it."""
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
            self.ask("risk", "handle", event)
        self._unwell = set(unwell)

    def _is_ready(self, member: Member) -> bool:
        try:
            health = self._send(member.handle, "health")(5)
        except (RayActorError, GetTimeoutError):
            return False
        return bool(health.get("ready", health.get("epoch") is not None))

    def _begin(self, member: Member) -> None:
        deadline = self._now() + PATIENCE_S
        while True:
            try:
                epoch = self._ledger.acquire_epoch(member.name, f"supervisor of {self._run}")
                self._send(member.handle, "start", epoch, *member.begin())(30)
                return
            except (RayActorError, GetTimeoutError, LedgerAway) as error:
                if self._now() > deadline:
                    raise _gone(member.name, error) from error
                time.sleep(0.1)


def _shortfall(answer: object) -> tuple[str, object] | None:
    # a feed answers with what it could not read
    failed: Mapping[str, str] = getattr(answer, "failed", {})
    return next(iter(failed.items()), None)


def _first_line(failure: object) -> str:
    # what an actor raised comes with Ray's traceback around it
    cause = getattr(failure, "cause", None) or failure
    return redacted(next(iter(str(cause).splitlines()), type(cause).__name__))


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
            event = self._ask("execution", "give_up", event)
        commands: list[Command] = self._ask("risk", "handle", event)
        return commands

    def execute(
        self, intents: Sequence[Intent], prices: Mapping[str, Decimal] | None, at: datetime
    ) -> list[Filled | OrderFailed]:
        outcomes: list[Filled | OrderFailed] = self._ask("execution", "work", prices, at)
        return outcomes
