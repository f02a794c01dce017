"""kill -9 in the middle of a backfill, and going on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from dexml.clock import SimulatedClock
from dexml.domain import History
from dexml.simulation.exchanges import ExchangeServers
from tests.dexml.data.feeds.markets import MINUTE, START, digest, market

ROOT = Path(__file__).resolve().parents[4]
MANY = tuple(f"{coin}/USDT" for coin in ("BTC", "ETH", "SOL", "ADA", "BNB", "XRP"))
N_BARS = 3_000
BACKFILL = """
import sys
from datetime import datetime
from actors.feed import FeedActor
from dexml.domain import Timeframe

venue, url, folder, since, until, *names = sys.argv[1:]
actor = FeedActor(venue, url, names, Timeframe.M1, folder)
actor.start(1)
print(actor.backfill(datetime.fromisoformat(since), datetime.fromisoformat(until)).n_new)
"""


def backfilling(url: str, folder: Path) -> subprocess.Popen[str]:
    until = START + N_BARS * MINUTE
    arguments = ["binance", url, str(folder), START.isoformat(), until.isoformat(), *MANY]
    return subprocess.Popen(
        [sys.executable, "-c", BACKFILL, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def kill_after(process: subprocess.Popen[str], folder: Path, n_files: int) -> None:
    deadline = time.monotonic() + 60
    while len(list(folder.glob("arrivals/**/*.arrow"))) < n_files:
        assert process.poll() is None, "the backfill ended before it was killed"
        assert time.monotonic() < deadline, "the backfill stored nothing"
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.slow
def test_a_backfill_that_was_killed_goes_on_to_the_same_store(tmp_path: Path) -> None:
    clock = SimulatedClock(START + N_BARS * MINUTE + timedelta(seconds=10))
    with ExchangeServers(History(bars=market(N_BARS + 5, MANY)), clock) as servers:
        url = servers.urls["binance"]
        undisturbed = backfilling(url, tmp_path / "whole")
        assert int(undisturbed.communicate(timeout=60)[0]) == N_BARS * len(MANY)
        killed = tmp_path / "killed"
        for n_files in (1, 3, 5):  # each life is ended as the so-manieth instrument is stored
            kill_after(backfilling(url, killed), killed, n_files)
        n_new = int(backfilling(url, killed).communicate(timeout=60)[0])
    assert n_new < N_BARS * len(MANY)  # what was stored before is not stored again
    assert digest(killed, "binance", MANY) == digest(tmp_path / "whole", "binance", MANY)
    assert len(list(killed.glob("arrivals/**/*.arrow"))) == len(MANY)
