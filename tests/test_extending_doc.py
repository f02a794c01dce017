"""docs/extending.md followed to the letter: its file, run by its commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dexml.data.storage.store import Store

ROOT = Path(__file__).resolve().parents[1]
DOC = (ROOT / "docs" / "extending.md").read_text()
COMMANDS = re.findall(r"^python (own\.py .*)$", DOC, re.MULTILINE)


def command(word: str) -> list[str]:
    """Return the one command of the page in which a word stands."""
    (found,) = (one for one in COMMANDS if word in one)
    return shlex.split(found)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments, "--json"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (block,) = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)
    (tmp_path / "own.py").write_text(block)
    return tmp_path


def test_the_audit_covers_the_indicator(folder: Path) -> None:
    own = run(folder, *command("audit"))
    plain = run(folder, "-m", "dexml.cli", *command("audit")[1:])
    counts = [json.loads(one.stdout.splitlines()[-1])["checked"] for one in (own, plain)]
    assert (own.returncode, counts[0] - counts[1]) == (0, 1)


def test_imports_know_the_series_and_the_tone(folder: Path) -> None:
    (folder / "n225_daily.csv").write_text("date,close\n2024-01-05,33377.4\n2024-01-09,33763.2\n")
    lines = ("date,title", "2024-01-05 10:00:00,BITCOIN RISES", "2024-01-05 11:00:00,Ether falls")
    (folder / "headlines.csv").write_text("\n".join(lines))
    for word in ("n225", "shouting"):
        ended = run(folder, *command(word))
        assert ended.returncode == 0, ended.stderr
    store = Store(folder / ".dexml" / "store")
    assert store.macro()["known_at"][0].isoformat() == "2024-01-05T07:00:00+00:00"
    assert store.news()["score"].tolist() == [1.0, 0.0]


def test_backfill_asks_the_exchange_and_the_source_of_the_series(folder: Path) -> None:
    nobody = "http://127.0.0.1:1"
    for word, option, failed in (
        ("bitstamp", "--url", "bitstamp markets must answer"),
        ("--series", "--yahoo-url", "Yahoo ^N225 must answer with daily closes"),
    ):
        ended = run(folder, *command(word), option, nobody)
        assert ended.returncode == 3
        assert failed in str(json.loads(ended.stdout.splitlines()[-1])["failed"])
