from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from actors.validation import EMBARGO, PURGE, WalkForwardOptions, splits_of
from dexml.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
HOUR = pd.Timedelta("1h")
SMALL = ("--symbols", "BTC/USDT", "--targets", "direction", "--train", "600", "--test", "48")


def _closes(n_bars: int) -> pd.DatetimeIndex:
    hours = pd.date_range("2024-01-01", periods=n_bars, freq="h", tz="UTC")
    return hours.repeat(2)  # two instruments


def test_the_newest_folds_are_judged_once_and_learn_only_from_well_before() -> None:
    closed_at = _closes(2_000)
    options = WalkForwardOptions(home=Path(), train=600, test=100, folds=3)
    splits = splits_of(closed_at, options)
    assert [len(split.train) for split in splits] == [1_200] * 3
    judged = [row for split in splits for row in split.test.tolist()]
    assert judged == list(range(len(closed_at) - 600, len(closed_at)))
    for split in splits:
        gap = closed_at[split.test].min() - closed_at[split.train].max()
        assert gap == (PURGE + EMBARGO + 1) * HOUR


def test_a_short_history_has_fewer_folds_and_a_shorter_one_none() -> None:
    options = WalkForwardOptions(home=Path(), train=600, test=100, folds=9)
    assert len(splits_of(_closes(600 + PURGE + EMBARGO + 250), options)) == 2
    with pytest.raises(UsageError, match="must have 1129 bars for a fold"):
        splits_of(_closes(600 + PURGE + EMBARGO + 99), options)


@pytest.mark.ray
@pytest.mark.whole
def test_a_stopped_walk_forward_leaves_nothing_running_goes_on_and_gives_the_same(
    tmp_path: Path,
) -> None:
    whole = _run(tmp_path / "two", "--workers", "2")
    stopped = _start(tmp_path / "one", "--workers", "1")
    first = _wait_for_fold(tmp_path / "one", stopped)
    _stop(stopped)
    resumed = _run(tmp_path / "one", "--workers", "1", untouched=first)
    assert _without_costs(resumed) == _without_costs(whole)
    assert resumed["estimated_seconds"] > whole["estimated_seconds"]
    one, two = (pd.read_parquet(tmp_path / name / "p.parquet") for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    _check_result(whole, two)
    kept = [path.name for path in (tmp_path / "one" / "validation").glob("*/*")]
    assert kept == ["trials"]


def _check_result(result: dict[str, Any], predictions: pd.DataFrame) -> None:
    assert list(predictions) == ["symbol", "closed_at", "target", "fold", "y", "p"]
    assert not predictions.duplicated(["symbol", "closed_at", "target"]).any()
    assert len(predictions) == result["targets"]["direction"]["n"] == 2 * 48 - 1
    assert (result["fits"], len(result["folds"])) == (2, 2)
    significance = result["significance"]
    assert (significance["pbo"], significance["n_trials"]) == (None, 1)
    assert {"sharpe", "deflated_sharpe_probability", "effective_trials"} <= set(significance)
    assert result["verdict"]
    assert result["strategy"]["decisions"] == 2 * 48


def _start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dexml.cli", "validate", "walk-forward", *SMALL]
    command += ["--folds", "2", "--json", "--home", str(home)]
    command += ["--predictions-out", str(home / "p.parquet"), *arguments]
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=env | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _run(home: Path, *arguments: str, untouched: Path | None = None) -> dict[str, Any]:
    made = untouched.stat().st_mtime_ns if untouched else 0
    process = _start(home, *arguments)
    while untouched and process.poll() is None and untouched.exists():
        assert untouched.stat().st_mtime_ns == made
        time.sleep(0.2)
    said, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-3_000:]
    assert "fits: 2, of about 600 rows each" in errors
    assert len(said.splitlines()) == 1
    result: dict[str, Any] = json.loads(said)
    return result


def _wait_for_fold(home: Path, process: subprocess.Popen[str]) -> Path:
    for _ in range(1_200):
        found = list(home.glob("validation/*/*/fold-0.parquet"))
        if found:
            return found[0]
        assert process.poll() is None
        time.sleep(0.1)
    raise AssertionError("no fold ended in two minutes")


def _stop(process: subprocess.Popen[str]) -> None:
    family = psutil.Process(process.pid).children(recursive=True)
    assert any("raylet" in child.name() for child in family)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []


def _without_costs(result: dict[str, Any]) -> dict[str, Any]:
    costs = {"estimated_seconds", "seconds", "stages", "peak_rss_mb"}
    return {name: value for name, value in result.items() if name not in costs}
