"""Ctrl-C leaves no process, no port, no temporary folder and no half file, whenever it comes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.ray, pytest.mark.whole]
system = pytest.mark.xdist_group("system")
Start = Callable[..., "subprocess.Popen[str]"]


class Watched:
    """A process, its family as it grows, and the lines it says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.family: dict[int, psutil.Process] = {}
        self.ports: set[int] = set()
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def until(self, wanted: Callable[[], bool], patience_s: float = 200) -> None:
        deadline = time.monotonic() + patience_s
        while not wanted():
            assert self.process.poll() is None, "".join(self.lines[-20:])
            assert time.monotonic() < deadline, "".join(self.lines[-20:])
            self.look()
            time.sleep(0.05)

    def said(self, word: str) -> Callable[[], bool]:
        return lambda: any(word in line for line in self.lines)

    def look(self) -> None:
        me = psutil.Process(self.process.pid)
        for process in (me, *me.children(recursive=True)):
            self.family.setdefault(process.pid, process)

    def interrupt(self, *signals: signal.Signals) -> None:
        """Press Ctrl-C, or send other signals a second apart: every process of the group hears."""
        self.look()
        for process in self.family.values():
            try:
                found = process.net_connections("inet")
            except psutil.Error:
                continue
            self.ports |= {one.laddr.port for one in found if one.status == "LISTEN"}
        for number in signals or (signal.SIGINT,):
            os.killpg(self.process.pid, number)
            time.sleep(1.0)
        self.process.wait(timeout=90)

    def left(self) -> list[psutil.Process]:
        return [process for process in self.family.values() if process.is_running()]


@pytest.fixture
def watch(start: Start) -> Iterator[Callable[..., Watched]]:
    watched: list[Watched] = []

    def begin(*arguments: str, **more: str) -> Watched:
        watched.append(Watched(start(*arguments, **more)))
        return watched[-1]

    yield begin
    for one in watched:
        one.process.terminate()
        one.process.wait(timeout=30)
        for process in one.left():
            process.kill()


@pytest.fixture
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))  # pytest's are too long for sockets
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def assert_nothing_is_left(one: Watched, scratch: Path, home: Path) -> None:
    assert one.process.returncode == 130, "".join(one.lines[-60:])
    assert one.left() == []
    assert list(scratch.iterdir()) == []
    for port in one.ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    half = [path for path in home.rglob("*") if path.suffix in {".partial", ".tmp"}]
    assert half == []


def moment(one: Watched, name: str) -> Callable[[], bool]:
    return one.said(json.dumps({"moment": name})[:-1])


@system
@pytest.mark.parametrize("name", ["starting the crew", "serving"])
def test_ctrl_c_ends_a_standing_stack(
    watch: Callable[..., Watched], home: Path, trained: tuple[Path, str], scratch: Path, name: str
) -> None:
    one = watch("-m", "tests.system.stand", str(home), trained[1], TMPDIR=str(scratch))
    one.until(moment(one, name))
    time.sleep(1.0)  # in the middle of it
    one.interrupt()
    assert len(one.ports) > 5
    assert_nothing_is_left(one, scratch, home)


@system
@pytest.mark.parametrize("signals", [(signal.SIGINT,) * 3, (signal.SIGTERM, signal.SIGHUP)])
def test_an_impatient_user_and_a_closed_terminal_end_it_as_well(
    watch: Callable[..., Watched],
    home: Path,
    trained: tuple[Path, str],
    scratch: Path,
    signals: tuple[signal.Signals, ...],
) -> None:
    one = watch("-m", "tests.system.stand", str(home), trained[1], TMPDIR=str(scratch))
    one.until(moment(one, "starting the crew"))
    one.interrupt(*signals)
    assert_nothing_is_left(one, scratch, home)


@system
def test_what_a_killed_run_left_is_removed_by_the_next(
    watch: Callable[..., Watched], home: Path, trained: tuple[Path, str], scratch: Path
) -> None:
    one = watch("-m", "tests.system.stand", str(home), trained[1], TMPDIR=str(scratch))
    one.until(moment(one, "starting the crew"))
    one.look()
    one.process.kill()
    one.process.wait(timeout=10)
    assert list(scratch.iterdir()) != []
    code = "from actors.sandbox import sandbox\nwith sandbox(): pass"
    next_run = watch("-c", code, TMPDIR=str(scratch))
    next_run.process.wait(timeout=60)
    assert list(scratch.iterdir()) == []
    psutil.wait_procs(one.left(), timeout=20)
    assert [_line(process) for process in one.left()] == []


def demo(watch: Callable[..., Watched], home: Path, scratch: Path) -> Watched:
    arguments = ("--cycles", "30", "--symbols", "BTC/USDT", "--history", "1200", "--port", "0")
    return watch("-m", "dexml.cli", "demo", "--home", str(home), *arguments, TMPDIR=str(scratch))


def fits_run(one: Watched) -> Callable[[], bool]:
    def running() -> bool:
        return any("dexml.models.fits" in _line(process) for process in one.family.values())

    return running


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.mark.xdist_group("demo")
def test_ctrl_c_ends_the_demo_in_the_middle_of_its_fits(
    watch: Callable[..., Watched], tmp_path: Path, scratch: Path
) -> None:
    one = demo(watch, tmp_path / "home", scratch)
    one.until(fits_run(one))
    time.sleep(4.0)
    one.interrupt()
    assert_nothing_is_left(one, scratch, tmp_path / "home")


@pytest.mark.xdist_group("demo")
def test_ctrl_c_ends_the_demo_while_ray_starts(
    watch: Callable[..., Watched], tmp_path: Path, scratch: Path
) -> None:
    one = demo(watch, tmp_path / "home", scratch)
    one.until(lambda: any("gcs_server" in _line(process) for process in one.family.values()))
    one.interrupt()
    assert_nothing_is_left(one, scratch, tmp_path / "home")


def seen_standing(one: Watched) -> dict[str, Any]:
    line = next(line for line in one.lines if '"standing"' in line)
    seen: dict[str, Any] = json.loads(line)
    return seen


def ask(neighbour: Watched) -> dict[str, Any]:
    heard = len(neighbour.lines)
    assert neighbour.process.stdin is not None
    neighbour.process.stdin.write("\n")
    neighbour.process.stdin.flush()
    neighbour.until(lambda: len(neighbour.lines) > heard)
    answer: dict[str, Any] = json.loads(neighbour.lines[-1])
    return answer


RAY_PORTS = {44217, 44227, 52365}


@system
def test_a_stack_beside_another_ray_is_private_and_apart(
    watch: Callable[..., Watched],
    home: Path,
    trained: tuple[Path, str],
    scratch: Path,
    environment: dict[str, str],
) -> None:
    (scratch / "ours").mkdir()
    theirs = str(scratch / "theirs")
    neighbour = watch("-m", "tests.system.neighbour", theirs, RAY_AUTH_MODE="disabled")
    before = ask(neighbour)
    dot_ray = sorted(Path(environment["HOME"]).rglob("*"))
    places = {"RAY_ADDRESS": before["address"], "TMPDIR": str(scratch / "ours")}
    one = watch("-m", "tests.system.stand", str(home), trained[1], **places)
    one.until(moment(one, "live"))
    seen, during = seen_standing(one), ask(neighbour)
    one.interrupt()
    assert_nothing_is_left(one, scratch / "ours", home)
    after = ask(neighbour)

    ports = {
        address.rpartition(":")[2]: address.rpartition(":")[0] for address in seen["listening"]
    }
    assert set(ports.values()) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, ports
    assert not RAY_PORTS & set(map(int, ports))
    assert (seen["dashboard"], seen["page_data"], seen["healthz"]) == (401, 401, 200)
    assert seen["token_mode"] == 0o600
    assert sorted(Path(environment["HOME"]).rglob("*")) == dot_ray

    assert len(seen["ours"]) == 1
    assert seen["address"] != before["address"]
    assert before["nodes"] == during["nodes"] == after["nodes"]
    assert (before["count"], during["count"], after["count"]) == (1, 2, 3)
