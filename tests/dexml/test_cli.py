from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.dexml.conftest import ROOT, Dexml
from tests.recorded_run import RUN, hourly, record_run

LONG_ENOUGH = 1_200


def _one_sentence(text: str) -> None:
    assert "Traceback" not in text
    assert len(text.strip().splitlines()) == 1, text


def _nothing_left(folder: Path) -> None:
    assert [path for path in folder.rglob("*") if path.name != "dexml.toml"] == []


def _write(folder: Path, name: str, frame: pd.DataFrame) -> Path:
    folder.mkdir(exist_ok=True)
    frame.to_parquet(folder / name)
    return folder


# --- the front door


# What makes a start slow is what it imports, and that does not depend on how busy the machine is.
_SLOW = "aiohttp alembic asyncio autogluon catboost ccxt fastapi feedparser httpx lightgbm numpy"
_SLOW += " pandas plotly pyarrow pydantic_settings ray requests scipy sklearn sqlalchemy starlette"
_SLOW += " talib torch vaderSentiment"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["demo", "--help"]])
def test_help_and_version_import_little_and_none_of_the_slow_libraries(
    dexml: Dexml, arguments: list[str]
) -> None:
    said = dexml(*arguments, PYTHONPROFILEIMPORTTIME="1")
    assert said.code == 0
    lines = [line for line in said.err.splitlines() if line.startswith("import time:")]
    modules = {line.rpartition("|")[2].strip() for line in lines}
    assert "dexml.cli_options" in modules
    assert not {name.partition(".")[0] for name in modules} & set(_SLOW.split())
    assert len(modules) < 500


def test_version_is_one_line(dexml: Dexml) -> None:
    assert dexml("--version").out.startswith("dexml 0.")


def test_no_help_line_is_wider_than_the_terminal(dexml: Dexml) -> None:
    assert max(map(len, dexml("demo", "--help").out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["demo", "--seed", "x"], "--seed must be a valid integer"),
        (["demo", "--seed", "-1"], "--seed must be greater than or equal to 0"),
        (["demo", "--cycles", "0"], "--cycles must be greater than or equal to 1"),
        (["demo", "--cycles", "many"], "--cycles must be a valid integer"),
        (["demo", "--port", "70000"], "--port must be less than or equal to 65535"),
        (["demo", "--history", "100"], "--history must be at least 1112 bars"),
        (["demo", "--symbols", "BITCOIN"], "--symbols must read BASE/QUOTE, was 'BITCOIN'"),
        (["demo", "--symbols", "A/B,A/B"], "--symbols must name each instrument once"),
        (["demo", "--frobnicate"], "No such option: --frobnicate. See dexml demo --help"),
        (["dmeo"], "No such command dmeo"),
        (["audit", "--symbols", "btc"], "--symbols must read BASE/QUOTE, was 'btc'"),
        (["audit", "--seed", "-3"], "--seed must be greater than or equal to 0"),
    ],
)
def test_a_wrong_argument_is_one_sentence_and_code_2(
    dexml: Dexml, empty: Path, arguments: list[str], sentence: str
) -> None:
    said = dexml(*arguments)
    assert said.code == 2
    assert said.out == ""
    assert sentence in said.err
    _one_sentence(said.err)
    _nothing_left(empty)


# --- bad files


def _missing(folder: Path) -> Path:
    return folder / "nowhere"


def _no_parquet(folder: Path) -> Path:
    folder.mkdir()
    (folder / "BTCUSDT.parquet").write_text("this is no parquet")
    return folder


def _text_file(folder: Path) -> Path:
    folder.mkdir()
    (folder / "BTCUSDT.txt").write_text("a letter")
    return folder / "BTCUSDT.txt"


def _empty_folder(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _no_volume(folder: Path) -> Path:
    return _write(folder, "BTCUSDT.parquet", hourly(LONG_ENOUGH).drop(columns="volume"))


def _no_rows(folder: Path) -> Path:
    return _write(folder, "BTCUSDT.parquet", hourly(10).iloc[:0])


def _apart_in_time(folder: Path) -> Path:
    late = hourly(LONG_ENOUGH)
    late["timestamp"] += pd.Timedelta(days=900)
    _write(folder, "BTCUSDT.parquet", hourly(LONG_ENOUGH))
    return _write(folder, "ETHUSDT.parquet", late)


def _contradicting(folder: Path) -> Path:
    _write(folder, "BTCUSDT.parquet", hourly(LONG_ENOUGH))
    return _write(folder, "BTCUSDT_again.parquet", hourly(LONG_ENOUGH, seed=1))


def _many_nan(folder: Path) -> Path:
    frame = hourly(LONG_ENOUGH)
    frame.loc[100:300, "close"] = float("nan")
    return _write(folder, "BTCUSDT.parquet", frame)


def _many_negative(folder: Path) -> Path:
    frame = hourly(LONG_ENOUGH)
    frame.loc[100:300, "low"] *= -1
    return _write(folder, "BTCUSDT.parquet", frame)


def _one_nan(folder: Path) -> Path:
    frame = hourly(LONG_ENOUGH)
    frame.loc[700, "close"] = float("nan")
    return _write(folder, "BTCUSDT.parquet", frame)


def _one_negative(folder: Path) -> Path:
    frame = hourly(LONG_ENOUGH)
    frame.loc[700, "low"] *= -1
    return _write(folder, "BTCUSDT.parquet", frame)


def _from_the_future(folder: Path) -> Path:
    frame = hourly(LONG_ENOUGH)
    frame["timestamp"] += pd.Timedelta(days=20_000)
    return _write(folder, "BTCUSDT.parquet", frame)


def _too_short(folder: Path) -> Path:
    return _write(folder, "BTCUSDT.parquet", hourly(400))


def _daily(folder: Path) -> Path:
    frame = hourly(LONG_ENOUGH)
    frame["timestamp"] = pd.date_range("2019-01-01", periods=len(frame), freq="D", tz="UTC")
    return _write(folder, "BTCUSDT.parquet", frame)


def _two_timeframes(folder: Path) -> Path:
    _write(folder, "ETHUSDT.parquet", hourly(LONG_ENOUGH))
    return _daily(folder)


def _nameless(folder: Path) -> Path:
    return _write(folder, "prices.parquet", hourly(LONG_ENOUGH))


@pytest.mark.parametrize(
    ("spoil", "code", "sentence"),
    [
        (_missing, 2, "must exist"),
        (_no_parquet, 3, "must be parquet"),
        (_text_file, 3, "must end in .parquet"),
        (_empty_folder, 2, "must hold parquet or CSV files"),
        (_no_volume, 3, "must have the column volume"),
        (_no_rows, 3, "must have rows"),
        (
            _apart_in_time,
            3,
            "must overlap in time, was ETH/USDT from 2026-06-19 01:00, BTC/USDT until",
        ),
        (_contradicting, 3, "must agree with the files before it"),
        (_many_nan, 3, "first in row 100"),
        (_many_negative, 3, "first in row 100"),
        (
            _one_nan,
            3,
            "must have sound rows only, was 1 unsound (not a number: 1, first in row 700)",
        ),
        (_one_negative, 3, "was 1 unsound (price not positive: 1, first in row 700)"),
        (_from_the_future, 3, "in the future"),
        (_too_short, 2, "must have 1163 in common"),
        (_daily, 3, "must be hourly in the demo, was 1d"),
        (_two_timeframes, 3, "must be of one timeframe"),
        (_nameless, 3, "must name its instrument"),
    ],
)
def test_bars_that_cannot_be_used_are_refused_before_anything_starts(
    dexml: Dexml,
    empty: Path,
    tmp_path: Path,
    spoil: Callable[[Path], Path],
    code: int,
    sentence: str,
) -> None:
    said = dexml("demo", "--json", "--bars", spoil(tmp_path / "bars"))
    assert (said.code, said.last_line()["exit_code"]) == (code, code)
    assert sentence in said.err
    assert said.last_line()["error"] == said.err.strip()
    _one_sentence(said.err)
    _nothing_left(empty)


def test_a_symbol_that_no_file_has_is_named_with_those_there_are(
    dexml: Dexml, empty: Path, tmp_path: Path
) -> None:
    bars = _write(tmp_path / "bars", "BTCUSDT.parquet", hourly(LONG_ENOUGH))
    said = dexml("demo", "--bars", bars, "--symbols", "FOO/USDT")
    assert said.code == 2
    assert "--symbols must be among BTC/USDT, was FOO/USDT" in said.err
    _nothing_left(empty)


def test_a_history_that_the_files_cannot_give_is_answered_with_one_they_can(
    dexml: Dexml, empty: Path, tmp_path: Path
) -> None:
    bars = _write(tmp_path / "bars", "BTCUSDT.parquet", hourly(LONG_ENOUGH))
    said = dexml("demo", "--bars", bars, "--history", "5000")
    assert said.code == 2
    assert "Give --history 1149" in said.err
    _nothing_left(empty)


# --- a machine that lacks something


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_refused(dexml: Dexml, small_disk: Path) -> None:
    said = dexml("demo", "--home", small_disk / "home")
    assert said.code == 3
    assert "must have 1.5 GB free, was 0.00 GB. Free space there." in said.err
    _one_sentence(said.err)
    _nothing_left(small_disk)


def test_a_disk_without_a_byte_is_refused(dexml: Dexml, small_disk: Path) -> None:
    with (small_disk / "ballast").open("wb") as ballast, pytest.raises(OSError, match="No space"):
        ballast.write(b"x" * 2**21)
    said = dexml("demo", "--home", small_disk)
    assert said.code == 3
    _one_sentence(said.err)
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]


def test_a_read_only_home_is_refused(dexml: Dexml, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    said = dexml("demo", "--home", small_disk / "home")
    assert said.code == 3
    assert "must be a writable folder, was Read-only file system. Choose another" in said.err
    _one_sentence(said.err)


def test_a_home_inside_a_file_is_refused(dexml: Dexml, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = dexml("demo", "--home", tmp_path / "file" / "home")
    assert said.code == 3
    assert "file is a file" in said.err
    _one_sentence(said.err)


def test_a_busy_port_is_refused_with_both_ways_out(dexml: Dexml, empty: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = dexml("demo", "--port", str(port))
    assert said.code == 3
    assert said.err.strip() == (
        f"port {port} must be free, was taken. "
        "Stop what uses it, or give --port 0 for any free one."
    )
    _nothing_left(empty)


def test_a_temporary_folder_too_deep_for_sockets_is_refused(
    dexml: Dexml, empty: Path, tmp_path: Path
) -> None:
    deep = tmp_path / ("d" * 80)
    deep.mkdir()
    said = dexml("demo", TMPDIR=str(deep))
    assert said.code == 3
    assert "Set TMPDIR=/tmp." in said.err
    _one_sentence(said.err)
    _nothing_left(empty)


def _older_python() -> str | None:
    places = [Path("/usr/bin"), *Path.home().glob(".pyenv/versions/3.*/bin")]
    names = ("python3.10", "python3.9", "python3.8")
    found = (str(place / name) for place in places for name in names)
    return next((path for path in found if os.access(path, os.X_OK)), None)


@pytest.fixture
def old_python(tmp_path: Path) -> str:
    """An older Python or, where there is none, ours in its clothes."""
    disguised = tmp_path / "python3.10"
    code = "import sys; sys.version_info = (3, 10, 1); sys.version = '3.10.1'; exec(sys.argv[2])"
    disguised.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    disguised.chmod(0o755)
    return _older_python() or str(disguised)


def test_make_refuses_a_python_that_is_too_old(tmp_path: Path, old_python: str) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    ended = subprocess.run(
        ["make", "install", f"PYTHON={old_python}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("dexml needs Python 3.11 to 3.13, was 3.")
    assert "Run make PYTHON=python3.11." in ended.stderr
    assert not (tmp_path / ".venv").exists()


# --- the configuration


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[costs]\npool_fe_bps = 5", "Did you mean costs.pool_fee_bps?"),
        ("[limits]\ndrawdown = 15", "limits.drawdown in dexml.toml must be in (0, 1), was 15.0"),
        ('[policy]\nname = "mine"', "policy.name must be one of net_edge, was mine"),
        ('[data]\ntimeframe = "4h"', "data.timeframe must be 1h here, was 4h"),
        ('[models]\nprofile = "best"', "models.profile must be fast here, was best"),
        (
            '[data]\nexchanges = ["okx"]',
            "data.exchanges must be binance, kraken, coinbaseexchange here, was ('okx',)",
        ),
        ('[serve]\nhost = "0.0.0.0"', "serve.host must be 127.0.0.1 here, was 0.0.0.0"),
        ('storage_uri = "s3://x"', "storage_uri must be left out here, was s3://x"),
        (
            'database_url = "postgresql+pg8000://me:secret@127.0.0.1:1/db"',
            "postgresql+pg8000://me:***@127.0.0.1:1/db must have its driver installed, was "
            "without pg8000",
        ),
        ("[costs", "dexml.toml must be TOML"),
    ],
)
def test_a_wrong_configuration_stops_the_demo_before_it_starts(
    dexml: Dexml, empty: Path, text: str, sentence: str
) -> None:
    (empty / "dexml.toml").write_text(text)
    said = dexml("demo")
    assert said.code == 2
    assert sentence in said.err
    _one_sentence(said.err)
    _nothing_left(empty)


def test_config_show_tells_who_gave_each_value_and_hides_passwords(
    dexml: Dexml, empty: Path
) -> None:
    (empty / "dexml.toml").write_text("[costs]\npool_fee_bps = 30")
    env = {"DEXML_EXITS__STOP_ATR": "3", "DEXML_DATABASE_URL": "postgresql://me:secret@host/db"}
    said = dexml("config", "show", "--json", **env)
    shown = said.last_line()
    names = ("costs.pool_fee_bps", "exits.stop_atr", "limits.drawdown")
    assert [shown["settings"][name] for name in names] == [30, 3.0, 0.15]
    assert [shown["sources"][name] for name in names] == [
        "dexml.toml",
        "DEXML_EXITS__STOP_ATR",
        "default",
    ]
    assert shown["settings"]["database_url"] == "postgresql://me:***@host/db"
    assert "secret" not in said.out + said.err
    _nothing_left(empty)


# --- audit, replay, status


def test_audit_of_the_built_in_market_finds_nothing(dexml: Dexml, empty: Path) -> None:
    said = dexml("audit", "--json", "--symbols", "BTC/USDT,ETH/USDT")
    assert said.code == 0
    assert said.last_line()["leaks"] == []
    assert said.last_line()["checked"] > 100
    assert said.out.count("\n") == 1
    _nothing_left(empty)


def test_audit_reads_recorded_bars(dexml: Dexml, tmp_path: Path) -> None:
    bars = _write(tmp_path / "bars", "BTCUSDT.parquet", hourly(LONG_ENOUGH))
    said = dexml("audit", "--json", "--bars", bars)
    assert (said.code, said.last_line()["leaks"]) == (0, [])


def test_audit_of_too_few_bars_says_how_many_it_needs(dexml: Dexml, tmp_path: Path) -> None:
    said = dexml("audit", "--bars", _write(tmp_path / "bars", "BTCUSDT.parquet", hourly(100)))
    assert said.code == 3
    assert "must be at least 434 bars long to be audited, was 100" in said.err
    _one_sentence(said.err)


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


@pytest.mark.parametrize("command", ["replay", "status"])
def test_without_a_ledger_the_fix_is_named_and_none_is_made(
    dexml: Dexml, empty: Path, command: str
) -> None:
    said = dexml(command, "--json", "--home", empty / "home")
    assert said.code == 3
    assert "must exist, was missing. Run dexml demo first" in said.err
    assert said.last_line()["exit_code"] == 3
    _nothing_left(empty)


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


def test_replay_of_an_unknown_run_names_the_latest(dexml: Dexml, tmp_path: Path) -> None:
    record_run(tmp_path, n_bars=30)
    said = dexml("replay", "nosuch", "--home", tmp_path)
    assert said.code == 2
    assert f"run must be in the ledger, was nosuch. The latest is {RUN}." in said.err


# --- terminals and pipes


def test_a_reader_that_leaves_early_is_no_error(empty: Path) -> None:
    command = f"{sys.executable} -m dexml.cli config show | head -1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(
        ["bash", "-c", command],
        cwd=empty,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stderr == ""
    assert ended.stdout.count("\n") == 1


def test_no_color_leaves_no_colour_even_where_a_terminal_is_forced(dexml: Dexml) -> None:
    coloured = dexml("doctor", FORCE_COLOR="1", TERM="xterm-256color")
    plain = dexml("doctor", FORCE_COLOR="1", TERM="xterm-256color", NO_COLOR="1")
    assert "\x1b[32m" in coloured.out
    assert "\x1b[32m" not in plain.out
