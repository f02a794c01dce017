"""One Ctrl-C ends a block, whatever Python or a library does with the exception."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

BEGIN = """
import os, subprocess, sys, time
from actors.interruption import interruptible
left = sys.argv[1]
open(left, "w").close()
def clean_up(): os.unlink(left)
with interruptible(clean_up, patience_s=float(sys.argv[2])) as end:
    try:
        print("begun", flush=True)
"""
END = """
    finally:
        end()
        clean_up()
"""
FORKS = """
        while True:
            subprocess.run(["true"], preexec_fn=lambda: None)
"""
FINALISERS = """
        class Slow:
            def __del__(self):
                time.sleep(0.002)
        while True:
            Slow()
            time.sleep(0.002)
"""
CATCHES_ONCE = """
        try:
            time.sleep(99)
        except BaseException:
            pass
        time.sleep(99)
"""
CATCHES_ALL = """
        while True:
            try:
                time.sleep(99)
            except BaseException:
                pass
"""
FAILS_ON_THE_WAY_OUT = """
        try:
            time.sleep(99)
        finally:
            raise ConnectionError("what was spoken to has heard it, too")
"""


def _ended(block: str, folder: Path, patience_s: float, *numbers: signal.Signals) -> int:
    process = subprocess.Popen(
        [sys.executable, "-c", BEGIN + block + END, str(folder / "left"), str(patience_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.1)
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.05)
    try:
        return process.wait(timeout=60)
    finally:
        process.kill()


@pytest.mark.parametrize("block", [FORKS, FINALISERS])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_exception_that_python_drops_is_raised_again(
    block: str, number: signal.Signals, tmp_path: Path
) -> None:
    for _ in range(4):
        assert _ended(block, tmp_path, 99, number) != 0
        assert not (tmp_path / "left").exists()


def test_an_exception_that_a_library_catches_is_raised_again(tmp_path: Path) -> None:
    assert _ended(CATCHES_ONCE, tmp_path, 0.3, signal.SIGINT, signal.SIGINT) != 0
    assert not (tmp_path / "left").exists()


def test_a_block_that_never_ends_is_cleaned_up_and_left(tmp_path: Path) -> None:
    assert _ended(CATCHES_ALL, tmp_path, 0.3, signal.SIGHUP) == 130
    assert not (tmp_path / "left").exists()


def test_what_fails_on_the_way_out_does_not_hide_why_it_ended(tmp_path: Path) -> None:
    assert _ended(FAILS_ON_THE_WAY_OUT, tmp_path, 99, signal.SIGINT) == -signal.SIGINT
    assert not (tmp_path / "left").exists()
