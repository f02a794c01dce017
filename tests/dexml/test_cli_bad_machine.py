from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dexml.conftest import ROOT, Dexml
from tests.refusals import nothing_left, one_sentence


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
    one_sentence(said.err)
    nothing_left(small_disk)


def test_a_disk_without_a_byte_is_refused(dexml: Dexml, small_disk: Path) -> None:
    with (small_disk / "ballast").open("wb") as ballast, pytest.raises(OSError, match="No space"):
        ballast.write(b"x" * 2**21)
    said = dexml("demo", "--home", small_disk)
    assert said.code == 3
    one_sentence(said.err)
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]


def test_a_read_only_home_is_refused(dexml: Dexml, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    said = dexml("demo", "--home", small_disk / "home")
    assert said.code == 3
    assert "must be a writable folder, was Read-only file system. Choose another" in said.err
    one_sentence(said.err)


def test_a_home_inside_a_file_is_refused(dexml: Dexml, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = dexml("demo", "--home", tmp_path / "file" / "home")
    assert said.code == 3
    assert "file is a file" in said.err
    one_sentence(said.err)


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
    nothing_left(empty)


def test_a_temporary_folder_too_deep_for_sockets_is_refused(
    dexml: Dexml, empty: Path, tmp_path: Path
) -> None:
    deep = tmp_path / ("d" * 80)
    deep.mkdir()
    said = dexml("demo", TMPDIR=str(deep))
    assert said.code == 3
    assert "Set TMPDIR=/tmp." in said.err
    one_sentence(said.err)
    nothing_left(empty)


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
