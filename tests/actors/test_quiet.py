from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CROWD = """
import logging, time
from pathlib import Path
from dexml.cli_options import guard_ray
guard_ray()
import ray
from ray import serve
from actors import cluster
from actors.sandbox import sandbox

heard = Path("heard")

class Heard(logging.Handler):
    def emit(self, record):
        heard.write_text(record.getMessage())

log = logging.getLogger("actors.cluster")
log.setLevel(logging.DEBUG)
log.addHandler(Heard())
log.propagate = False

class Idle:
    def ping(self):
        return 1

with sandbox() as folder:
    cluster.start_local(folder, num_cpus=1)
    crowd = [ray.remote(Idle).options(num_cpus=0).remote() for _ in range(14)]
    ray.get([one.ping.remote() for one in crowd], timeout=200)
    until = time.monotonic() + 60
    while not heard.exists() and time.monotonic() < until:
        time.sleep(0.2)
    ray.shutdown()
"""


@pytest.mark.ray
@pytest.mark.whole
def test_what_rays_daemons_complain_of_goes_to_the_log_not_to_the_screen(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CROWD],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout + ended.stderr == ""
    assert "PYTHON worker processes have been started" in (tmp_path / "heard").read_text()
