from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dexml.conftest import ROOT, Dexml
from tests.refusals import nothing_left, one_sentence

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
    one_sentence(said.err)
    nothing_left(empty)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[costs]\npool_fe_bps = 5", "Did you mean costs.pool_fee_bps?"),
        ("[limits]\nweight = 15", "limits.weight in dexml.toml must be in (0, 1), was 15.0"),
        ('[policy]\nname = "mine"', "policy.name must be one of net_edge, was mine"),
        ('[data]\ntimeframe = "4h"', "data.timeframe must be 1h here, was 4h"),
        (
            '[data]\nexchanges = ["okx"]',
            "data.exchanges must be binance, kraken, coinbaseexchange here, was ('okx',)",
        ),
        ('[serve]\nhost = "0.0.0.0"', "serve.host must be 127.0.0.1 here, was 0.0.0.0"),
        ("[policy]\nhorizon = 24", "policy.horizon must be 1 here, was 24"),
        ("[exits]\nstop_atr = inf", "exits.stop_atr must be finite, was inf"),
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
    one_sentence(said.err)
    nothing_left(empty)


def test_config_show_tells_who_gave_each_value_and_hides_passwords(
    dexml: Dexml, empty: Path
) -> None:
    (empty / "dexml.toml").write_text("[costs]\npool_fee_bps = 30")
    env = {"DEXML_EXITS__STOP_ATR": "3", "DEXML_DATABASE_URL": "postgresql://me:secret@host/db"}
    said = dexml("config", "show", "--json", **env)
    shown = said.last_line()
    names = ("costs.pool_fee_bps", "exits.stop_atr", "trips.drawdown")
    assert [shown["settings"][name] for name in names] == [30, 3.0, 0.15]
    assert [shown["sources"][name] for name in names] == [
        "dexml.toml",
        "DEXML_EXITS__STOP_ATR",
        "default",
    ]
    assert shown["settings"]["database_url"] == "postgresql://me:***@host/db"
    assert "secret" not in said.out + said.err
    nothing_left(empty)


def test_config_show_shows_the_home_of_the_command_line(dexml: Dexml, empty: Path) -> None:
    said = dexml("config", "show", "--json", "--home", "elsewhere")
    shown = said.last_line()
    assert (shown["settings"]["home"], shown["sources"]["home"]) == ("elsewhere", "--home")
    nothing_left(empty)


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
