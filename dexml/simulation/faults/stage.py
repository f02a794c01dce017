"""Where the owners live: calls are delivered to them or not, and they die as they are told to."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from dexml.domain import Intent
from dexml.errors import DexmlError
from dexml.ledger import Ledger
from dexml.simulation.faults.disk import Disk
from dexml.simulation.faults.kinds import STRIKES, Fault, Strike
from dexml.simulation.faults.owners import SECRET, Died, DriverDied, Owners, Post
from dexml.simulation.faults.venue import Connection, Venue

__all__ = ["Stage"]

_DELIVERY_S = 0.02
_LONG_S = 120.0


@dataclass(slots=True, kw_only=True)
class _Frame:
    owner: str
    method: str = ""
    args: tuple[Any, ...] = ()
    usurped: bool = False
    idle: bool = False

    @property
    def hears(self) -> str:
        kind = getattr(self.args[0], "kind", "") if self.args else ""
        if self.method != "handle":
            return ""
        return "outcome" if kind in ("filled", "order_failed") else "market"


@dataclass(slots=True, kw_only=True)
class _Late:
    due: int
    post: Post
    instance: Any
    frame: _Frame


class Stage:
    """Delivers the calls of a loop to owners in this process, and strikes where faults are armed.

    Parameters
    ----------
    checked : callable
        Called after every call in which a fault struck.
    sending : callable
        Told of each order before it leaves.
    halt : callable
        Lets a person halt the run.
    has_work : callable
        Says whether intents wait for the owner of the account.

    Attributes
    ----------
    armed : list of Fault
        What strikes at the next occasion.
    struck_by : list of Fault
        What struck so far, in order.
    seconds : float
        A clock that never goes back.
    """

    def __init__(
        self,
        owners: Owners,
        run: str,
        url: str,
        venue: Venue,
        checked: Callable[[], None],
        sending: Callable[[Intent, Decimal, datetime, int | None], None],
        halt: Callable[[], None],
        has_work: Callable[[], bool],
    ) -> None:
        self._owners, self._run_name, self._url, self._venue = owners, run, url, venue
        self._checked, self._sending, self._halt = checked, sending, halt
        self._has_work = has_work
        self.disk: Disk
        self.posts: dict[str, Post] = {}
        self.armed: list[Fault] = []
        self.struck_by: list[Fault] = []
        self.seconds = 0.0
        self.n_calls = 0
        self._frames = [_Frame(owner="supervisor")]
        self._late: list[_Late] = []
        self._lines: dict[Any, Connection] = {}
        self._is_calm = 0
        self._has_struck = False

    def open(self, disk: Disk, parts: dict[str, Any]) -> None:
        """Put the owners and the other parts at their posts."""
        self.disk = disk
        self.posts = {name: Post(name, part) for name, part in parts.items()}
        for name in ("risk", "execution"):
            self.posts[name] = Post(name)
            self._renew(self.posts[name])

    def now(self) -> float:
        self.seconds += 1e-6
        return self.seconds

    def send(self, post: Post, method: str, *args: Any) -> Callable[[float], Any]:
        """Return what delivers a call and waits for its answer: one after the other here."""
        return lambda _timeout_s: self.call(post, method, *args)

    def call(self, post: Post, method: str, *args: Any) -> Any:
        """Deliver a call and bring back the answer, or what became of it instead."""
        self.seconds += _DELIVERY_S
        self.n_calls += 1
        self._has_struck = False
        self._deliver_late()
        try:
            return self._called(post, method, args)
        finally:
            if self._has_struck or self._venue.done:
                self._has_struck = False
                self._checked()

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Let nothing strike inside the block."""
        self._is_calm += 1
        try:
            yield
        finally:
            self._is_calm -= 1

    @contextmanager
    def elsewhere(self) -> Iterator[Ledger]:
        """Open the ledger as another process does, in which nothing strikes."""
        before, self.disk.holder = self.disk.holder, object()
        try:
            with self.calm(), Ledger.open(self._url) as ledger:
                yield ledger
        finally:
            self.disk.holder = before

    def struck(self, point: str) -> None:
        """Strike here if a fault is armed for whoever is at work."""
        frame = self._frames[-1]
        fault = self._due(frame, point)
        if fault is None:
            return
        match STRIKES[fault].act:
            case "die":
                raise Died
            case "fail":
                raise sqlite3.OperationalError("disk I/O error")
            case "lock":
                raise sqlite3.OperationalError("database is locked")
            case "silence":
                raise TimeoutError(f"no answer within 10 s to POST /order?apiKey={SECRET}")
            case "usurp":
                self._usurp(frame)

    def _called(self, post: Post, method: str, args: tuple[Any, ...]) -> Any:
        idle = method == "work" and not self._has_work()
        frame = _Frame(owner=post.name, method=method, args=args, idle=idle)
        before = self._due(frame, "call")
        if before is not None:
            self._not_delivered(before, post, frame)
        try:
            answer = self._run(post.instance, frame)
        except Died:
            self._renew(post)
            raise self._owners.dead() from None
        except DexmlError:
            if frame.usurped:
                raise self._owners.dead() from None
            raise
        if frame.usurped:
            raise self._owners.dead()
        after = self._due(frame, "answer")
        return answer if after is None else self._not_answered(after, post, frame)

    def _not_delivered(self, fault: Fault, post: Post, frame: _Frame) -> None:
        match STRIKES[fault].act:
            case "die":
                self._renew(post)
                raise self._owners.dead()
            case "lose":
                raise self._owners.silent()
            case "leak":
                raise RuntimeError(f"503 for GET /v2/everything?q=btc&apiKey={SECRET}")
            case "delay":
                self._delay(post, frame)
            case "die_driver":
                raise DriverDied
            case "outlast":
                self.seconds += _LONG_S
                raise self._owners.silent()
            case "halt":
                self._halt()

    def _delay(self, post: Post, frame: _Frame) -> None:
        due = self.n_calls + 1 + self.n_calls % 5
        self._late.append(_Late(due=due, post=post, instance=post.instance, frame=frame))
        if self.n_calls % 2:  # given up for dead though it lives, and hears the call after all
            self._renew(post, abandoned=False)
            raise self._owners.dead()
        raise self._owners.silent()

    def _not_answered(self, fault: Fault, post: Post, frame: _Frame) -> Any:
        match STRIKES[fault].act:
            case "die":
                self._renew(post)
                raise self._owners.dead()
            case "repeat":
                return self._run(post.instance, frame)
        raise self._owners.silent()

    def _due(self, frame: _Frame, point: str) -> Fault | None:
        if self._is_calm or self._has_struck:
            return None
        for fault in self.armed:
            if _fits(STRIKES[fault], frame, point):
                self.armed.remove(fault)
                self.struck_by.append(fault)
                self._has_struck = True
                return fault
        return None

    def _run(self, instance: Any, frame: _Frame) -> Any:
        before, self.disk.holder = self.disk.holder, instance
        self._frames.append(frame)
        line = self._lines.get(instance)
        if frame.method == "start" and line is not None:
            line.epoch = frame.args[0]
        try:
            return getattr(instance, frame.method)(*frame.args)
        finally:
            self._frames.pop()
            self.disk.holder = before

    def _renew(self, post: Post, *, abandoned: bool = True) -> None:
        """Begin a new life at a post, not yet started; the old one is gone or goes on unheard."""
        if abandoned:
            self.disk.abandon(post.instance)
        if post.name == "risk":
            post.instance = self._owners.risk(self._run_name, self._url)
        if post.name == "execution":
            line = Connection(self._venue, self.struck, self._sending)
            post.instance = self._owners.execution(self._run_name, self._url, line)
            self._lines[post.instance] = line

    def _usurp(self, frame: _Frame) -> None:
        """Let a second holder take over and do the same work, while the first stands still."""
        frame.usurped = True
        post = self.posts[frame.owner]
        self._renew(post, abandoned=False)
        with self.elsewhere() as ledger:
            epoch = ledger.acquire_epoch(frame.owner, "second holder")
            self._run(post.instance, _Frame(owner=post.name, method="start", args=(epoch,)))
            again = _Frame(owner=post.name, method=frame.method, args=frame.args)
            with suppress(DexmlError):
                self._run(post.instance, again)

    def _deliver_late(self) -> None:
        due = [late for late in self._late if late.due <= self.n_calls]
        self._late = [late for late in self._late if late.due > self.n_calls]
        for late in due:
            with self.calm(), suppress(DexmlError):  # a refusal, which nobody hears
                self._run(late.instance, late.frame)
        if due:
            self._checked()


def _fits(strike: Strike, frame: _Frame, point: str) -> bool:
    if strike.point != point or strike.owner not in ("", frame.owner):
        return False
    if frame.owner in ("risk", "execution") and frame.method not in ("handle", "work", "give_up"):
        return False
    if frame.idle and strike.owner == "execution":  # it is struck while it has something to do
        return False
    if strike.act == "usurp" and frame.method == "give_up":
        return False
    return not strike.hears or strike.hears == frame.hears
