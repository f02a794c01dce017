"""What an actor answers while it works, on a local Ray."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# A process of its own: Ray reads its token once, and a started actor changes its class.
SCENE = """
import asyncio, sys, threading
from datetime import UTC, datetime
from dexml.cli_options import guard_ray
guard_ray()
import ray
from aiohttp import web
from ray.exceptions import PendingCallsLimitExceeded
from actors import cluster, runtime
from actors.feed import FeedActor
from actors.sandbox import sandbox
from dexml.clock import SimulatedClock
from dexml.domain import Timeframe
from dexml.simulation.exchanges.server import LocalServers, stamped

held, asked = threading.Event(), threading.Event()

async def stall(_request):
    asked.set()
    await asyncio.to_thread(held.wait, 8.0)
    return web.Response(status=503)

clock = SimulatedClock(datetime(2024, 1, 1, tzinfo=UTC))
servers = LocalServers({"slow": stamped([web.get("/{path:.*}", stall)], clock)})
with sandbox() as folder, servers:
    cluster.start_local(folder, num_cpus=1, dashboard=False)
    arguments = ("binance", servers.urls["slow"], ("BTC/USDT",), Timeframe.H1, sys.argv[1])
    actor = runtime.start(FeedActor, *arguments, name="feed:slow", lifetime=None)
    runtime.call(actor, "start", 1, timeout_s=60)
    polled = actor.poll.remote()
    print("asked", asked.wait(60))
    print("epoch", runtime.call(actor, "health", timeout_s=5)["epoch"])
    print("epoch", runtime.call("feed:slow", "health", timeout_s=5)["epoch"])
    print("polled", runtime.is_ready(polled))
    held.set()
    print("failed", *runtime.result(polled, timeout_s=60).failed)
    try:
        for waiting in range(200):
            actor.poll.remote()
    except PendingCallsLimitExceeded:
        print("mailbox", waiting)
    ray.shutdown()
"""


@pytest.mark.ray
@pytest.mark.slow
def test_a_feed_tells_its_health_while_it_works_and_refuses_what_it_could_not_do_soon(
    tmp_path: Path,
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCENE, str(tmp_path / "store")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    said = ["asked True", "epoch 1", "epoch 1", "polled False", "failed BTC/USDT"]
    assert ended.stdout.splitlines() == [*said, "mailbox 100"]
