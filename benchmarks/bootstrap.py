"""Stationary bootstraps of a year of hours, against a bare loop; memory by number of simulations.

NUMBA_NUM_THREADS=1 python -m benchmarks.bootstrap
"""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
from collections.abc import Callable

import numba
import numpy as np

from dexml.validation.montecarlo import simulate_returns

N_BARS, N_SIMULATIONS, BLOCK = 8_760, 1_000, 24.0
REPEATS = 7


@numba.njit(cache=True)
def bare_loop(returns, block, n_simulations, out):  # noqa: ANN001, ANN201
    """Jump or step, and sum up: Sharpe ratio and deepest fall of each resample."""
    n = len(returns)
    for number in range(n_simulations):
        total, squares, equity, peak, fall = 0.0, 0.0, 1.0, 1.0, 0.0
        row = np.random.randint(n)
        for _ in range(n):
            one = returns[row]
            total += one
            squares += one * one
            equity *= 1.0 + one
            peak = max(peak, equity)
            fall = max(fall, 1.0 - equity / peak)
            if np.random.random() < 1.0 / block:
                row = np.random.randint(n)
            else:
                row = row + 1 if row + 1 < n else 0
        mean = total / n
        out[number, 0] = mean / np.sqrt(squares / n - mean * mean)
        out[number, 1] = fall


def cpu_s(work: Callable[[], object]) -> float:
    """Return the least CPU time of `work`: other jobs of the machine can only add to it."""
    times = []
    for _ in range(REPEATS):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def peak_mb(returns: np.ndarray, n_simulations: int) -> float:
    """Return the most memory that Python and NumPy had at once, without the interpreter's own."""
    tracemalloc.start()
    simulate_returns(returns, n_simulations, block_length=BLOCK)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def bootstrap() -> dict[str, float]:
    """Return all figures; CPU time, one core."""
    returns = np.random.default_rng(0).standard_t(4, N_BARS) * 0.005
    out = np.empty((N_SIMULATIONS, 2))

    def ours() -> object:
        return simulate_returns(returns, N_SIMULATIONS, block_length=BLOCK)

    ours(), bare_loop(returns, BLOCK, 2, out)
    took, bare = cpu_s(ours), cpu_s(lambda: bare_loop(returns, BLOCK, N_SIMULATIONS, out))
    return {
        "bootstraps_s": took,
        "bootstraps_to_bare_numba": took / bare,
        "peak_mb_10_000_simulations": peak_mb(returns, 10_000),
        "peak_mb_40_000_simulations": peak_mb(returns, 40_000),
    }


if __name__ == "__main__":
    json.dump(bootstrap(), sys.stdout, indent=1)
