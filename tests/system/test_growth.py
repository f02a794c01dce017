"""No owner grows while the loop lives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import json, sys
from pathlib import Path
from dexml.cli_options import guard_ray
guard_ray()
import ray
from actors import cluster
from actors.sandbox import sandbox
from tests.system import tiny
with sandbox() as temp_dir:
    cluster.start_local(temp_dir, dashboard=False)
    try:
        with tiny.loop(Path(sys.argv[1]), "growth", sys.argv[2]) as one:
            held = []
            for _ in range(16):
                one.live(36)
                alive = tiny.processes().items()
                held.append({name: p.memory_full_info().uss / 1e6 for name, p in alive})
    finally:
        ray.shutdown()
print(json.dumps(held))
"""


@pytest.mark.soak
@pytest.mark.ray
def test_no_owner_grows_in_500_further_cycles(
    home: Path, trained: tuple[Path, str], environment: dict[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(home), trained[1]],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    held = json.loads(done.stdout.splitlines()[-1])
    settled = held[1:]  # libraries and caches fill in the first 72 cycles
    cycles = 36 * (len(settled) - 1)
    slopes = {name: (settled[-1][name] - settled[0][name]) / cycles for name in settled[0]}
    assert max(slopes.values()) < 0.02, slopes  # MB for each cycle; the store's rows are 0.001
