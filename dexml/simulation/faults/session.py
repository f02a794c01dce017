"""Some hours of one run: its ledger, its owners, its venue, its judge, and what is done to them."""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from dexml.domain import Intent, Mode
from dexml.errors import DexmlError, EnvironmentRefused
from dexml.events import CloseRequested, ModeRequested, Request, VitalsSeen
from dexml.experiments.replay import restore
from dexml.ledger import Ledger
from dexml.ledger.tables import metadata
from dexml.records import encode
from dexml.simulation.faults.disk import Disk
from dexml.simulation.faults.feed import Feed, Moment
from dexml.simulation.faults.kinds import FEED, Fault
from dexml.simulation.faults.log import Log
from dexml.simulation.faults.oracle import Oracle
from dexml.simulation.faults.owners import SECRET, DriverDied, Owners
from dexml.simulation.faults.plan import Plan
from dexml.simulation.faults.stage import Stage
from dexml.simulation.faults.venue import Venue
from dexml.state import KernelConfig
from dexml.system import initial_state, warm_up

__all__ = ["CASH", "Session"]

CASH = Decimal(10_000)
_KNOWN_HOURS = 40
_MOST_ATTEMPTS = 12
_QUIET_HOURS = 3
_LOOK = 0.5  # chance that the run is looked after between two closes


class Session:
    """Lives through some hours, counts what went wrong, and judges after each of it.

    Attributes
    ----------
    injected : Counter of Fault
        What struck, how often.
    errors : Counter of str
        How cycles ended that did not end well.
    n_looks, n_between : int
        How often the run was looked after between closes, and the orders that were sent then.
    """

    def __init__(
        self,
        owners: Owners,
        run: str,
        path: Path,
        feed: Feed,
        config: KernelConfig,
        seed: str,
        only: Sequence[Fault] = (),
    ) -> None:
        self._owners, self._run, self._path, self._feed = owners, run, path, feed
        self._url = f"sqlite:///{path}"
        self._config = config
        self.venue = Venue(config.costs, CASH)
        self.oracle = Oracle(path, config, CASH, self.venue, feed.legit, SECRET)
        self.stage = Stage(
            owners,
            run,
            self._url,
            self.venue,
            self.checked,
            self._sending,
            lambda: self._person(Fault.HALT),
            self.oracle.has_work,
        )
        self._plan = Plan(random.Random(f"{seed}:plan"), feed.names, only)
        self._rng = random.Random(f"{seed}:hands")
        self._looks = random.Random(f"{seed}:looks")
        self._driver: Any = None
        self._n_requests = 0
        self._is_skewed = False
        self.injected: Counter[Fault] = Counter()
        self.errors: Counter[str] = Counter()
        self.n_looks = self.n_between = 0

    def live(self, first_hour: int, n_hours: int) -> None:
        """Begin the run, live through the hours with faults, then through a few without, settle."""
        log = Log(self.oracle.log)
        with Disk(self._path.parent, self.stage.struck) as disk, log:
            self._begin(disk, first_hour)
            disk.holder = _Life()
            for hour in range(first_hour, first_hour + n_hours - _QUIET_HOURS):
                self._hour(hour)
            self._end(first_hour + n_hours - _QUIET_HOURS)

    def digest(self) -> str:
        """Return the SHA-256 of every row of the ledger and every order at the venue."""
        found = hashlib.sha256()
        with sqlite3.connect(f"file:{self._path}?mode=ro", uri=True) as file:
            for table in metadata.sorted_tables:
                for row in file.execute(f"SELECT * FROM {table.name} ORDER BY rowid"):
                    found.update(repr(row).encode())
        for placed in self.venue.placed.values():
            found.update(repr(placed).encode())
        return found.hexdigest()

    def checked(self) -> None:
        """Count what struck since the last time, and let the oracle judge."""
        for struck in (self.stage.struck_by, self.venue.done, self._feed.done):
            self.injected.update(struck)
            struck.clear()
        self.oracle.check()

    def _begin(self, disk: Disk, hour: int) -> None:
        known = self._feed.begin(hour - 1, _KNOWN_HOURS)
        state = warm_up(initial_state(self._run, self._config, self._feed.names, CASH), known)
        parts = {FEED: self._feed, "forecast": self._feed, "monitor": self._feed}
        self.stage.open(disk, parts)
        with self.stage.elsewhere() as ledger:
            begun = {"initial_state": encode(state)}
            ledger.start_run(self._run, self._feed.closed_at, begun, seed=hour)

    def _hour(self, hour: int) -> None:
        if self._looks.random() < _LOOK:
            self._look()
        self._feed.hour = hour
        self._plan.arm(hour, self.stage, self._feed, self.venue)
        self._feed.done += self._feed.lived(hour)
        if self._is_skewed:
            self._see_clock(0.0)
        surroundings = self._plan.surroundings(active=self.oracle.rules.mode == "active")
        for fault in surroundings:
            self._surround(fault)
        if Fault.CYCLE_SKIPPED not in surroundings:
            self._cycle(self._feed.closed_at)
        if Fault.CYCLE_REPEATED in surroundings:
            self._cycle(self._feed.closed_at)
        if self._feed.done:
            self.checked()

    def _look(self) -> None:
        """Let a timer ring before the hour closes, often at the worst or best price of it."""
        n_before = len(self.venue.placed)
        height = self._looks.choice((0.0, self._looks.random(), 1.0))
        self._feed.moment = Moment(self._looks.randrange(1, 60), height)
        self._lived("look", self._feed.now)
        self._feed.moment = None
        self.n_looks += 1
        self.n_between += len(self.venue.placed) - n_before

    def _end(self, hour: int) -> None:
        self.stage.armed.clear()
        self.stage.disk.is_full = False
        self.venue.wish = None
        self._feed.spoiled = {}
        self._person(Fault.CLOSE)
        for quiet in range(hour, hour + _QUIET_HOURS):
            self._feed.hour = quiet
            self._cycle(self._feed.closed_at)
        with self.stage.elsewhere() as ledger:
            for stream in ledger.streams():
                ledger.verify_chain(stream)
            self.oracle.settle(restore(ledger, self._run))

    def _surround(self, fault: Fault) -> None:
        step = self._config.timeframe.step
        match fault:
            case Fault.HALT | Fault.CLOSE | Fault.RESUME:
                self._person(fault)
            case Fault.CLOCK_AHEAD:
                self._cycle(self._feed.closed_at + self._rng.randrange(1, 48) * step)
            case Fault.CLOCK_BEHIND:
                self._cycle(self._feed.closed_at - self._rng.randrange(1, 4) * step)
            case Fault.CLOCK_SKEWED:
                self._see_clock(self._rng.uniform(1.0, 100.0))
            case Fault.DISK_FULL:
                self.stage.disk.is_full = True
                return  # counted once it was felt
            case Fault.ROW_CHANGED | Fault.SNAPSHOT_CHANGED:
                self._tamper(fault)
                return
        self._count(fault)

    def _count(self, fault: Fault) -> None:
        self.stage.struck_by.append(fault)
        self.checked()

    def _cycle(self, closed_at: datetime) -> None:
        self._lived("cycle", closed_at)

    def _lived(self, what: str, at: datetime) -> None:
        """Cycle or look as often as it takes; what keeps failing does not recover."""
        for _ in range(_MOST_ATTEMPTS):
            error = self._attempt(what, at)
            if error is None:
                self.oracle.judged["I8"] += 1
                return
            self._driver = None
            self.errors[type(error).__name__] += 1
            if self.stage.disk.is_full and "full" in str(error):
                self.stage.disk.is_full = False
                self._count(Fault.DISK_FULL)
        self.oracle.broken("I8", f"the {what} of {at} does not end: {error!r}")

    def _attempt(self, what: str, at: datetime) -> BaseException | None:
        try:
            if self._driver is None:
                self._driver = self._new_driver()
            getattr(self._driver, what)(at)
        except (Exception, DriverDied) as error:  # whatever ends the driver, it is begun anew
            self.checked()
            return error
        return None

    def _new_driver(self) -> Any:
        """Begin a new life of the driver; what the one before had open is gone with it."""
        stage = self.stage
        stage.disk.abandon(stage.disk.holder)
        stage.disk.holder = _Life()
        ledger = Ledger.open(self._url)
        return self._owners.driver(self._run, ledger, stage.send, stage.now, stage.posts)

    def _see_clock(self, skew_s: float) -> None:
        """Let the book's owner hear how far the clock is from the reference."""
        self._is_skewed = skew_s > 0
        at = self._feed.closed_at - self._config.timeframe.step / 2
        seen = VitalsSeen(at=at, clock_skew_s=skew_s)
        if self._driver is not None:
            with suppress(DexmlError), self.stage.calm():  # its owner may be away
                self.stage.call(self.stage.posts["risk"], "handle", seen)

    def _person(self, fault: Fault) -> None:
        self._n_requests += 1
        at = self._feed.closed_at + timedelta(seconds=self._n_requests)
        request: Request = CloseRequested(at=at, by="ada")
        if fault is not Fault.CLOSE:
            mode = Mode.ACTIVE if fault is Fault.RESUME else Mode.HALTED
            request = ModeRequested(at=at, mode=mode, by="ada")
        try:
            self._asked(request)
        except EnvironmentRefused:
            self.stage.disk.is_full = False
            self._count(Fault.DISK_FULL)
            self._asked(request)
        except DexmlError as error:
            self.oracle.broken("I8", f"{fault} is refused: {error}")

    def _asked(self, request: Request) -> None:
        with self.stage.elsewhere() as ledger:
            self._owners.request(ledger, self._run, request)

    def _sending(self, intent: Intent, price: Decimal, at: datetime, epoch: int | None) -> None:
        self.oracle.sending(intent, price, at, epoch)

    def _tamper(self, fault: Fault) -> None:
        """Change a row by hand, end the book's owner, and see it refuse; then put the row back."""
        query, column = {
            Fault.ROW_CHANGED: ("SELECT rowid, event FROM events WHERE number > 1", "event"),
            Fault.SNAPSHOT_CHANGED: ("SELECT rowid, state FROM snapshots", "state"),
        }[fault]
        table = query.split()[4]
        with sqlite3.connect(self._path, isolation_level=None) as file:
            rows = file.execute(query).fetchall()
            if not rows:
                return
            place, text = rows[-1] if fault is Fault.SNAPSHOT_CHANGED else self._rng.choice(rows)
            change = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
            file.execute(change, (text.replace("0", "1", 1), place))
            noticed = self._refuses()
            file.execute(change, (text, place))
        if not noticed:
            self.oracle.broken("I2", f"{fault} and nobody noticed")
        self._count(fault)

    def _refuses(self) -> bool:
        try:
            with self.stage.elsewhere() as ledger:
                restore(ledger, self._run)
        except Exception as error:  # judged by its words
            return "must" in str(error)
        return False


class _Life:
    """One process of the driver."""
