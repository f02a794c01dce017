"""The one that knows the other actors: starts them, drives the loop, revives what died."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from math import inf
from traceback import format_exc
from typing import Any

from ray.exceptions import GetTimeoutError, RayActorError, RayError

from actors import runtime
from actors.failures import Rests, first_line, gone, shortfall
from actors.live_host import LiveHost
from actors.member import Member
from actors.outage import Outage
from actors.standing import Standing
from actors.watching import Watch
from dexml.cycle import Timing, exact, live_through, run_bar
from dexml.errors import ActorNotReady, EnvironmentRefused, LedgerAway
from dexml.events import (
    Command,
    LedgerReturned,
    PricesSeen,
    event_order,
)
from dexml.ledger import Ledger
from dexml.records import decode_event
from dexml.redaction import redacted

__all__ = ["Member", "Supervisor"]

PATIENCE_S = 60.0  # for an actor to come back
BACK_OFF_S = 60.0  # before a part that failed is asked again
_KEEPERS = frozenset({"risk", "execution"})  # without whom the loop does not go on
_LOG = logging.getLogger(__name__)


class Supervisor:
    """Drives one run: bars in, forecasts, decisions, orders, outcomes.

    Every call that has an effect carries a key, so after an actor died the supervisor waits for
    its next life, starts it under a new epoch and repeats the call: nothing is lost or made twice.
    The loop needs the owners of the book and of the account. Any other part may fail, or stay away
    for longer than `PATIENCE_S`: that is an alert, the part is left alone for `BACK_OFF_S` and then
    begun anew, and the loop goes on. While the ledger is away nothing is decided; once it is back
    it is told from when to when.

    Parameters
    ----------
    send : callable
        As `runtime.send`.
    now : callable
        Seconds of a clock that never goes back.
    watch : Watch, optional
        Measures the world, of which the kernel then hears before it decides.
    """

    def __init__(
        self,
        run: str,
        ledger: Ledger,
        send: Callable[..., Callable[[float], Any]] = runtime.send,
        now: Callable[[], float] = time.monotonic,
        watch: Watch | None = None,
    ) -> None:
        self._run = run
        self._ledger = ledger
        self._send = send
        self._now = now
        self._watch = watch
        self._outage = Outage()
        self._began_s = -inf  # what is lived now
        self.timing = Timing()
        self._members: dict[str, Member] = {}
        self._rests = Rests(BACK_OFF_S, now)
        self._standing = Standing(run, ledger, self.ask)

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
            asked_s = self._now()
            try:
                answer, sent = sent or self._send(member.handle, method, *args), None
                return answer(timeout_s)
            except (RayActorError, GetTimeoutError, ActorNotReady, LedgerAway) as error:
                if isinstance(error, LedgerAway):
                    self._outage.unanswered(asked_s)
                if self._now() > deadline:
                    raise gone(name, error) from error
                self._begin(member, again=True)

    def cycle(self, closed_at: datetime) -> list[Command]:
        """Live through the bars that close at `closed_at`; return what was decided.

        Without forecasts nothing is decided, nor while the ledger stays away.
        """
        return self._patiently(closed_at, self._live_bar)

    def look(self, at: datetime) -> list[Command]:
        """Look after the run between two closes: settle, measure, hear people, watch the exits."""
        return self._patiently(at, self._live_moment)

    def _patiently(self, at: datetime, live: Callable[[datetime], list[Command]]) -> list[Command]:
        """Live `at` an instant as soon as the ledger lets it; give up after the patience.

        Repeating what was done before changes nothing.
        """
        self._began_s = self._now()
        while True:
            asked_s = self._now()
            try:
                commands = live(at)
                self._tell_outage(at + timedelta(seconds=self.timing.latency_s))
                return commands
            except LedgerAway as error:
                self._outage.unanswered(asked_s)
                if self._now() > self._began_s + PATIENCE_S:
                    _LOG.critical("nothing is decided: %s", first_line(error))
                    return []
                time.sleep(0.1)

    def _live_moment(self, at: datetime) -> list[Command]:
        prices = self._prepare(at)
        event = PricesSeen(at=at, phase="live", prices=tuple(sorted(prices.items())))
        filled_at = at + timedelta(seconds=self.timing.latency_s)
        return live_through(LiveHost(self.ask), event, exact(prices), filled_at)

    def _prepare(self, at: datetime) -> dict[str, float]:
        prices = self._poll(at)
        self._settle(at, prices)
        acting_at = at + timedelta(seconds=self.timing.latency_s)
        self._tell_outage(acting_at)
        self._tell_vitals(acting_at)
        self._hear_requests(at, prices)
        return prices

    def _live_bar(self, closed_at: datetime) -> list[Command]:
        prices = self._prepare(closed_at)
        forecasts = self._spare(closed_at, "forecast", "forecast", closed_at, timeout_s=30)
        if forecasts is None:
            return []
        self._standing.of_instruments(closed_at, dict(forecasts.unwell))
        commands = run_bar(
            LiveHost(self.ask), forecasts.bars, forecasts.signals, prices, self.timing
        )
        self._spare(closed_at, "monitor", "observe", list(forecasts.bars))
        return commands

    def tend(self) -> None:
        """Begin anew every member that died since it was last asked; the rest is left alone."""
        for member in self._members.values():
            try:
                if not self._is_ready(member):
                    self._begin(member, again=True)
            except (EnvironmentRefused, LedgerAway) as error:
                _LOG.warning("%s does not come back", member.name, exc_info=error)

    def _settle(self, closed_at: datetime, prices: Mapping[str, float]) -> None:
        """Bring to its end what an earlier cycle or life left open, before anything is decided."""
        host, at = LiveHost(self.ask), closed_at + timedelta(seconds=self.timing.latency_s)
        for outcome in sorted(host.execute((), exact(prices), at), key=event_order):
            host.decide(outcome)

    def _hear_requests(self, closed_at: datetime, prices: Mapping[str, float]) -> None:
        """Let the kernel hear what people asked since the last bar, before it decides."""
        at = closed_at + timedelta(seconds=self.timing.latency_s)
        for record in self._ledger.unheard_requests(self._run):
            live_through(LiveHost(self.ask), decode_event(record), exact(prices), at)

    def _poll(self, closed_at: datetime) -> dict[str, float]:
        # the first feed is the preferred one: its price of an open bar wins
        prices: dict[str, float] = {}
        asked = {name: (closed_at,) if name.startswith("feed:") else () for name in self._feeds()}
        sent = {name: self._sent_ahead(name, "poll", *at) for name, at in asked.items()}
        for name, at in asked.items():
            report = self._spare(closed_at, name, "poll", *at, timeout_s=30, sent=sent[name])
            if report is not None:
                if self._watch is not None:
                    self._watch.heard(getattr(report, "closed_at", None))
                prices = {**getattr(report, "prices", {}), **prices}
        return prices

    def _tell_vitals(self, at: datetime) -> None:
        """Let the kernel hear how the world is before it decides; shortages become alerts."""
        if self._watch is None:
            return
        gap = self.ask("risk", "account_gap")
        self.ask("risk", "handle", self._watch.vitals(at, gap))
        asked_s = self._now()
        self._ledger.n_events(self._run)
        for name, shortage in self._watch.shortages(self._now() - asked_s).items():
            self._standing.of_part(at, name, None if shortage is None else ("short", shortage))

    def _tell_outage(self, at: datetime) -> None:
        """Let the kernel hear from when to when the ledger was away, now that it answers."""
        ended = self._outage.ended(self._now())
        if ended is not None:
            since, until = ended
            back_at = at + timedelta(seconds=max(0.0, until - self._began_s))
            self.ask("risk", "handle", LedgerReturned(at=back_at, away_s=until - since))
        self._outage = Outage()

    def _feeds(self) -> list[str]:
        return [name for name in self._members if name.startswith(("feed:", "context"))]

    def _sent_ahead(self, name: str, method: str, *args: Any) -> Callable[[float], Any] | None:
        """Let a part work while others are waited for; None if it must be seen to first."""
        if self._rests.known(name):
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
        if self._rests.lasts(name, closed_at):
            return None
        try:
            if self._rests.ended(name):
                self._begin(self._members[name])
            answer = self.ask(name, method, *args, timeout_s=timeout_s, sent=sent)
        except LedgerAway:
            raise  # without it nothing can be told either
        except Exception as error:  # the loop's edge: whatever a part does becomes an alert
            _LOG.warning("%s.%s failed\n%s", name, method, redacted(format_exc()))
            self._rests.begin(name, closed_at, error)
            self._standing.of_part(closed_at, name, (method, error))
            return None
        self._standing.of_part(closed_at, name, shortfall(answer))
        return answer

    def _is_ready(self, member: Member) -> bool:
        try:
            health = self._send(member.handle, "health")(5)
        except (RayActorError, GetTimeoutError):
            return False
        return bool(health.get("ready", health.get("epoch") is not None))

    def _begin(self, member: Member, again: bool = False) -> None:
        deadline = self._now() + PATIENCE_S
        while True:
            asked_s = self._now()
            try:
                epoch = self._ledger.acquire_epoch(member.name, f"supervisor of {self._run}")
                self._send(member.handle, "start", epoch, *member.begin())(30)
                break
            except (RayActorError, GetTimeoutError, LedgerAway) as error:
                if isinstance(error, LedgerAway):
                    self._outage.unanswered(asked_s)
                if self._now() > deadline:
                    raise gone(member.name, error) from error
                time.sleep(0.1)
        self._outage.answered(self._now())
        if again and self._watch is not None and member.name in _KEEPERS:
            self._watch.begun_again(member.name)
