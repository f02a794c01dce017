"""Whether the intervals hold the truth as often as they say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from dexml.validation.bootstrap import Bootstrap, Interval, bootstrap_intervals
from tests.dexml.validation.simulated import Floats, autoregressive, garch

Draw = Callable[[int, int], Floats]


def ratio(returns: Floats) -> float:
    return float(returns.mean() / returns.std())


def holds(
    draw: Draw, n: int, n_runs: int, n_resamples: int, truths: dict[str, float]
) -> list[float]:
    statistics = {"mean": np.mean, "ratio": ratio, "deviation": np.std}
    asked = {name: statistics[name] for name in truths}
    hours = pd.date_range("2024-01-01", periods=n, freq="h", name="closed_at")
    count = dict.fromkeys(truths, 0)
    for run in range(n_runs):
        settings = Bootstrap(n_resamples=n_resamples, seed=run)
        found = bootstrap_intervals(pd.Series(draw(n, run), hours), asked, settings)
        for name, truth in truths.items():
            count[name] += _holds(found[name], truth)
    return [number / n_runs for number in count.values()]


def _holds(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def of_memory(phi: float) -> Draw:
    return lambda n, seed: autoregressive(n, phi, seed)


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_intervals_of_autoregressions_cover(phi: float) -> None:
    (share,) = holds(of_memory(phi), 400, 100, 200, {"mean": 0.0})
    assert 0.88 <= share <= 0.995  # three standard errors of 100 runs are 0.065


def test_the_interval_of_a_sharpe_ratio_covers_through_calm_and_wild_spells() -> None:
    (share,) = holds(garch, 500, 100, 200, {"ratio": 0.05})
    assert 0.88 <= share <= 0.995


@pytest.mark.soak
@pytest.mark.parametrize("phi", [-0.3, 0.0, 0.3, 0.6])
def test_intervals_of_autoregressions_cover_in_a_large_study(phi: float) -> None:
    (share,) = holds(of_memory(phi), 2_000, 800, 300, {"mean": 0.0})
    assert 0.925 <= share <= 0.975


@pytest.mark.soak
def test_intervals_of_a_garch_cover_in_a_large_study() -> None:
    sharpe, deviation = holds(garch, 8_760, 300, 300, {"ratio": 0.05, "deviation": 1.0})
    assert 0.93 <= sharpe <= 0.975
    assert 0.88 <= deviation <= 0.975  # spells of months are rare in a year
