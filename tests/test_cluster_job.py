"""`ray job submit` against a Ray of its own: token authentication on, every port on loopback."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from actors.cluster import free_port

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
JOB = (
    *("validate", "walk-forward", "--symbols", "BTC/USDT", "--targets", "direction"),
    *("--train", "500", "--test", "24", "--folds", "1", "--json"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A running head node."""

    url: str
    token: str
    env: dict[str, str]

    def get(self, path: str, token: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """What the state API knows that is alive."""
        found = self.get(f"/api/v0/{kind}?detail=1", self.token)["data"]["result"]["result"]
        return [row for row in found if row["state"] == "ALIVE"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    # Not tmp_path: Ray's sockets lie in the folder, and their names may have 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="dexml-") as place:
        token, port = secrets.token_hex(32), free_port()
        path = Path(place, "token")
        path.touch(mode=0o600)
        path.write_text(token)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        env = clean | {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(path),
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else Ray listens on all interfaces
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_DASHBOARD_SUBPROCESS_MODULE_WAIT_READY_TIMEOUT": "120",  # 30 s: too few when busy
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }
        running = Cluster(url=f"http://127.0.0.1:{port}", token=token, env=env)
        head = _start(_start_command(place, port), running)
        try:
            yield running
        finally:
            _stop(head)


def _start(command: list[str], cluster: Cluster) -> subprocess.Popen[bytes]:
    # On a very busy machine the node may miss Ray's fixed 30 s for its start, and gives up.
    for _ in range(3):
        head = subprocess.Popen(command, env=cluster.env, stdout=subprocess.DEVNULL)
        if _becomes_ready(cluster, head):
            return head
        _stop(head)
    raise AssertionError("Ray did not start in three attempts")


def _start_command(place: str, port: int) -> list[str]:
    return [
        *(str(BIN / "ray"), "start", "--head", "--block", "--num-cpus=2"),
        *("--node-ip-address=127.0.0.1", f"--port={free_port()}", f"--temp-dir={place}/ray"),
        *("--dashboard-host=127.0.0.1", f"--dashboard-port={port}"),
        *("--object-store-memory=100000000", "--disable-usage-stats"),
    ]


def _becomes_ready(cluster: Cluster, head: subprocess.Popen[bytes]) -> bool:
    for _ in range(240):
        if head.poll() is not None:
            return False
        with suppress(OSError, KeyError):
            if cluster.rows("nodes"):
                return True
        time.sleep(0.5)
    return False


def _stop(head: subprocess.Popen[bytes]) -> None:
    family = [] if head.poll() is not None else [psutil.Process(head.pid)]
    family += [child for process in family for child in process.children(recursive=True)]
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(family, timeout=5)
    for process in alive:
        process.kill()
    head.wait(timeout=5)


@pytest.mark.ray
@pytest.mark.whole
def test_a_submitted_job_walks_forward_on_the_cluster_and_leaves_it_as_it_was(
    cluster: Cluster, tmp_path: Path
) -> None:
    out = tmp_path / "p.parquet"
    said = _submit(cluster, *JOB, "--predictions-out", str(out))
    result = json.loads(next(line for line in said.splitlines() if line.startswith('{"')))
    assert "Folds: 1, 1 at a time; fits: 1, of about 500 rows each" in said
    predictions = pd.read_parquet(out)
    assert len(predictions) == result["targets"]["direction"]["n"] == 23
    assert result["verdict"]
    assert [actor["class_name"] for actor in cluster.rows("actors")] == []
    assert len(cluster.rows("nodes")) == 1


@pytest.mark.ray
@pytest.mark.whole
def test_without_the_token_nobody_can_submit(cluster: Cluster) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        cluster.get("/api/jobs/")
    assert refused.value.code == 401


def _submit(cluster: Cluster, *arguments: str) -> str:
    dexml = ["dexml"] if (BIN / "dexml").exists() else ["python", "-m", "dexml.cli"]
    command = [str(BIN / "ray"), "job", "submit", "--address", cluster.url]
    command += ["--working-dir", str(ROOT), "--", *dexml, *arguments]
    done = subprocess.run(command, env=cluster.env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]
    return done.stdout
