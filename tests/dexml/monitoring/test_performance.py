from __future__ import annotations

import numpy as np
import pytest

from dexml.errors import DataError
from dexml.monitoring.performance import degraded, score, scores


def test_a_score_over_fewer_than_200_outcomes_is_none() -> None:
    p = np.full(250, 0.6)
    y = np.ones(250)
    y[:51] = np.nan
    assert score(p, y) is None


def test_accuracy_and_log_loss_are_the_plain_means() -> None:
    p = np.tile([0.8, 0.3], 100)
    y = np.tile([1.0, 1.0], 100)
    found = score(p, y)
    assert found is not None
    assert found.accuracy == 0.5
    assert found.log_loss == pytest.approx(-(np.log(0.8) + np.log(0.3)) / 2)


def test_blocks_are_consecutive_and_thin_ones_left_out() -> None:
    p, y = np.full(650, 0.7), np.ones(650)
    y[200:400] = np.nan
    assert [item.n for item in scores(p, y)] == [200, 200]


def test_the_rule_needs_history_and_a_tenth_lost() -> None:
    assert not degraded([0.6] * 9 + [0.3] * 10)
    assert degraded([0.6] * 30 + [0.5] * 10)
    assert not degraded([0.6] * 40)


def test_arrays_of_different_length_are_refused() -> None:
    with pytest.raises(DataError, match="outcomes must have shape"):
        score(np.zeros(2), np.zeros(3))
