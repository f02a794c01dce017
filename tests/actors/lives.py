"""A short life of book and account, as calls that can be made again, and what its ledger holds."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import event

from actors.execution import ExecutionActor
from actors.risk import RiskActor
from dexml.costs import CostConfig
from dexml.cycle import run_bar
from dexml.domain import Intent, Signal
from dexml.events import Command, Event, Filled, OrderFailed
from dexml.execution.paper import PaperBroker
from dexml.experiments.sources import bar_sets
from dexml.ledger import Ledger
from dexml.ledger.tables import metadata
from dexml.records import encode
from dexml.simulation.market import MarketConfig, plant
from dexml.state import KernelConfig
from dexml.system import initial_state, warm_up
from tests.postgres import Server

RUN = "short"
NAME = "BTC/USDT"
FIRST = 60


@cache
def bars() -> list[Any]:
    market = plant(MarketConfig(instruments=(NAME,), n_bars=100, bayes_accuracy=0.8))
    return bar_sets(market.history.bars, 100)


class Store(Protocol):
    """Where ledgers of one kind are made and copied."""

    def new(self) -> str: ...
    def copy(self, url: str) -> str: ...


@dataclass
class Files:
    """SQLite files in a folder."""

    folder: Path
    n_made: int = 0

    def new(self) -> str:
        self.n_made += 1
        return f"sqlite:///{self.folder}/ledger-{self.n_made}.db"

    def copy(self, url: str) -> str:
        new = self.new()
        shutil.copy(url.removeprefix("sqlite:///"), new.removeprefix("sqlite:///"))
        return new


@dataclass
class Databases:
    """Databases of a PostgreSQL server."""

    server: Server

    def new(self) -> str:
        return self.server.url(self.server.new())

    def copy(self, url: str) -> str:
        return self.server.url(self.server.new(template=url.rpartition("/")[2]))


@dataclass
class Life:
    """The owners of book and account of a run, started."""

    url: str
    ledger: Ledger = field(init=False)
    risk: RiskActor = field(init=False)
    execution: ExecutionActor = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger.open(self.url)
        self.begin_again()

    def begin_again(self) -> None:
        self.risk = RiskActor(RUN, self.url)
        self.risk.start(self.ledger.acquire_epoch("risk", "test"))
        self.execution = ExecutionActor(RUN, self.url, PaperBroker(CostConfig()))
        self.execution.start(self.ledger.acquire_epoch("execution", "test"))

    def make(self, call: Call) -> Any:
        return getattr(getattr(self, call.owner), call.method)(*call.arguments)

    def close(self) -> None:
        for one in (self.ledger, self.risk._ledger, self.execution._ledger):
            one.close()


@dataclass(frozen=True)
class Call:
    """One call of an owner; it may be made any number of times."""

    owner: str
    method: str
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        return getattr(self.arguments[0], "kind", self.method)


class _Recorder:
    """Lets a life happen and keeps the calls it was made of."""

    def __init__(self, life: Life) -> None:
        self.life, self.calls = life, list[Call]()

    def decide(self, event: Event) -> list[Command]:
        self.calls.append(Call("risk", "handle", (event,)))
        return self.life.make(self.calls[-1])

    def execute(
        self, intents: Sequence[Intent], prices: Mapping[str, Decimal] | None, at: datetime
    ) -> list[Filled | OrderFailed]:
        self.calls.append(Call("execution", "work", (prices, at)))
        return self.life.make(self.calls[-1])


def begin_run(url: str, config: KernelConfig | None = None) -> None:
    with Ledger.open(url) as ledger:
        state = initial_state(RUN, config or KernelConfig(), [NAME], Decimal(10_000))
        state = warm_up(state, bars()[:FIRST])
        at = bars()[FIRST - 1][0].closed_at
        ledger.start_run(RUN, at, {"initial_state": encode(state)}, 0)


def recorded_calls(store: Store) -> list[Call]:
    """Live through a bar that buys and one that sells; return the calls."""
    url = store.new()
    begin_run(url)
    with closing(Life(url)) as life:
        recorder = _Recorder(life)
        for row, probability in ((FIRST, 0.9), (FIRST + 1, 0.05)):
            closed = bars()[row]
            said = Signal(instrument=NAME, closed_at=closed[0].closed_at, probability=probability)
            run_bar(recorder, closed, (said,), {NAME: bars()[row + 1][0].open})
        assert [fill["side"] for fill in life.ledger.trades(RUN)] == ["buy", "sell"]
    return recorder.calls


def lived(url: str, calls: Sequence[Call], restarts_before: Sequence[int] = ()) -> dict[str, Any]:
    """Make `calls`, with restarts of both owners before some of them; return what is held then."""
    with closing(Life(url)) as life:
        for number in range(len(calls) + 1):
            for _ in range(restarts_before.count(number)):
                life.begin_again()
            if number < len(calls):
                life.make(calls[number])
    return held(url)


def held(url: str) -> dict[str, Any]:
    """Return every row of every table, after checking that the ledger is sound."""
    with Ledger.open(url) as ledger, ledger._database.reading() as connection:
        ledger.verify()
        return {
            table.name: [
                dict(row)
                for row in connection.execute(
                    sa.select(table).order_by(*table.primary_key)
                ).mappings()
            ]
            for table in metadata.sorted_tables
        }


Point = Callable[[str], None]


def watched(ledger: Ledger, point: Point) -> None:
    """Call `point` before and after everything that a ledger asks of its database."""
    engine = ledger._database._engine
    dialect: Any = engine.dialect
    commit = dialect.do_commit

    def before(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        point(f"before {statement[:40]}")

    def after(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        point(f"after {statement[:40]}")

    def do_commit(connection: Any) -> None:
        point("before COMMIT")
        commit(connection)
        point("after COMMIT")

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    dialect.do_commit = do_commit


def points_of(url: str, call: Call) -> list[str]:
    """Return the points that a call passes."""
    passed: list[str] = []
    with closing(Life(url)) as life:
        watched(getattr(life, call.owner)._ledger, passed.append)
        life.make(call)
    return passed


def die_at(url: str, number: int, call: Call) -> None:
    """Live in a process of its own that is killed, kill -9, at a point of its only call."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"the child ended with {status}"
        assert os.WTERMSIG(status) == signal.SIGKILL
        return
    try:
        _live_and_die(url, number, call)
    finally:
        os._exit(1)  # only if it lived


def _live_and_die(url: str, number: int, call: Call) -> None:
    life = Life(url)
    left = iter(range(number + 1))

    def point(_name: str) -> None:
        if next(left) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    watched(getattr(life, call.owner)._ledger, point)
    life.make(call)


def numbered(points: Sequence[str], *, all_of_them: bool) -> Iterator[tuple[int, bool]]:
    """Yield the points to die at, and whether the call's own commit has happened before.

    After one statement is before the next one to the database, so the fast way leaves those out.
    """
    writes = max(number for number, name in enumerate(points) if _writes(name))
    committed = points.index("after COMMIT", writes)
    for number, name in enumerate(points):
        if all_of_them or name.startswith("before") or name == "after COMMIT":
            yield number, number >= committed


def _writes(name: str) -> bool:
    return name.startswith(("before INSERT", "before UPDATE"))
