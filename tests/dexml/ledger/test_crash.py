"""Several processes on one file, and processes that die in the middle."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from dexml.ledger import Ledger
from tests.dexml.ledger.examples import commit

ROOT = Path(__file__).resolve().parents[3]

_WRITER = """
import sys
from dexml.ledger import Ledger
from tests.dexml.ledger.examples import commit
ledger = Ledger.open(sys.argv[1])
epoch = ledger.acquire_epoch("risk", "child")
number = max((row.seq for row in ledger.events("r")), default=0)
while True:
    number += 1
    commit(ledger, epoch, number)
    print(number, flush=True)
"""


def _killed_writer(url: str, after_s: float) -> int:
    command = [sys.executable, "-c", _WRITER, url]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert child.stdout is not None
    acknowledged = int(child.stdout.readline())
    time.sleep(after_s)
    os.kill(child.pid, signal.SIGKILL)
    lines = child.stdout.read().splitlines()
    child.wait()
    return int(lines[-1]) if lines else acknowledged


def test_kill_9_loses_nothing_acknowledged_and_leaves_no_half_event(url: str) -> None:
    for after_s in (0.0, 0.011, 0.05, 0.103):
        acknowledged = _killed_writer(url, after_s)
        with Ledger.open(url) as ledger:
            ledger.verify_chain("risk")
            numbers = [row.seq for row in ledger.events("r")]
            assert numbers == list(range(1, len(numbers) + 1))
            assert acknowledged <= len(numbers) <= acknowledged + 1
            names = [f"decision-{number}" for number in numbers]
            assert [row["decision_id"] for row in ledger.decisions("r")] == names
            assert len(ledger.outbox("r", limit=10**6)) == len(numbers)
            assert len(ledger.equity("r")) == len(ledger.alerts("r")) == len(numbers)
            assert (ledger.latest_snapshot("r") or (0, ""))[0] == len(numbers)


def _write_many(url: str, stream: str) -> None:
    with Ledger.open(url) as ledger:
        epoch = ledger.acquire_epoch(stream, stream)
        for number in range(40):
            commit(ledger, epoch, number, stream=stream, run=stream)


def test_several_processes_open_a_new_file_and_write_at_once(url: str) -> None:
    context = multiprocessing.get_context("spawn")
    streams = [f"stream-{number}" for number in range(4)]
    children = [context.Process(target=_write_many, args=(url, name)) for name in streams]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * len(children)
    with Ledger.open(url) as ledger:
        for name in streams:
            ledger.verify_chain(name)
            assert len(ledger.decisions(name)) == 40
