from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe
from dexml.ledger import Ledger
from tests.dexml.conftest import ROOT, Dexml
from tests.random_walk import some_bars
from tests.recorded_run import RUN, hourly, record_run, write_bars
from tests.refusals import nothing_left, one_sentence

LONG_ENOUGH = 1_200


def test_audit_of_the_built_in_market_finds_nothing(dexml: Dexml, empty: Path) -> None:
    said = dexml("audit", "--json", "--symbols", "BTC/USDT,ETH/USDT")
    assert said.code == 0
    assert said.last_line()["leaks"] == []
    assert said.last_line()["checked"] > 100
    assert said.out.count("\n") == 1
    nothing_left(empty)


def test_audit_reads_recorded_bars(dexml: Dexml, tmp_path: Path) -> None:
    bars = write_bars(tmp_path / "bars", "BTCUSDT.parquet", hourly(LONG_ENOUGH))
    said = dexml("audit", "--json", "--bars", bars)
    assert (said.code, said.last_line()["leaks"]) == (0, [])


def test_audit_of_too_few_bars_says_how_many_it_needs(dexml: Dexml, tmp_path: Path) -> None:
    said = dexml("audit", "--bars", write_bars(tmp_path / "bars", "BTCUSDT.parquet", hourly(100)))
    assert said.code == 3
    assert "must be at least 434 bars long to be audited, was 100" in said.err
    one_sentence(said.err)


def test_audit_names_a_leak_and_exits_with_1(empty: Path) -> None:
    leaking = (
        "import sys, numpy as np\n"
        "from dexml.features.registry import Group, indicator\n"
        "@indicator(Group.PRICE, 'tomorrow', warm_up=1, unit='fraction')\n"
        "def tomorrow(bars):\n"
        "    '''Return of the next bar.'''\n"
        "    return {'tomorrow': np.append(np.diff(np.log(bars.close)), 0.0)}\n"
        "sys.argv = ['dexml', 'audit', '--json', '--symbols', 'BTC/USDT']\n"
        "from dexml.cli import main\n"
        "main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", leaking],
        cwd=empty,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr, ended.stderr
    assert json.loads(ended.stdout)["leaks"] == ["tomorrow"]
    assert "leak  tomorrow: perturbation" in ended.stderr


@pytest.mark.parametrize("command", ["replay", "report", "status"])
def test_without_a_ledger_the_fix_is_named_and_none_is_made(
    dexml: Dexml, empty: Path, command: str
) -> None:
    said = dexml(command, "--json", "--home", empty / "home")
    assert said.code == 3
    assert "must exist, was missing. Run dexml demo first" in said.err
    assert said.last_line()["exit_code"] == 3
    nothing_left(empty)


def test_replay_takes_the_latest_run_and_status_tells_where_it_stands(
    dexml: Dexml, tmp_path: Path
) -> None:
    record_run(tmp_path)
    replayed = dexml("replay", "--json", "--home", tmp_path)
    assert replayed.code == 0
    assert replayed.last_line() == {"run": RUN, "identical": True, "decisions": 120}
    status = dexml("status", "--json", DEXML_HOME=str(tmp_path)).last_line()
    assert status["run"] == RUN
    assert status["mode"] == "active"
    assert float(status["equity"]) > 10_000
    assert set(status) >= {"positions", "alerts", "drawdown", "value_at_risk", "closed_at"}
    for_people = dexml("status", "--home", tmp_path)
    assert for_people.out.startswith(f"{RUN}, last bar closed 2024-01-0")


def test_status_tells_how_far_the_data_of_a_run_can_be_trusted(
    dexml: Dexml, tmp_path: Path
) -> None:
    record_run(tmp_path)
    assert dexml("status", "--json", "--home", tmp_path).last_line()["data"] == []
    store = Store(tmp_path / "runs" / RUN / "store")
    bars = some_bars("BTC/USDT", 500)
    frame = bars.frame().drop(bars.frame().index[100:103])
    store.append_bars("binance", Bars.from_frame("BTC/USDT", Timeframe.H1, frame))
    status = dexml("status", "--json", "--home", tmp_path).last_line()
    (row,) = status["data"]
    assert (row["instrument"], row["closed_at"]) == ("BTC/USDT", status["closed_at"])
    assert (row["bars_in_quarantine"], row["venues"]) == (0, ["binance"])
    said = dexml("status", "--home", tmp_path).out
    assert f"BTC/USDT   1h  health {row['health']:.2f} at 2024-01-0" in said
    assert "; health 0.00 now, no new risk (no bar), newest bar " in said
    assert "; from binance\n" in said


def test_status_without_a_run_tells_what_was_imported(dexml: Dexml, empty: Path) -> None:
    store = Store(empty / ".dexml" / "store")
    bars = some_bars("BTC/USDT", 200)
    frame = bars.frame()
    frame.iloc[-3, :4] *= 1_000.0
    store.append_bars("binance", Bars.from_frame("BTC/USDT", Timeframe.H1, frame))
    said = dexml("status")
    assert said.code == 0
    assert "BTC/USDT   1h  health 0.96 at 2024-01-09 08:00 (4% of the last 24 bars" in said.out
    assert "; health 0.00 now, no new risk (no bar), newest bar " in said.out
    assert "; from binance; 1 bar in quarantine: price jump for one bar 1\n" in said.out
    result = dexml("status", "--json").last_line()
    (row,) = result["data"]
    assert (result["run"], row["bars_in_quarantine"]) == (None, 1)
    assert (row["live"]["health"], row["live"]["in_quarantine"]) == (0.0, True)
    assert row["live"]["age_s"] > 2 * 365 * 86_400
    assert dexml("status", "other").code == 3


def test_replay_of_an_unknown_run_names_the_latest(dexml: Dexml, tmp_path: Path) -> None:
    record_run(tmp_path, n_bars=30)
    said = dexml("replay", "nosuch", "--home", tmp_path)
    assert said.code == 2
    assert f"run must be in the ledger, was nosuch. The latest is {RUN}." in said.err


def test_halt_resume_and_close_are_written_down_with_nothing_running(
    dexml: Dexml, tmp_path: Path
) -> None:
    record_run(tmp_path)
    asked = [
        (("halt",), "halted", "no order is sent"),
        (("resume",), "active", "its ledger is sound"),
        (("halt", "--reducing"), "reducing", "only orders that reduce"),
        (("close",), "reducing", "what is held is sold"),
    ]
    for arguments, wanted, sentence in asked:
        said = dexml(*arguments, "--json", "--home", tmp_path)
        assert (said.code, said.last_line()["wanted"]) == (0, wanted)
        assert sentence in said.err
        status = dexml("status", "--json", "--home", tmp_path).last_line()
        assert status["asked"]["wanted"] == wanted
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        assert len(ledger.unheard_requests(RUN)) == 4


@pytest.mark.parametrize("change", ["UPDATE fills SET quote = '1'", "DELETE FROM orders"])
def test_replay_refuses_a_ledger_whose_fills_or_orders_were_changed(
    dexml: Dexml, tmp_path: Path, change: str
) -> None:
    record_run(tmp_path)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection, connection:
        connection.execute(change)
    said = dexml("replay", "--home", tmp_path)
    assert said.code == 1
    assert "stream 'execution'" in said.err
