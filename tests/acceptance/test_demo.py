"""`dexml demo` as its user runs it: one process, real Ray, real servers, real fits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.ray, pytest.mark.whole, pytest.mark.xdist_group("demo")]
SMALL = ("--symbols", "BTC/USDT", "--history", "1300", "--cycles", "5")


def dexml(*arguments: str, timeout_s: float = 540) -> dict[str, Any]:
    """Run a command of the product and return the JSON object of its last line."""
    done = subprocess.run(
        [sys.executable, "-m", "dexml.cli", *arguments, "--json"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def planted(home: Path) -> dict[str, Any]:
    return dexml("demo", "--cycles", "30", "--home", str(home))


def test_the_ensemble_goes_most_of_the_way_to_the_best_possible(planted: dict[str, Any]) -> None:
    ensemble = planted["ensemble"]
    assert 0.68 <= ensemble["bayes_accuracy"] <= 0.72
    assert ensemble["edge_reached"] >= 0.80


def test_every_target_beats_its_base_rate_on_the_planted_market(planted: dict[str, Any]) -> None:
    targets = planted["targets"]
    assert set(targets) == {"direction", "volatility", "volume", "sentiment", "macro"}
    for name, row in targets.items():
        assert row["log_loss"] < row["base_log_loss"], name
        assert row["accuracy"] <= row["bayes_accuracy"] + 0.03, name


def test_live_backtest_and_replay_decide_the_same_bytes(
    planted: dict[str, Any], home: Path
) -> None:
    assert planted["decisions"] == 30 * 6
    assert planted["backtest_identical"]
    again = dexml("replay", planted["run"], "--home", str(home))
    assert again == {"run": planted["run"], "identical": True, "decisions": 30 * 6}


def test_the_demo_keeps_to_its_memory_and_shows_what_each_stage_took(
    planted: dict[str, Any],
) -> None:
    assert planted["peak_rss_mb"] < 6_000
    assert {"training", "live"} <= {stage["name"] for stage in planted["stages"]}


def test_it_leaves_a_report_and_no_half_written_file(planted: dict[str, Any], home: Path) -> None:
    assert planted["verdict"] in Path(planted["report"]).read_text()
    assert list(home.rglob("*.partial")) == []


def test_the_same_seed_forecasts_and_trades_the_same_and_another_seed_otherwise(
    tmp_path: Path,
) -> None:
    small = ("--symbols", "BTC/USDT", "--history", "1300", "--targets", "direction")
    files, strategies = [], []
    for number, seed in enumerate(("3", "3", "4")):
        file, home = tmp_path / f"{number}.parquet", str(tmp_path / str(number))
        options = ("--seed", seed, "--home", home, "--predictions-out", str(file))
        strategies.append(dexml("validate", "planted", *small, *options)["strategy"])
        files.append(file.read_bytes())
    assert files[0] == files[1] != files[2]
    assert strategies[0] == strategies[1]


@pytest.mark.soak
def test_the_same_seed_decides_the_same_and_another_seed_otherwise(tmp_path: Path) -> None:
    runs = [
        dexml("demo", *SMALL, "--seed", seed, "--home", str(tmp_path), "--port", "0")
        for seed in ("3", "3", "4")
    ]
    digests = [run["decisions_digest"] for run in runs]
    assert digests[0] == digests[1] != digests[2]
    assert len({run["run"] for run in runs}) == 3


@pytest.mark.shared
def test_recorded_bars_are_judged_against_their_rules(shared: Path, tmp_path: Path) -> None:
    bars = shared / "data" / "ohlcv_1h" / "binance_usdm_perp"
    result = dexml("demo", "--bars", str(bars), "--cycles", "10", "--home", str(tmp_path))
    targets, ensemble = result["targets"], result["ensemble"]
    direction = targets["direction"]
    assert direction["n"] >= 7 * 2_000
    error = ensemble["accuracy_standard_error"]
    for accuracy in (direction["accuracy"], ensemble["accuracy"]):
        assert direction["rule_accuracy"] - error <= accuracy < 0.56
    for name in ("volatility", "volume"):
        assert targets[name]["log_loss"] <= targets[name]["rule_log_loss"], name
    for name in ("sentiment", "macro"):
        assert targets[name]["degraded"]
        assert targets[name]["accuracy"] is None
        assert targets[name]["log_loss"] is None
    assert ensemble["bayes_accuracy"] is None
