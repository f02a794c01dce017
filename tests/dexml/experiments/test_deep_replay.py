"""A run made again from its data, models and code: what changed is noticed and named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pytest

from actors.crew import Crew
from dexml.data.storage.segment_files import digest
from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe
from dexml.errors import UsageError
from dexml.experiments.deep_replay import DeepReport, replay_deep
from dexml.ledger import Ledger
from dexml.simulation.exchanges import Fault, Switchboard
from tests.live_run import CLOSES, INSTANTS, N_CYCLES, N_HISTORY, NAMES, RUN, record_live_run
from tests.recorded_run import record_run

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.slow


def revised(store: Store, closed_at: datetime, known_at: datetime) -> int:
    """Append a revision of a bar, as an exchange that corrects itself makes it."""
    bars = store.bars("binance", "BTC/USDT", Timeframe.H1)
    frame = bars.frame().loc[[pd.Timestamp(closed_at)]] * 1.001
    again = Bars.from_frame("BTC/USDT", Timeframe.H1, frame)
    return store.append_bars("binance", again, known_at)


def happen(crew: Crew, faults: Switchboard, closed_at: datetime) -> None:
    """Let an exchange correct a bar of the past, and another one fall silent for two closes."""
    if closed_at == CLOSES[3]:
        known_at = closed_at + timedelta(minutes=30)
        assert revised(crew.store, INSTANTS[N_HISTORY - 30], known_at) == 1
        faults.set(Fault.FROZEN, venue="coinbaseexchange")
    if closed_at == CLOSES[5]:
        faults.clear()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with a run in whose middle something happened."""
    home = tmp_path_factory.mktemp("recorded")
    record_live_run(home, happen)
    return home


@pytest.fixture
def home(recorded: Path, tmp_path: Path) -> Path:
    """Return a copy of it, to be changed."""
    return Path(shutil.copytree(recorded, tmp_path / "home"))


def deep(home: Path) -> DeepReport:
    with Ledger.open(f"sqlite:///{home / 'ledger.sqlite'}") as ledger:
        return replay_deep(ledger, RUN, home)


def store_of(home: Path) -> Path:
    return home / "runs" / RUN / "store"


@dataclass(frozen=True)
class Said:
    code: int
    result: dict[str, Any]
    err: str

    def kinds(self) -> set[str]:
        return {one["kind"] for one in self.result["differences"]}

    def first(self, kind: str) -> dict[str, Any]:
        return next(one for one in self.result["differences"] if one["kind"] == kind)


def replayed(home: Path, code: Path = ROOT) -> Said:
    """Run `dexml replay --deep --json` in a process of its own, with the packages of a folder."""
    ended = subprocess.run(
        [sys.executable, "-m", "dexml.cli", "replay", "--deep", "--json", "--home", str(home)],
        cwd=home,
        env=os.environ | {"PYTHONPATH": str(code)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    lines = ended.stdout.splitlines()
    return Said(ended.returncode, json.loads(lines[-1]) if lines else {}, ended.stderr)


def edited_code(folder: Path, file: str, old: str, new: str) -> Path:
    """Return a copy of the packages with one line changed."""
    for package in ("dexml", "actors"):
        shutil.copytree(ROOT / package, folder / package)
    text = (folder / file).read_text()
    assert text.count(old) == 1, file
    (folder / file).write_text(text.replace(old, new))
    return folder


def rewrite(folder: Path, change: Callable[[pa.Table], pa.Table]) -> int:
    """Forge the segments of a folder, names and digests as they should be; return how many."""
    n_changed = 0
    for file in sorted(folder.glob("*.arrow")):
        table = pa.ipc.open_file(file).read_all()
        other = change(table)
        if not other.equals(table):
            sink = pa.BufferOutputStream()
            with pa.ipc.new_file(sink, other.schema) as writer:
                writer.write_table(other)
            content = sink.getvalue().to_pybytes()
            number = file.name.partition("-")[0]
            (folder / f"{number}-{digest(content)}.arrow").write_bytes(content)
            file.unlink()
            n_changed += 1
    return n_changed


def nudged(instrument: str, closed_at: datetime) -> Callable[[pa.Table], pa.Table]:
    """Return a change of the close of one bar, by a millionth of its way to its open."""

    def change(table: pa.Table) -> pa.Table:
        frame = table.to_pandas()
        row = (frame["instrument"] == instrument) & (frame["closed_at"] == closed_at)
        frame.loc[row, "close"] += 1e-6 * (frame["open"] - frame["close"])[row]
        return pa.Table.from_pandas(frame, schema=table.schema, preserve_index=False)

    return change


def test_a_run_is_made_again_to_the_byte_in_another_process(recorded: Path) -> None:
    said = replayed(recorded)
    assert said.code == 0, said.err
    assert said.result == {
        "run": RUN,
        "identical": True,
        "closes": N_CYCLES,
        "forecasts": N_CYCLES * len(NAMES) * 2,
        "decisions": N_CYCLES * len(NAMES),
        "differences": [],
        "warnings": [],
    }


def test_what_became_known_later_is_no_difference(home: Path) -> None:
    later = CLOSES[-1] + timedelta(minutes=1)
    assert revised(Store(store_of(home)), CLOSES[2], later) == 1
    assert deep(home).identical


def test_a_rewritten_bar_of_the_run_is_named_with_all_that_follows_from_it(home: Path) -> None:
    change = nudged("ETH/USDT", CLOSES[5])
    venues = [store_of(home) / "arrivals" / one / "1h" for one in ("binance", "coinbaseexchange")]
    assert [rewrite(folder, change) for folder in venues] == [1, 1]
    said = replayed(home)
    assert said.code == 1
    bar = said.first("bar")
    assert bar["subject"] == f"ETH/USDT closed at {CLOSES[5]:%Y-%m-%d %H:%M}"
    assert bar["recorded"].startswith("close ")
    assert bar["now"] != bar["recorded"]
    assert float(bar["now"].split()[1]) == pytest.approx(float(bar["recorded"].split()[1]))
    assert (bar["cause"], bar["n"]) == ("bar changed", 1)
    features = said.first("features")
    assert features["subject"].endswith(f"closed at {CLOSES[5]:%Y-%m-%d %H:%M}")
    assert features["cause"] == "bar changed"
    assert "stored" not in said.kinds()
    assert "decision" not in said.kinds()


def test_a_rewritten_bar_of_one_exchange_shows_though_the_agreed_bar_stays(home: Path) -> None:
    change = nudged("BTC/USDT", CLOSES[5])
    assert rewrite(store_of(home) / "arrivals" / "coinbaseexchange" / "1h", change) == 1
    assert "features" in {one.kind for one in deep(home).differences}


def test_a_rewritten_bar_before_the_run_is_named_by_exchange_and_month(home: Path) -> None:
    at = INSTANTS[10]
    change = nudged("BTC/USDT", at)
    assert rewrite(store_of(home) / "arrivals" / "binance" / "1h", change) == 1
    (first, *_) = deep(home).differences
    assert first.kind == "stored"
    assert first.subject == f"binance BTC/USDT {at:%Y-%m}"
    assert first.cause == "bar changed"


def test_a_damaged_segment_is_told_and_the_rest_is_still_replayed(home: Path) -> None:
    file = sorted((store_of(home) / "arrivals" / "binance" / "1h").glob("*.arrow"))[0]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    report = deep(home)
    (only,) = report.differences
    assert only.kind == "bar"
    assert file.name in only.subject
    assert report.decisions == N_CYCLES * len(NAMES)


def test_one_flipped_byte_of_a_model_is_refused_by_its_digest(home: Path) -> None:
    file = next((home / "models").glob("*/direction/*.txt"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    said = replayed(home)
    assert said.code == 1
    assert said.kinds() == {"model"}
    model = said.first("model")
    assert model["subject"] == file.parents[1].name
    assert f"direction/{file.name}" in model["recorded"]
    assert model["cause"] == "model changed"


def test_a_line_that_changes_no_bit_is_told_but_is_no_difference(
    recorded: Path, tmp_path: Path
) -> None:
    text = (ROOT / "dexml/features/volume.py").read_text().splitlines()[0]
    said = replayed(
        recorded, edited_code(tmp_path, "dexml/features/volume.py", text, f"{text}\n# same")
    )
    assert (said.code, said.result["identical"]) == (0, True)
    assert said.result["warnings"] == ["the code is not the run's: dexml/features/volume.py"]
    assert "Warning: the code is not the run's" in said.err


def test_a_changed_line_of_a_feature_is_named(recorded: Path, tmp_path: Path) -> None:
    file, line = "dexml/features/volume.py", '"volume_residual_week": size - week_now'
    said = replayed(recorded, edited_code(tmp_path, file, line, f"{line} + 1e-9"))
    assert said.code == 1
    features = said.first("features")
    assert features["subject"].endswith(f"closed at {CLOSES[0]:%Y-%m-%d %H:%M}")
    assert features["n"] == N_CYCLES * len(NAMES)
    assert features["cause"] == f"code changed: {file}"
    assert not said.kinds() & {"stored", "start", "bar", "model", "prices", "decision"}


def test_a_changed_line_of_the_ensemble_is_named(recorded: Path, tmp_path: Path) -> None:
    file, line = "dexml/ensemble/stacking.py", "total = np.full(len(members), self.intercept)"
    said = replayed(recorded, edited_code(tmp_path, file, line, f"{line} + 1e-12"))
    assert said.code == 1
    assert said.kinds() == {"forecast", "signal"}
    assert said.first("forecast")["n"] == 2 * N_CYCLES * len(NAMES)
    assert said.first("signal")["cause"] == f"code changed: {file}"


def test_a_changed_line_of_the_cycle_shows_in_the_prices_it_tells(
    recorded: Path, tmp_path: Path
) -> None:
    file, line = "dexml/cycle.py", 'bar.low if phase == "worst" else bar.high'
    code = edited_code(tmp_path, file, line, line.replace("bar.low", "bar.close"))
    said = replayed(recorded, code)
    assert (said.code, said.kinds()) == (1, {"prices"})
    assert said.first("prices")["n"] == N_CYCLES
    assert said.first("prices")["cause"] == f"code changed: {file}"


def test_a_changed_line_of_the_kernel_shows_in_its_decisions(
    recorded: Path, tmp_path: Path
) -> None:
    file, line = "dexml/risk/sizing.py", "fraction * equity / (1 + 10 * daily_volatility)"
    said = replayed(recorded, edited_code(tmp_path, file, line, line.replace("10", "11")))
    assert said.code == 1
    assert said.kinds() == {"decision"}
    assert said.first("decision")["cause"] == f"code changed: {file}"


@pytest.mark.parametrize(("gone", "named"), [("runs", "store of run"), ("models", "model ")])
def test_what_is_gone_is_named(home: Path, gone: str, named: str) -> None:
    shutil.rmtree(home / gone)
    said = replayed(home)
    assert said.code == 2
    assert named in said.err


def test_a_run_that_did_not_record_its_origin_says_so(tmp_path: Path) -> None:
    run = record_run(tmp_path, n_bars=30)
    with (
        Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger,
        pytest.raises(UsageError, match="must have recorded what it was made from"),
    ):
        replay_deep(ledger, run, tmp_path)
