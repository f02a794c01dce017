"""A signal at the moment at which Ray has taken it for itself still unwinds the run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

STRUCK = """
import os, signal, sys, time
from dexml.cli_options import guard_ray
guard_ray()
import ray
from actors import cluster
from actors.sandbox import sandbox
connect = ray._private.worker.connect
def struck(*args, **options):
    connect(*args, **options)  # from here on Ray's own handlers are in force
    print("struck", flush=True)
    os.kill(os.getpid(), signal.Signals[sys.argv[1]])
ray._private.worker.connect = struck
try:
    with sandbox() as folder:
        print(folder, flush=True)
        cluster.start_local(folder)
        time.sleep(60)  # where Python dropped it in a callback it is raised a moment later
        print("never heard", flush=True)
except KeyboardInterrupt:
    print("unwound", flush=True)
"""


@pytest.mark.ray
@pytest.mark.whole
@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_while_ray_connects_unwinds_and_leaves_no_folder(number: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", STRUCK, number],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": "/tmp"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    folder, *said = ended.stdout.split()
    assert said == ["struck", "unwound"], ended.stderr
    assert ended.returncode == 0
    assert not Path(folder).exists()
