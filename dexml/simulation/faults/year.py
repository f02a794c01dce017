"""The market year: one market, a run for every few days of it, one judge for each run."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from dexml.ledger import Ledger
from dexml.risk.orders import OrderLimits
from dexml.simulation.faults.feed import Feed
from dexml.simulation.faults.kinds import Fault
from dexml.simulation.faults.market import draw_market
from dexml.simulation.faults.oracle import Violation
from dexml.simulation.faults.owners import Owners
from dexml.simulation.faults.session import Session
from dexml.state import KernelConfig

__all__ = ["INSTRUMENTS", "Report", "live_year"]

INSTRUMENTS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
_KNOWN_HOURS = 48
_LIMITS = OrderLimits(  # near enough to the sizes of an account of 10,000 to be met often
    order_notional=Decimal(2_000),
    instrument_notional=Decimal(2_400),
    gross_notional=Decimal(4_500),
    orders_per_day=40,
)
_SESSION = 84


@dataclass(slots=True, kw_only=True)
class Report:
    """What a seed did and what became of it.

    Attributes
    ----------
    n_looks, n_between : int
        How often the run was looked after between closes, and the orders that were sent then.
    injected : Counter of Fault
        What struck, how often; after each the oracle judged.
    judged : Counter of str
        How often each of "I1" to "I8" was put to the test.
    digest : str
        SHA-256 over every ledger row and every order at the venue.
    """

    seed: int
    n_hours: int = 0
    n_checks: int = 0
    n_orders: int = 0
    n_sent_again: int = 0
    n_looks: int = 0
    n_between: int = 0
    injected: Counter[Fault] = field(default_factory=Counter)
    judged: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    digest: str = ""

    @property
    def n_injected(self) -> int:
        return sum(self.injected.values())


def live_year(
    owners: Owners,
    seed: int,
    folder: Path,
    n_hours: int = 8_760,
    config: KernelConfig | None = None,
    only: Sequence[Fault] = (),
) -> Report:
    """Live through a market year (or its first hours) with the faults of a seed.

    Parameters
    ----------
    owners : Owners
        The owners of book and account, and the loop that drives them.
    folder : Path
        Where the ledgers of the runs are; empty.
    config : KernelConfig, optional
        What may change a decision; the limits in it are those that the oracle holds it to.
    only : sequence of Fault
        Nothing else is injected but what the market does; empty: everything.
    """
    market = draw_market(random.Random(f"{seed}:market"), INSTRUMENTS, n_hours + _KNOWN_HOURS + 2)
    feed = Feed(market, random.Random(f"{seed}:feed"))
    template = folder / "empty.sqlite"
    Ledger.open(f"sqlite:///{template}").close()
    report, found = Report(seed=seed), hashlib.sha256()
    for place, (first, length) in enumerate(_sessions(n_hours)):
        path = folder / f"run-{place}.sqlite"
        shutil.copy(template, path)
        named = f"{seed}:{place}"
        settings = config or KernelConfig(orders=_LIMITS, window_bars=96)
        session = Session(owners, f"run-{place}", path, feed, settings, named, only)
        session.live(first, length)
        _add(report, session, length)
        found.update(session.digest().encode())
        session.oracle.close()
        for one in folder.glob(f"run-{place}.sqlite*"):
            one.unlink()
    report.digest = found.hexdigest()
    return report


def _sessions(n_hours: int) -> Iterator[tuple[int, int]]:
    for first in range(0, n_hours, _SESSION):
        yield _KNOWN_HOURS + first, min(_SESSION, n_hours - first)


def _add(report: Report, session: Session, n_hours: int) -> None:
    report.n_hours += n_hours
    report.n_checks += session.oracle.n_checks
    report.n_orders += len(session.venue.placed)
    report.n_sent_again += session.venue.n_again
    report.n_looks += session.n_looks
    report.n_between += session.n_between
    report.injected += session.injected
    report.judged += session.oracle.judged
    report.errors += session.errors
    report.violations += session.oracle.violations
