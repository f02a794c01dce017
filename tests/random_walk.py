"""Bars of a random walk, for tests that need sound prices and nothing else."""

from __future__ import annotations

import numpy as np

from dexml.domain import Bars, Timeframe


def some_bars(name: str, n_bars: int, seed: int = 0, timeframe: Timeframe = Timeframe.H1) -> Bars:
    """Bars that open from 2024-01-01 on, each where the one before it closed."""
    generator = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.01 * generator.standard_normal(n_bars)))
    open_ = np.concatenate([[100.0], close[:-1]])
    step = np.timedelta64(timeframe.seconds, "s")
    return Bars(
        instrument=name,
        timeframe=timeframe,
        closed_at=np.datetime64("2024-01-01", "ns") + np.arange(1, n_bars + 1) * step,
        open=open_,
        high=np.maximum(open_, close) * 1.001,
        low=np.minimum(open_, close) * 0.999,
        close=close,
        volume=generator.gamma(2.0, 10.0, n_bars),
    )
