"""A whole standing stack: Ray, crew, Serve. It tells each moment and then lives until stopped."""

from __future__ import annotations

import json
import os
import stat
import sys
import urllib.error
import urllib.request
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dexml.cli_options import guard_ray

guard_ray()  # Ray reads its token mode once, when it is imported

import psutil  # noqa: E402
import ray  # noqa: E402
from ray import serve  # noqa: E402

import serve_app  # noqa: E402
from actors import cluster  # noqa: E402
from actors.sandbox import sandbox  # noqa: E402
from tests.system import tiny  # noqa: E402


def say(moment: str, **seen: Any) -> None:
    sys.stdout.write("\n" + json.dumps({"moment": moment, **seen}) + "\n")
    sys.stdout.flush()


def listening() -> list[str]:
    """Return the addresses on which this process and its descendants listen."""
    me, found = psutil.Process(), set()
    for process in (me, *me.children(recursive=True)):
        try:
            connections = process.net_connections("inet")
        except psutil.NoSuchProcess:
            continue
        found |= {
            f"{one.laddr.ip}:{one.laddr.port}" for one in connections if one.status == "LISTEN"
        }
    return sorted(found)


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def start_serving(one: tiny.Loop) -> int:
    port = cluster.free_port()
    args = serve_app.ServeArgs(
        run=one.run,
        database_url=one.crew.place.database_url,
        instruments=tiny.NAMES,
        simulated=True,
    )
    serve.start(http_options=serve_app.http_options(port=port))
    serve.run(serve_app.build(args), name="dexml", route_prefix="/")
    return port


def exposure(dashboard: str, temp_dir: Path, port: int) -> dict[str, Any]:
    token = temp_dir / "token"
    return {
        "listening": listening(),
        "dashboard": status_of(f"{dashboard}/api/jobs/"),
        "healthz": status_of(f"http://127.0.0.1:{port}/healthz"),
        "page_data": status_of(f"http://127.0.0.1:{port}/v1/risk"),
        "token_mode": stat.S_IMODE(token.stat().st_mode),
        "ours": [node["NodeID"] for node in ray.nodes()],
        "address": ray.get_runtime_context().gcs_address,
    }


def main(home: Path, model: str) -> None:
    with ExitStack() as stack:
        temp_dir = stack.enter_context(sandbox())
        say("starting Ray", temp_dir=str(temp_dir))
        dashboard = cluster.start_local(temp_dir)
        stack.callback(ray.shutdown)
        say("starting the crew")
        run = f"stand-{datetime.now(UTC):%H%M%S}-{os.getpid()}"
        one = stack.enter_context(tiny.loop(home, run, model))
        say("serving")
        port = start_serving(one)
        say("standing", port=port, **exposure(dashboard, temp_dir, port))
        for closed_at in tiny.INSTANTS[tiny.N_HISTORY :]:
            one.cycle(closed_at)
            say("live", closed_at=str(closed_at))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2])
    except KeyboardInterrupt:
        sys.exit(130)
