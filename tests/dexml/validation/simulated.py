"""Series whose true figures are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Floats = NDArray[np.float64]


def autoregressive(n: int, phi: float, seed: int) -> Floats:
    """Return x[t] = phi x[t-1] + e[t] after it has settled; mean 0."""
    shocks = np.random.default_rng(seed).normal(size=n + 200)
    return np.asarray(lfilter([1.0], [1.0, -phi], shocks))[200:]


def garch(n: int, seed: int, mean: float = 0.05) -> Floats:
    """Return a GARCH(1, 1) with alpha 0.1, beta 0.85 and variance 1 after it has settled."""
    shocks = np.random.default_rng(seed).normal(size=n + 500)
    returns, variance = np.empty(n + 500), 1.0
    for t, shock in enumerate(shocks):
        returns[t] = np.sqrt(variance) * shock
        variance = 0.05 + 0.1 * returns[t] ** 2 + 0.85 * variance
    return mean + returns[500:]
