"""Owners of the book and of the account are killed with SIGKILL while the loop lives."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.whole, pytest.mark.xdist_group("system")]


@pytest.fixture(scope="module")
def seen(
    trained: tuple[Path, str], environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    home = tmp_path_factory.mktemp("crash") / "home"
    shutil.copytree(trained[0], home)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.system.scenes", str(home), trained[1]],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said, why = process.communicate(timeout=570)
    except BaseException:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(timeout=60)
        raise
    assert process.returncode == 0, why[-4_000:]
    return json.loads(said.splitlines()[-1])


def test_the_undisturbed_run_trades(seen: Any) -> None:
    run = seen["undisturbed"]
    assert len(run["equity"]) == 30
    assert len(run["decisions"]) == len(set(run["decisions"])) == 60
    assert len(run["fills"]) >= 8
    assert run["identical"]


@pytest.mark.parametrize("name", ["struck", "stormy"])
def test_a_run_with_kills_decides_and_fills_what_an_undisturbed_one_does(
    seen: Any, name: str
) -> None:
    whole, run = seen["undisturbed"], seen[name]
    assert {key: run[key] for key in whole} == whole
    assert len(run["fills"]) == len(set(run["fills"]))
    assert run["waiting"] == []


def test_every_planned_strike_happened(seen: Any) -> None:
    assert seen["struck"]["struck"] == seen["struck"]["planned"] == 7
    assert len(seen["stormy"]["killed"]) >= 3


def test_a_new_life_never_answers_from_an_empty_state(seen: Any) -> None:
    reborn = seen["reborn"]
    assert set(reborn["said"]) <= {"away", "ActorNotReady"}
    assert "ActorNotReady" in reborn["said"]
    assert reborn["health"] == {"ready": False}
    assert reborn["same"]


def test_an_owner_that_was_taken_over_is_refused_and_writes_nothing(seen: Any) -> None:
    assert seen["reborn"]["stale"] == ["StaleEpoch", "0"]


def test_a_fit_lost_with_its_trainer_is_begun_again_and_an_ended_one_is_not(seen: Any) -> None:
    assert seen["lost_fit"] == {"state": "done", "same": True, "published": True}
