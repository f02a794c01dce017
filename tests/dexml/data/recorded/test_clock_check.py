from __future__ import annotations

import numpy as np
import pytest

from dexml.data.recorded.clock_check import clock_fault
from dexml.domain import Bars, Timeframe
from tests.dexml.data.feeds.recordings import bar_table


def series(n_bars: int = 600, late: int = 0, noise: float = 0.0, seed: int = 0) -> Bars:
    frame = bar_table(n_bars, seed=seed).set_index("timestamp")
    generator = np.random.default_rng(seed + 1)
    factor = np.exp(noise * generator.standard_normal(n_bars))
    close = frame["close"] * factor
    frame = frame.assign(open=close, high=close, low=close, close=close)
    frame.index += (1 + late) * Timeframe.H1.step
    return Bars.from_frame("BTC/USDT", Timeframe.H1, frame)


@pytest.mark.parametrize("late", [-1, 1])
def test_bars_a_bar_off_are_found_even_with_noise(late: int) -> None:
    fault = clock_fault(series(late=late, noise=0.001), series())
    assert fault is not None
    assert fault.n_bars == late
    assert fault.as_shifted > 0.9 > 0.3 > abs(fault.as_stamped)


def test_bars_on_the_same_clock_pass() -> None:
    assert clock_fault(series(noise=0.003), series()) is None


def test_nothing_is_said_of_other_markets_or_little_overlap() -> None:
    assert clock_fault(series(seed=5), series()) is None
    assert clock_fault(series(late=1), series(150)) is None
    flat = series().frame().assign(open=1.0, high=1.0, low=1.0, close=1.0)
    assert clock_fault(Bars.from_frame("BTC/USDT", Timeframe.H1, flat), series()) is None
