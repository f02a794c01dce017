"""The loop lives through a database that goes away and comes back."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

import actors.outage
import actors.supervisor
from dexml.errors import LedgerAway
from dexml.events import PartChanged
from dexml.experiments.replay import replay_run
from tests.actors.rig import FIRST, NAMES, RUN, SETS, Rig, begin_run
from tests.postgres import Server
from tests.wire import Wire


@pytest.fixture
def wired(postgres: Server) -> Iterator[tuple[Rig, Wire]]:
    url = begin_run(postgres.url(postgres.new()))
    wire = Wire(postgres.port)
    rig = Rig(url.replace(f":{postgres.port}/", f":{wire.port}/"))
    rig.supervisor._now = time.monotonic  # the wait is real
    yield rig, wire
    rig.ledger.close()
    wire.close()


def _heard(rig: Rig) -> PartChanged:
    return PartChanged(at=SETS[rig.row][0].closed_at, part="test", working=True, reason="")


def test_the_loop_waits_for_a_database_that_comes_back(wired: tuple[Rig, Wire]) -> None:
    rig, wire = wired
    rig.live(1)
    wire.cut(n_refused=5)
    told = rig.supervisor.ask("risk", "handle", _heard(rig))
    assert [alert.text for alert in told] == ["test works again."]
    rig.live(2)
    assert rig.decided() == 3 * len(NAMES)
    assert replay_run(rig.ledger, RUN).identical


def test_a_loop_whose_database_stays_away_decides_nothing_and_tells_it_afterwards(
    wired: tuple[Rig, Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, wire = wired
    monkeypatch.setattr(actors.supervisor, "PATIENCE_S", 0.5)
    monkeypatch.setattr(actors.outage, "LEAST_S", 0.5)
    rig.live(1)
    before = rig.decided()
    wire.cut()
    with pytest.raises(LedgerAway, match="must answer"):
        rig.supervisor.ask("risk", "handle", _heard(rig))
    assert rig.supervisor.cycle(SETS[rig.row][0].closed_at) == []
    rig.row += 1
    wire.mend()
    rig.live(2)
    missed, back = SETS[FIRST + 1][0].closed_at, SETS[FIRST + 2][0].closed_at
    assert rig.decided() == before + 2 * len(NAMES)
    assert {row["at"] for row in rig.ledger.decisions(RUN)}.isdisjoint({missed.isoformat()})
    stood, ended = rig.alerts("ledger_returned")
    assert stood == "Mode active became halted: the ledger did not answer."
    told = re.fullmatch(
        r"Mode halted became active: the ledger was away from (.*) to (.*) UTC, (\d+) s; nothing "
        r"was decided or sent between\.",
        ended,
    )
    assert told is not None
    since, until = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in told.groups()[:2])
    assert missed < since < until < back + timedelta(minutes=1)
    assert int(told[3]) == pytest.approx((until - since).total_seconds(), abs=1)
    assert replay_run(rig.ledger, RUN).identical


def test_a_database_that_was_only_slow_to_come_back_is_no_news(wired: tuple[Rig, Wire]) -> None:
    rig, wire = wired
    rig.live(1)
    wire.cut(n_refused=5)
    rig.live(1)
    assert rig.alerts("ledger_returned") == []
    assert rig.decided() == 2 * len(NAMES)
