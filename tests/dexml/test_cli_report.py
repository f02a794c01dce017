"""`dexml report` as a user runs it, on a ledger that a run of the real owners wrote."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from dexml.clock import SystemClock
from dexml.dashboard.api import make_app
from dexml.ledger import Ledger
from serve_app import ActorBackend, ServeArgs
from tests import planted_book as book
from tests.dexml.conftest import ROOT, Dexml
from tests.dexml.test_report import OUTSIDE
from tests.recorded_run import RUN, copied, record_run
from tests.refusals import nothing_left, one_sentence


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home: Path = tmp_path_factory.mktemp("recorded")
    record_run(home)
    return home


@pytest.fixture
def home(recorded: Path, tmp_path: Path) -> Path:
    return copied(recorded, tmp_path)


def test_the_latest_run_is_written_as_one_file_that_asks_nothing_of_anybody(
    dexml: Dexml, home: Path
) -> None:
    said = dexml("report", "--home", home)
    assert said.code == 0
    place = home / "runs" / RUN / "book.html"
    assert f"Report  {place}" in said.out
    html = place.read_text("utf-8")
    assert OUTSIDE.findall(html) == []
    for heading in ("Book over time", "Risk score by part", "Stress", "Correlations", "Declined"):
        assert f"<h2>{heading}" in html
    assert "A verdict on the forecasts is said by the command that judged them" in html
    assert "<h2>Truth" not in html  # no models were registered, no stages timed
    assert "<h2>Stages" not in html
    assert "120 of 120" in html


def test_programs_get_the_book_and_the_places(dexml: Dexml, home: Path, empty: Path) -> None:
    said = dexml("report", RUN, "--json", "--out", "b.html", "--trades", "t.csv", "--home", home)
    result = said.last_line()
    assert (said.code, said.out.count("\n")) == (0, 1)
    assert (result["run"], result["report"], result["trades"]) == (RUN, "b.html", "t.csv")
    assert result["book"]["closes"] == {"decided": 120, "asked": 120}
    assert len(said.out) < 60_000
    assert {path.name for path in empty.iterdir()} == {"b.html", "t.csv"}


def test_the_trades_are_those_of_the_api_to_the_byte(dexml: Dexml, home: Path, empty: Path) -> None:
    assert dexml("report", "--trades", "t.csv", "--home", home).code == 0
    written = (empty / "t.csv").read_bytes()
    token, record, _, _ = book.tokens()
    args = ServeArgs(run=RUN, database_url="-", instruments=("BTC/USDT",))
    with Ledger.open(f"sqlite:///{home / 'ledger.sqlite'}") as ledger:
        ledger.add_token(record.token_id, record.sha256, record.scopes, record.expires_at)
        backend = ActorBackend(args, lambda *_, **__: {}, ledger, SystemClock())
        client = TestClient(make_app(backend, SystemClock()), base_url="http://127.0.0.1:8000")
        headers = {"Authorization": f"Bearer {token}"}
        answer = client.get("/v1/trades?format=csv&limit=5000", headers=headers)
        n_fills = len(ledger.trades(RUN))
    assert answer.content == written
    rows = list(csv.DictReader(io.StringIO(written.decode())))
    assert len(rows) == n_fills > 10
    assert {row["side"] for row in rows} == {"buy", "sell"}


def test_what_cannot_be_written_leaves_the_old_file_whole(
    dexml: Dexml, home: Path, empty: Path
) -> None:
    (empty / "t.csv").write_text("the old one")
    with closing(sqlite3.connect(home / "ledger.sqlite")) as connection, connection:
        connection.execute("UPDATE fills SET quote = '1'")
    said = dexml("report", "--out", "b.html", "--trades", "t.csv", "--home", home)
    assert said.code == 1
    assert "stream 'execution'" in said.err
    assert (empty / "t.csv").read_text() == "the old one"
    assert not (empty / "b.html").exists()


def test_a_full_disk_is_a_sentence_and_leaves_no_half_file(home: Path, empty: Path) -> None:
    # the shell's limit on the size of a file stands in for a disk that is full
    limited = f"trap '' XFSZ; ulimit -f 40; exec {sys.executable} -m dexml.cli report"
    command = ["bash", "-c", f"{limited} --out b.html --home {home}"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=empty, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 3
    one_sentence(ended.stderr)
    nothing_left(empty)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nosuch",), f"run must be in the ledger, was nosuch. The latest is {RUN}."),
        (("--out", "no/b.html"), "--out must be in a folder that exists, was no/b.html"),
        (("--out", "."), "--out must be a file, was ."),
        (("--trades", "no/t.csv"), "--trades must be in a folder that exists"),
        (("--out", "b", "--trades", "./b"), "--trades must be another file than --out"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence_and_code_2(
    dexml: Dexml, home: Path, empty: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    said = dexml("report", *arguments, "--json", "--home", home)
    assert said.code == 2
    assert sentence in said.err
    assert said.last_line()["exit_code"] == 2
    one_sentence(said.err)
    nothing_left(empty)


def test_it_needs_neither_ray_nor_the_network(home: Path, empty: Path) -> None:
    code = (
        "import sys, socket\n"
        "def refused(*_): raise AssertionError('the network was asked')\n"
        "socket.socket.connect = refused\n"
        "from dexml.cli import app\n"
        f"app(['report', '--home', {str(home)!r}], standalone_mode=False)\n"
        "import json\n"
        "print(json.dumps(sorted({'ray', 'torch', 'autogluon', 'ccxt'} & set(sys.modules))))\n"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=empty, env=env, capture_output=True, text=True, check=True
    )
    assert json.loads(ended.stdout.splitlines()[-1]) == []
