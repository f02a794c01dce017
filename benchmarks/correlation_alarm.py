"""How often the alarm of correlations is false, and how soon it is right: hourly bars with GARCH.

Run: python -m benchmarks.correlation_alarm
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta

import numpy as np

from dexml.monitoring.correlations import CHECK_BARS, REFERENCE_BARS, CorrelationWatch, watched

NAMES = ("A/USDT", "B/USDT", "C/USDT")
START = datetime(2024, 1, 1, tzinfo=UTC)


def moves(rho: float, n_bars: int, draw: np.random.Generator) -> np.ndarray:
    """Returns with Student's t of 5 degrees and GARCH(1,1) volatility."""
    shape = np.full((3, 3), rho) + (1 - rho) * np.eye(3)
    shocks = draw.standard_t(5, size=(n_bars, 3)) / np.sqrt(5 / 3) @ np.linalg.cholesky(shape).T
    variance, rows = np.ones(3), np.empty((n_bars, 3))
    for n, shock in enumerate(shocks):
        rows[n] = 0.01 * np.sqrt(variance) * shock
        variance = 0.02 + 0.08 * variance * shock**2 + 0.90 * variance
    return rows


def alarm_at(rows: np.ndarray) -> tuple[int, int | None]:
    """Return how many checks were made, and the bar of the first alarm if there was one."""
    watch = CorrelationWatch(instruments=NAMES)
    for n, row in enumerate(100 * np.exp(np.cumsum(rows, axis=0))):
        closes = dict(zip(NAMES, row.tolist(), strict=True))
        watch = watched(watch, START + n * timedelta(hours=1), closes)
        if watch.change is not None:
            return watch.n_checks, n
    return watch.n_checks, None


def false_alarms(n_markets: int, n_checks: int) -> dict[str, int]:
    found = []
    for seed in range(n_markets):
        rows = moves(0.6, REFERENCE_BARS + n_checks * CHECK_BARS + 1, np.random.default_rng(seed))
        found.append(alarm_at(rows))
    n_alarms = sum(at is not None for _, at in found)
    return {"checks": sum(n for n, _ in found), "alarms": n_alarms}


def delays(before: float, after: float, n_markets: int) -> dict[str, float]:
    quiet, late = REFERENCE_BARS + 2 * CHECK_BARS, []
    for seed in range(n_markets):
        draw = np.random.default_rng(seed)
        rows = [moves(before, quiet + seed, draw), moves(after, 8 * CHECK_BARS, draw)]
        _, at = alarm_at(np.concatenate(rows))
        late.append(np.inf if at is None else (at - quiet - seed) / 24)
    return {"missed": int(np.isinf(late).sum()), "median_days": float(np.median(late))}


if __name__ == "__main__":
    result = {
        "false": false_alarms(n_markets=50, n_checks=30),
        "0.8 to 0.1": delays(0.8, 0.1, 20),
        "0.8 to 0.4": delays(0.8, 0.4, 20),
        "0.6 to 0.3": delays(0.6, 0.3, 20),
    }
    sys.stdout.write(json.dumps(result) + "\n")
