from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.risk.recurrence import filtered


@given(
    st.lists(st.floats(0, 10), max_size=60),
    st.sampled_from([0.0, 1e-4, 0.3, 0.94, 0.999, 1.0]),
    st.floats(0, 10),
)
def test_it_is_the_loop_that_it_stands_for(inputs: list[float], decay: float, start: float) -> None:
    expected = [start]
    for value in inputs:
        expected.append(decay * expected[-1] + value)
    assert filtered(np.array(inputs), decay, start) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("decay", [1e-200, 0.02, 0.94])
def test_a_long_history_leaves_no_range(decay: float) -> None:
    inputs = np.random.default_rng(0).random(20_000)
    out, value = filtered(inputs, decay, 1.0), 1.0
    assert np.isfinite(out).all()
    for one in inputs:
        value = decay * value + one
    assert out[-1] == pytest.approx(value, rel=1e-9)
