"""The loop lives through a database that goes away and comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

import actors.supervisor
from dexml.errors import EnvironmentRefused
from dexml.events import PartChanged
from dexml.experiments.replay import replay_run
from tests.actors.rig import NAMES, RUN, SETS, Rig, begin_run
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


def test_the_loop_ends_with_a_reason_if_the_database_stays_away(
    wired: tuple[Rig, Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, wire = wired
    monkeypatch.setattr(actors.supervisor, "PATIENCE_S", 0.5)
    wire.cut()
    with pytest.raises(EnvironmentRefused, match="actor risk must answer, was database"):
        rig.supervisor.ask("risk", "handle", _heard(rig))
