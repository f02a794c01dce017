from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.domain import Mode
from dexml.errors import ConfigError
from dexml.risk.trips import HALTING, TripLimits, Vitals, mode_after, tripped

NAMES = [one.name for one in fields(Vitals)]
ORDER = [Mode.ACTIVE, Mode.REDUCING, Mode.HALTED]


def test_every_vital_has_a_limit_of_its_own() -> None:
    assert [one.name for one in fields(TripLimits)] == NAMES
    assert tripped(Vitals(), TripLimits()) == ()


@pytest.mark.parametrize("name", NAMES)
def test_each_vital_trips_alone_above_its_limit_and_not_at_it(name: str) -> None:
    limit = getattr(TripLimits(), name)
    assert tripped(Vitals(**{name: limit}), TripLimits()) == ()
    for value in (limit * 1.001, float("inf"), float("nan")):
        assert tripped(Vitals(**{name: value}), TripLimits()) == (name,)


@pytest.mark.parametrize("name", NAMES)
def test_a_doubted_book_halts_and_all_else_leaves_the_way_out_open(name: str) -> None:
    expected = Mode.HALTED if name in HALTING else Mode.REDUCING
    assert mode_after(Mode.ACTIVE, [name]) is expected
    assert {"reconciliation_gap", "restarts"} == HALTING


@given(st.sampled_from(ORDER), st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES)))
def test_trips_never_loosen_the_mode_and_more_of_them_never_do(
    mode: Mode, some: set[str], more: set[str]
) -> None:
    after = mode_after(mode, some)
    assert ORDER.index(after) >= ORDER.index(mode)
    assert ORDER.index(mode_after(mode, some | more)) >= ORDER.index(after)
    assert mode_after(mode, []) is mode


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_trip_cannot_be_switched_off(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"trips\.{name} must be "):
        TripLimits(**{name: value})
