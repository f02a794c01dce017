"""Run every benchmark and print one JSON object: ratios within one run, medians of several."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.arrival import arrival
from benchmarks.closes import SIZES, closes
from benchmarks.features import features
from benchmarks.kernel import kernel
from benchmarks.sequence import sequence
from dexml.ledger import Ledger, StepRows

REPEATS = 5


def seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the median wall time of `work`."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def ledger() -> dict[str, float]:
    """Time durable commits of one event each."""
    with tempfile.TemporaryDirectory() as folder:
        book = Ledger.open(f"sqlite:///{Path(folder, 'ledger.sqlite')}")
        epoch = book.acquire_epoch("risk", "bench")
        times = []
        for number in range(200):
            began = time.perf_counter()
            book.commit_event("risk", epoch, "bench", f"event:{number}", "{}", [], StepRows())
            times.append(time.perf_counter() - began)
        book.close()
    return {
        "commit_p50_ms": 1e3 * float(np.median(times)),
        "commit_p99_ms": 1e3 * float(np.quantile(times, 0.99)),
    }


def main() -> None:
    """Print the figures of every benchmark."""
    result = {
        "features": features(),
        "arrival": arrival(),
        "closes": [closes(*size) for size in SIZES],
        "kernel": kernel(),
        "ledger": ledger(),
        "sequence": sequence(rounds=3),
    }
    json.dump(result, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
