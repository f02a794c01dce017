from __future__ import annotations

import numpy as np
import pytest

from dexml.domain import Bars, Timeframe
from dexml.features.indicators import INDICATORS, compute_columns
from dexml.features.sideways import sideways
from tests.dexml.features.histories import walk


def _holed(bars: Bars, seed: int) -> Bars:
    kept = np.random.default_rng(seed).random(len(bars)) > 0.05
    return Bars.from_frame(bars.instrument, bars.timeframe, bars.frame()[kept])


@pytest.mark.parametrize("timeframe", [Timeframe.H1, Timeframe.H4])
@pytest.mark.parametrize("n_rows", [1, 7, 220])
def test_each_row_alone_has_the_bits_of_the_batch(n_rows: int, timeframe: Timeframe) -> None:
    bars = _holed(walk(n=660, seed=n_rows, timeframe=timeframe, tick=0.5), n_rows)
    alone, batch = sideways(bars, n_rows), compute_columns(bars)
    assert set(alone) == {name for one in INDICATORS.values() for name in one.columns}
    for name, values in alone.items():
        assert np.array_equal(values, batch[name][-n_rows:]), name


def test_windows_that_reach_before_the_first_bar_are_filled_as_on_a_live_tape() -> None:
    bars = walk(n=400, seed=3)
    alone, batch = sideways(bars, 16), compute_columns(bars)
    for name, values in alone.items():
        assert np.array_equal(values, batch[name][-16:], equal_nan=True), name
