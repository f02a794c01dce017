"""What an actor answers while it works, on a local Ray."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from actors.feed import FeedActor
from dexml.clock import SimulatedClock
from dexml.domain import Timeframe
from dexml.simulation.exchanges.server import LocalServers, stamped

START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.ray
@pytest.mark.slow
def test_a_feed_tells_its_health_while_it_works(tmp_path: Path) -> None:
    import ray

    from actors import runtime

    held, asked = threading.Event(), threading.Event()

    async def stall(_request: web.Request) -> web.Response:
        asked.set()
        await asyncio.to_thread(held.wait, 8.0)
        return web.Response(status=503)

    routes = [web.get("/{path:.*}", stall)]
    with LocalServers({"slow": stamped(routes, SimulatedClock(START))}) as servers:
        ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
        try:
            names = ("BTC/USDT",)
            arguments = ("binance", servers.urls["slow"], names, Timeframe.H1, tmp_path)
            actor = runtime.start(FeedActor, *arguments, name="feed:slow", lifetime=None)
            runtime.call(actor, "start", 1, timeout_s=60)
            polled = actor.poll.remote()
            assert asked.wait(60)
            assert runtime.call(actor, "health", timeout_s=5)["epoch"] == 1
            assert runtime.call("feed:slow", "health", timeout_s=5)["epoch"] == 1
            assert not runtime.is_ready(polled)
            held.set()
            assert set(runtime.result(polled, timeout_s=60).failed) == set(names)
        finally:
            ray.shutdown()
