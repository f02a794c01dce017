from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

CHILD = """
import subprocess, sys, time
from actors.sandbox import sandbox
with sandbox() as folder:
    sleep = "import time; time.sleep(99)"
    orphan = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleep!r}])"
    subprocess.run([sys.executable, "-c", orphan])
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(99)"
    subprocess.Popen([sys.executable, "-c", stubborn])
    print(folder, flush=True)
    time.sleep(99)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_process_and_no_folder(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    time.sleep(0.5)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) == 2
    assert folder.is_dir()
    os.kill(process.pid, number)
    process.wait(timeout=20)
    assert not folder.exists()
    assert [child for child in family if child.is_running()] == []


def test_what_the_caller_had_started_before_lives_on() -> None:
    code = """
import subprocess, sys
from actors.sandbox import sandbox
sleeping = [sys.executable, "-c", "import time; time.sleep(99)"]
before = subprocess.Popen(sleeping)
with sandbox():
    inside = subprocess.Popen(sleeping)
print(before.poll() is None, inside.poll() is None)
before.kill()
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout.split() == ["True", "False"], ran.stderr


def test_what_nobody_writes_any_more_is_removed_and_what_somebody_writes_is_not(
    tmp_path: Path,
) -> None:
    code = """
import os, subprocess, sys, time
from pathlib import Path
from actors.sandbox import sandbox
home = Path(sys.argv[1])
ended = subprocess.Popen([sys.executable, "-c", ""])  # a zombie until it is waited for
while open(f"/proc/{ended.pid}/stat").read().split()[2] != "Z":
    time.sleep(0.01)
for name in (f".zombies.{ended.pid}.tmp", f".ours.{os.getpid()}.tmp", f".older.{os.getpid()}.tmp"):
    (home / name).touch()
os.utime(home / f".older.{os.getpid()}.tmp", (0, 0))  # before this process began
with sandbox(home):
    print(*(path.name.split(".")[1] for path in home.iterdir()))
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.stdout.split() == ["ours"], ran.stderr
