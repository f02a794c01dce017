"""Whether forecasters say the same in a Ray worker; the last line is JSON.

In a process of its own, because Ray reads its token once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dexml.cli_options import guard_ray

guard_ray()

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import ray  # noqa: E402

from actors import cluster  # noqa: E402
from actors.sandbox import sandbox  # noqa: E402
from dexml.models.base import Forecaster  # noqa: E402
from dexml.models.checks import Bench  # noqa: E402
from tests.dexml.models.candidates import CANDIDATES  # noqa: E402


@ray.remote
def predict(forecaster: Forecaster, frame: pd.DataFrame) -> np.ndarray:
    return forecaster.predict(frame)


def main(folder: Path) -> None:
    same = {}
    with sandbox() as place:
        cluster.start_local(place, num_cpus=1, dashboard=False)
        for candidate in CANDIDATES:
            bench = Bench(candidate, folder / candidate.name)
            frame = bench.rows[0].iloc[:90]
            here = bench.forecaster.predict(frame)
            there = ray.get(predict.remote(bench.forecaster, frame), timeout=120)
            same[candidate.name] = np.array_equal(there, here, equal_nan=True)
        ray.shutdown()
    sys.stdout.write(f"{json.dumps(same)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
