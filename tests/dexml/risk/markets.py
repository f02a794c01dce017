"""Returns of coins that share one market move, for the tests of portfolios."""

from __future__ import annotations

import numpy as np

from dexml.risk.covariance import ledoit_wolf


def returns(seed: int, n: int, n_bars: int = 240) -> np.ndarray:
    rng = np.random.default_rng(seed)
    market = rng.standard_t(5, (n_bars, 1))
    return (market + rng.standard_t(5, (n_bars, n))) * rng.uniform(0.5, 2.0, n) * 0.01


def covariance(seed: int, n: int) -> np.ndarray:
    return ledoit_wolf(returns(seed, n)).covariance


def views(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed + 10_000).normal(0.0005, 0.002, n)
