"""The owner of the book as a real actor: many callers at once, kill -9, two lives of it at once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.own_process import said_by

pytestmark = [pytest.mark.ray, pytest.mark.whole]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a process of its own saw: Ray reads its token once, and an actor changes its class."""
    folder = tmp_path_factory.mktemp("ray")
    return said_by("tests.actors.risk_scenes", str(folder))


def test_of_20_callers_that_race_for_the_last_of_a_limit_one_gets_its_order(seen: Any) -> None:
    race = seen["race"]
    assert race["callers"] == 20
    assert sorted(race["told"]) == ["declined"] * 19 + ["enter"]
    assert race["reasons"] == ["limit gross_notional"]
    assert race["orders"] == race["queued"] == race["reservations"] == 1
    assert race["identical"]


def test_20_callers_with_the_same_event_are_told_the_same_and_it_counts_once(seen: Any) -> None:
    same = seen["same"]
    assert same["callers"] == 20
    assert same["answers"] == 1
    assert same["new_events"] == 1


def test_kill_9_with_50_decisions_in_flight_loses_none_and_makes_none_twice(seen: Any) -> None:
    killed = seen["killed"]
    assert killed["in_flight"] == 50
    assert killed["pids"] == 2
    assert set(killed["failures"]) <= {"away", "ActorNotReady"}
    assert killed["failures"]
    assert killed["events"] == killed["distinct_events"] == 50
    assert killed["in_order"]
    assert len(killed["reserved"]) == 1
    assert killed["equal"]
    assert killed["identical"]


def test_an_actor_that_was_paused_and_replaced_is_refused(seen: Any) -> None:
    assert seen["paused"] == {"old": "StaleEpoch", "after": "ActorNotReady", "new_events": 1}
