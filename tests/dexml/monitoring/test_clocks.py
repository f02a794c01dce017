from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.monitoring.clocks import KEPT_S, Offset, narrowed, offset_of, skew

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
Answer = tuple[float, float, float]


def heard(ahead_s: float, answers: list[Answer]) -> Offset:
    """Bounds after answers (seconds since noon when asked, there, back) of a clock in seconds."""
    known: Offset | None = None
    for asked, there, back in answers:
        true = NOON + timedelta(seconds=asked + there)
        asked_at = NOON + timedelta(seconds=asked + ahead_s)
        answered_at = asked_at + timedelta(seconds=there + back)
        new = offset_of(asked_at, answered_at, true.replace(microsecond=0), asked)
        known = narrowed(known, new)
    assert known is not None
    return known


delays = st.floats(0, 0.5)
asked = st.floats(0, 3_600)


@given(
    ahead_s=st.floats(-30, 30),
    answers=st.lists(st.tuples(asked, delays, delays), min_size=1, max_size=12).map(sorted),
)
def test_the_truth_is_never_outside_the_bounds(ahead_s: float, answers: list[Answer]) -> None:
    found = heard(ahead_s, answers)
    assert found.least - 1e-5 <= ahead_s <= found.most + 1e-5
    assert found.distance_s <= abs(ahead_s) + 1e-5


@pytest.mark.parametrize("ahead_s", [-0.7, 0.0, 0.7])
def test_whole_seconds_tell_tenths_after_a_few_answers(ahead_s: float) -> None:
    found = heard(ahead_s, [(60.37 * n, 0.02, 0.02) for n in range(16)])
    assert found.most - found.least < 0.35
    assert found.distance_s == pytest.approx(abs(ahead_s), abs=0.3)
    assert (found.distance_s > 0.5) is (ahead_s != 0.0)


def test_a_clock_that_was_set_is_believed_at_once() -> None:
    before = heard(0.0, [(60.37 * n, 0.02, 0.02) for n in range(16)])
    stepped = offset_of(NOON + timedelta(seconds=5), NOON + timedelta(seconds=5.1), NOON, 1_000.0)
    assert narrowed(before, stepped) == stepped
    assert stepped.distance_s == 4.0


def test_what_nobody_told_for_two_hours_is_unknown() -> None:
    told = heard(0.0, [(0.0, 0.0, 0.0)])
    assert skew([told], KEPT_S) == 0.0
    assert skew([told], KEPT_S + 1) is None
    assert skew([], 0.0) is None
