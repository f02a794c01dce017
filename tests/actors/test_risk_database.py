"""What the owners of book and account say and do when their database fails them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import actors.risk
from dexml.costs import CostConfig
from dexml.domain import Intent
from dexml.errors import ActorNotReady, EnvironmentRefused, LedgerAway, LedgerError
from dexml.execution.paper import PaperBroker
from dexml.ledger import Ledger
from tests.actors.lives import (
    RUN,
    Call,
    Databases,
    Files,
    Life,
    begin_run,
    held,
    lived,
    recorded_calls,
)
from tests.postgres import Server
from tests.wire import Loss, Wire

BOUND_S = 5.0  # in which a failure is known


class Counting(PaperBroker):
    """A broker that counts what reaches it."""

    sent = 0

    def execute(self, intent: Intent, market_price: Decimal, at: datetime) -> Any:
        self.sent += 1
        return super().execute(intent, market_price, at)


class Undisturbed:
    """A run that has begun, and what its ledger holds after a life with one restart."""

    def __init__(self, server: Server, calls: list[Call]) -> None:
        self.server, self.calls = server, calls
        self.store = Databases(server)
        self.begun = self.store.new()
        begin_run(self.begun)
        self._held: dict[int, dict[str, Any]] = {}

    def held(self, restart_before: int) -> dict[str, Any]:
        if restart_before not in self._held:
            url = self.store.copy(self.begun)
            self._held[restart_before] = lived(url, self.calls, [restart_before])
        return self._held[restart_before]


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    return recorded_calls(Files(tmp_path_factory.mktemp("calls")))[:5]


@pytest.fixture(scope="module")
def undisturbed(postgres: Server, calls: list[Call]) -> Undisturbed:
    return Undisturbed(postgres, calls)


class Wired:
    """The life of a run whose owners reach their database over a wire."""

    def __init__(self, whole: Undisturbed) -> None:
        self.server, self.calls, self.undisturbed = whole.server, whole.calls, whole.held
        self.direct = whole.store.copy(whole.begun)
        self.wire = Wire(self.server.port)
        self.life = Life(self.direct.replace(f":{self.server.port}/", f":{self.wire.port}/"))
        self.broker = Counting(CostConfig())
        self.life.execution._broker = self.broker

    @property
    def database(self) -> str:
        return self.direct.rpartition("/")[2]

    def close(self) -> None:
        self.life.close()
        self.wire.close()

    def make(self, *numbers: int) -> None:
        for number in numbers:
            self.life.make(self.calls[number])

    def refused(self, number: int, error: type[Exception], match: str) -> None:
        """Make a call that must fail in time, and after which nobody decides or sends."""
        began = time.monotonic()
        with pytest.raises(error, match=match):
            self.make(number)
        assert time.monotonic() - began < BOUND_S
        if self.calls[number].owner == "risk":
            assert self.life.risk.health() == {"ready": False}
            with pytest.raises(ActorNotReady):
                self.make(number)

    def end(self, *numbers: int) -> dict[str, Any]:
        """Begin again, make the rest of the calls, and return what is held then."""
        self.life.begin_again()
        self.make(*numbers)
        return held(self.direct)


@pytest.fixture
def wired(undisturbed: Undisturbed) -> Iterator[Wired]:
    with closing(Wired(undisturbed)) as made:
        yield made


@pytest.mark.parametrize(("loss", "committed"), [("question", False), ("answer", True)])
def test_a_commit_of_unknown_outcome_is_resolved_by_its_key(
    wired: Wired, loss: Loss, committed: bool
) -> None:
    wired.make(0, 1)
    wired.wire.lose(loss, b"INSERT INTO events")
    wired.refused(2, LedgerAway, "must answer")
    assert wired.wire.n_lost == 1
    with Ledger.open(wired.direct) as ledger:
        assert ledger.n_events(RUN) == 2 + committed
    assert wired.end(2, 3, 4) == wired.undisturbed(2 + committed)


@pytest.mark.parametrize(("loss", "committed"), [("question", False), ("answer", True)])
def test_a_fill_of_unknown_outcome_is_resolved_by_its_key(
    wired: Wired, loss: Loss, committed: bool
) -> None:
    wired.make(0, 1, 2)
    wired.wire.lose(loss, b"INSERT INTO orders")
    wired.refused(3, LedgerAway, "must answer")
    assert wired.wire.n_lost == 1
    assert wired.end(3, 4) == wired.undisturbed(3 + committed)


def test_while_the_database_is_gone_nothing_is_decided_or_sent(wired: Wired) -> None:
    wired.make(0, 1)
    wired.wire.cut()
    wired.refused(2, LedgerAway, "must answer")
    wired.refused(3, LedgerAway, "must answer")
    with pytest.raises(LedgerAway):
        wired.life.begin_again()
    assert wired.broker.sent == 0
    wired.wire.mend()
    assert wired.end(2, 3, 4) == wired.undisturbed(2)


def test_a_server_that_takes_questions_and_never_answers_is_given_up(wired: Wired) -> None:
    wired.make(0, 1)
    wired.wire.freeze()
    wired.refused(2, LedgerAway, "must answer")
    wired.wire.mend()
    assert wired.end(2, 3, 4) == wired.undisturbed(2)


def test_an_intent_waits_while_the_database_is_gone_and_is_sent_once(wired: Wired) -> None:
    wired.make(0, 1, 2)
    wired.wire.cut()
    for _ in range(3):
        wired.refused(3, LedgerAway, "must answer")
    assert wired.broker.sent == 0
    wired.wire.mend()
    assert wired.end(3, 4) == wired.undisturbed(3)


def test_a_database_that_only_reads_decides_nothing(wired: Wired) -> None:
    wired.make(0, 1)
    alter = f"ALTER DATABASE {wired.database} SET default_transaction_read_only"
    wired.server.execute(f"{alter} = on")
    wired.wire.cut()  # the setting is read by new connections
    wired.wire.mend()
    wired.refused(2, EnvironmentRefused, "must be writable")
    wired.server.execute(f"{alter} = off")
    wired.wire.cut()
    wired.wire.mend()
    assert wired.end(2, 3, 4) == wired.undisturbed(2)


def test_a_stream_that_another_session_has_locked_is_not_waited_for(wired: Wired) -> None:
    wired.make(0, 1)
    with Ledger.open(wired.direct) as other, other._database.writing() as connection:
        connection.execute(sa.text("SELECT * FROM streams WHERE stream='risk' FOR UPDATE"))
        wired.refused(2, LedgerAway, "must be free")
    assert wired.end(2, 3, 4) == wired.undisturbed(2)


@pytest.mark.parametrize(
    ("pragma", "undo", "error", "match"),
    [
        ("max_page_count={pages}", "max_page_count=1000000", EnvironmentRefused, "have room"),
        ("query_only=1", "query_only=0", EnvironmentRefused, "must be writable"),
    ],
)
def test_a_file_that_takes_no_more_decides_nothing_and_recovers(
    tmp_path: Path,
    calls: list[Call],
    monkeypatch: pytest.MonkeyPatch,
    pragma: str,
    undo: str,
    error: type[Exception],
    match: str,
) -> None:
    monkeypatch.setattr(actors.risk, "SNAPSHOT_EVERY", 1)  # a state does not fit where rows do
    files = Files(tmp_path)
    begun = files.new()
    begin_run(begun)
    with closing(sqlite3.connect(begun.removeprefix("sqlite:///"))) as connection:
        connection.execute("VACUUM")  # migrations leave free pages
    url = files.copy(begun)
    with closing(Life(url)) as life:
        for call in calls[:2]:
            life.make(call)
        with life.risk._ledger._database.reading() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA {pragma.format(pages=pages)}")
        n_events = life.ledger.n_events(RUN)
        with pytest.raises(error, match=match):
            life.make(calls[2])
        with pytest.raises(ActorNotReady):
            life.make(calls[2])
        assert life.make(calls[3]) == []
        assert life.ledger.n_events(RUN) == n_events
        with life.risk._ledger._database.reading() as connection:
            connection.exec_driver_sql(f"PRAGMA {undo}")
        life.begin_again()
        for call in calls[2:]:
            life.make(call)
    assert held(url) == lived(files.copy(begun), calls, [2])


def test_a_book_and_reservations_that_differ_are_not_started_on(
    tmp_path: Path, calls: list[Call]
) -> None:
    url = Files(tmp_path).new()
    begin_run(url)
    with closing(Life(url)) as life:
        for call in calls[:3]:
            life.make(call)
        assert len(life.ledger.reservations(RUN)) == 1
        life.risk._require_reserved()
        pending = life.risk._state.books[0]
        life.risk._state = life.risk._state.having(replace(pending, pending=None))
        with pytest.raises(LedgerError, match="as the book has it"):
            life.risk._require_reserved()
