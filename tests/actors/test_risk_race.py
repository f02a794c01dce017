"""Two owners of one book at once: whoever is older, or knows less, never writes again."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from datetime import datetime
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from actors.execution import ExecutionActor
from actors.risk import RiskActor
from dexml.costs import CostConfig
from dexml.domain import Fill, Intent, Signal
from dexml.errors import ActorNotReady, DexmlError, LedgerAway, StaleEpoch
from dexml.events import BarsClosed, OrderFailed, Trade
from dexml.execution.paper import PaperBroker
from dexml.experiments.replay import replay_run
from dexml.ledger import Ledger
from tests.actors.lives import FIRST, NAME, RUN, bars, begin_run
from tests.postgres import Server

FORK = multiprocessing.get_context("fork")
N_RACERS = 20


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A ledger in which a run has just begun."""
    address = f"sqlite:///{tmp_path}/ledger.db"
    if request.param == "postgres":
        server: Server = request.getfixturevalue("postgres")
        address = server.url(server.new())
    begin_run(address)
    return address


def close_of(row: int) -> BarsClosed:
    """A bar that every owner buys on."""
    closed = bars()[row]
    said = Signal(instrument=NAME, closed_at=closed[0].closed_at, probability=0.9)
    return BarsClosed(at=closed[0].closed_at, bars=closed, signals=(said,))


def _acquired(url: str, holder: str) -> int:
    with Ledger.open(url) as ledger:
        return ledger.acquire_epoch("risk", holder)


def _decided(actor: RiskActor, event: BarsClosed) -> str:
    try:
        return f"{sum(isinstance(one, Trade) for one in actor.handle(event))} orders"
    except DexmlError as error:
        return type(error).__name__


def _race(url: str, epochs: list[int]) -> Counter[str]:
    start, told = FORK.Barrier(len(epochs)), FORK.SimpleQueue()

    def compete(number: int, epoch: int) -> None:
        actor = RiskActor(RUN, url)
        while True:
            try:
                actor.start(epoch)
                break
            except LedgerAway:
                continue
        start.wait(60)
        told.put(_decided(actor, close_of(FIRST + number)))

    children = [FORK.Process(target=compete, args=one) for one in enumerate(epochs)]
    for child in children:
        child.start()
    said = Counter(told.get() for _ in children)
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    return said


def test_of_20_owners_that_all_believe_in_their_epoch_one_decides(url: str) -> None:
    epoch = _acquired(url, "everybody")
    said = _race(url, [epoch] * N_RACERS)
    assert said.pop("1 orders") == 1
    # who did not get the lock in time knows no more than who was refused: it must start again
    assert set(said) <= {"StaleEpoch", "LedgerAway"}
    assert said.total() == N_RACERS - 1
    with Ledger.open(url) as ledger:
        assert len(ledger.outbox(RUN)) == len(ledger.reservations(RUN)) == 1
        assert ledger.n_events(RUN) == 1
        assert replay_run(ledger, RUN).identical


def test_an_older_owner_does_not_even_start(url: str) -> None:
    old = _acquired(url, "old")
    _acquired(url, "new")
    actor = RiskActor(RUN, url)
    with pytest.raises(StaleEpoch, match="held by 'new'"):
        actor.start(old)
    with pytest.raises(ActorNotReady):
        actor.view()


def test_an_older_owner_is_refused_what_it_had_decided_itself(url: str) -> None:
    old, new = RiskActor(RUN, url), RiskActor(RUN, url)
    old.start(_acquired(url, "old"))
    assert old.handle(close_of(FIRST))
    new.start(_acquired(url, "new"))
    with pytest.raises(StaleEpoch, match="held by 'new'"):
        old.handle(close_of(FIRST))
    assert new.handle(close_of(FIRST))


class Paused:
    """An owner in a process of its own that hears one event each time it is told to."""

    def __init__(self, url: str, epoch: int) -> None:
        self.pipe, theirs = FORK.Pipe()
        self.process = FORK.Process(target=_obey, args=(url, epoch, theirs))
        self.process.start()
        assert self.pipe.recv() == "started"

    def tell(self, row: int) -> None:
        self.pipe.send(row)

    def stop(self) -> None:
        os.kill(self.process.pid or 0, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.process.pid or 0, signal.SIGCONT)

    def heard(self) -> str:
        assert self.pipe.poll(60)
        return str(self.pipe.recv())

    def end(self) -> None:
        self.go_on()
        self.pipe.send(None)
        self.process.join(60)
        assert self.process.exitcode == 0


def _obey(url: str, epoch: int, pipe: Connection[Any, Any]) -> None:
    actor = RiskActor(RUN, url)
    actor.start(epoch)
    pipe.send("started")
    while (row := pipe.recv()) is not None:
        pipe.send(_decided(actor, close_of(row)))


def test_an_owner_that_was_paused_and_replaced_never_writes_again(url: str) -> None:
    old = Paused(url, _acquired(url, "old"))
    old.tell(FIRST)
    assert old.heard() == "1 orders"
    old.stop()
    old.tell(FIRST + 1)  # waits in its mailbox while it is paused
    new = RiskActor(RUN, url)
    new.start(_acquired(url, "new"))
    new.handle(close_of(FIRST + 1))
    old.go_on()
    assert old.heard() == "StaleEpoch"
    old.tell(FIRST + 2)
    assert old.heard() == "ActorNotReady"
    old.end()
    new.handle(close_of(FIRST + 2))
    with Ledger.open(url) as ledger:
        assert ledger.n_events(RUN) == 3
        assert _epochs_in_order(ledger)
        assert replay_run(ledger, RUN).identical


class Counting(PaperBroker):
    sent = 0

    def execute(self, intent: Intent, market_price: Decimal, at: datetime) -> Fill | OrderFailed:
        self.sent += 1
        return super().execute(intent, market_price, at)


def test_an_owner_of_the_account_that_was_replaced_sends_nothing(url: str) -> None:
    risk, broker = RiskActor(RUN, url), Counting(CostConfig())
    risk.start(_acquired(url, "risk"))
    old, new = ExecutionActor(RUN, url, broker), ExecutionActor(RUN, url, broker)
    with Ledger.open(url) as ledger:
        old.start(ledger.acquire_epoch("execution", "old"))
        new.start(ledger.acquire_epoch("execution", "new"))
    close = close_of(FIRST)
    risk.handle(close)
    with pytest.raises(StaleEpoch, match="held by 'new'"):
        old.work(None, close.at)
    assert broker.sent == 0
    assert len(new.work(None, close.at)) == broker.sent == 1


def _epochs_in_order(ledger: Ledger) -> bool:
    """No row of an older owner stands after one of a newer owner (invariant I6)."""
    with ledger._database.reading() as connection:
        query = "SELECT epoch FROM {} WHERE stream = 'risk' ORDER BY seq"
        for table in ("events", "intents", "reservations", "equity"):
            epochs = list(connection.exec_driver_sql(query.format(table)).scalars())
            if not epochs or epochs != sorted(epochs):
                return False
    return True


def test_an_owner_stopped_in_its_transaction_does_not_keep_the_book_locked(
    postgres: Server,
) -> None:
    address = postgres.url(postgres.new())
    begin_run(address)
    old, epoch = RiskActor(RUN, address), _acquired(address, "old")
    old.start(epoch)
    with pytest.raises(LedgerAway):
        _overtaken(old, epoch, address)
    with pytest.raises(StaleEpoch):
        old.handle(close_of(FIRST + 1))


def _overtaken(old: RiskActor, epoch: int, url: str) -> None:
    """Hold the lock of the book, as if stopped, until a new owner has decided without it."""
    with old._ledger._appending("risk", epoch) as appender:
        with pytest.raises(LedgerAway, match="must be free"):
            _acquired(url, "too early")
        new = RiskActor(RUN, url)
        new.start(_patiently_acquired(url))
        assert new.handle(close_of(FIRST))
        appender.connection.exec_driver_sql("SELECT 1")


def _patiently_acquired(url: str) -> int:
    while True:
        try:
            return _acquired(url, "new")
        except LedgerAway:
            continue
