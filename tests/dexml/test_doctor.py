from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from dexml.doctor import Finding, examine, require_place, require_port, require_temporary_folder
from dexml.errors import EnvironmentRefused
from tests.dexml.conftest import Dexml


def test_whatever_is_missing_has_a_fix(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    findings = examine(tmp_path / "file" / "home")
    home = next(finding for finding in findings if finding.what == "home")
    assert not home.ok
    assert all(finding.fix for finding in findings if not finding.ok)


def test_a_good_place_is_left_as_it_was_found(tmp_path: Path) -> None:
    require_place("home", tmp_path / "not" / "yet", n_bytes=1)
    assert list(tmp_path.iterdir()) == []


def test_a_place_without_room_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentRefused, match=r"must have 1000000000\.0 GB free, was"):
        require_place("home", tmp_path, n_bytes=10**18)


def test_a_free_port_and_any_port_pass_and_a_taken_one_does_not() -> None:
    require_port(0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(EnvironmentRefused, match=r"must be free, was taken\. Stop what uses"):
            require_port(taken.getsockname()[1])


def test_a_taken_port_is_a_note_with_its_advice_and_fails_nothing(tmp_path: Path) -> None:
    with socket.socket() as mine:
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # if another has it, it is taken all the same
            mine.bind(("127.0.0.1", 8000))
            mine.listen()
        port = next(one for one in examine(tmp_path) if one.what == "port 8000")
    assert port.ok
    assert port.seen == "taken. Stop what uses it, or give --port 0 for any free one."
    assert ".." not in port.line()


def test_a_line_has_one_full_stop_before_the_fix() -> None:
    seen, fix = "must be whole, was no file.", "Write it again."
    line = Finding(what="home", seen=seen, ok=False, fix=fix).line()
    assert line.endswith("home: must be whole, was no file. Write it again.")


def test_a_deep_temporary_folder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/" + "deep" * 20)
    with pytest.raises(EnvironmentRefused, match=r"at most \d+ characters.*Set TMPDIR=/tmp"):
        require_temporary_folder()


def test_a_line_takes_no_markup_from_what_was_seen() -> None:
    line = Finding(what="home", seen="/tmp/[red]", ok=True).line()
    assert line == r"[green]ok[/green]       home: /tmp/\[red]"


def test_the_command_ends_with_3_when_something_is_missing(dexml: Dexml, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = dexml("doctor", "--json", "--home", tmp_path / "file" / "home")
    assert said.code == 3
    found = {one["what"]: one for one in said.last_line()["findings"]}
    assert not found["home"]["ok"]
    assert found["Python"]["ok"]
    assert "missing  home" in said.err
