from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.errors import ExecutionError
from dexml.execution.uniswap.ticks import (
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    TickTable,
    next_tick,
    sqrt_ratio_at_tick,
    tick_at_sqrt_ratio,
)

TICKS = st.integers(MIN_TICK, MAX_TICK)


def test_the_ends_are_the_constants_of_the_contract() -> None:
    assert sqrt_ratio_at_tick(MIN_TICK) == MIN_SQRT_RATIO
    assert sqrt_ratio_at_tick(MAX_TICK) == MAX_SQRT_RATIO


@given(TICKS)
def test_a_ratio_is_the_square_root_of_a_power(tick: int) -> None:
    with localcontext() as context:
        context.prec = 60
        exact = (Decimal("1.0001") ** tick).sqrt() * 2**96
        assert abs(sqrt_ratio_at_tick(tick) / exact - 1) < Decimal("1e-9")


@given(st.integers(MIN_SQRT_RATIO, MAX_SQRT_RATIO - 1))
def test_a_price_lies_between_its_tick_and_the_next(price: int) -> None:
    tick = tick_at_sqrt_ratio(price)
    assert sqrt_ratio_at_tick(tick) <= price < sqrt_ratio_at_tick(tick + 1)


@given(st.integers(MIN_TICK, MAX_TICK - 1))
def test_the_tick_of_a_ratio_is_the_tick(tick: int) -> None:
    assert tick_at_sqrt_ratio(sqrt_ratio_at_tick(tick)) == tick


@pytest.mark.parametrize("tick", [MIN_TICK - 1, MAX_TICK + 1])
def test_a_tick_beyond_the_ends_is_refused(tick: int) -> None:
    with pytest.raises(ExecutionError, match="must be in"):
        sqrt_ratio_at_tick(tick)


@pytest.mark.parametrize("price", [MIN_SQRT_RATIO - 1, MAX_SQRT_RATIO])
def test_a_price_beyond_the_ends_is_refused(price: int) -> None:
    with pytest.raises(ExecutionError, match="must be in"):
        tick_at_sqrt_ratio(price)


@given(
    st.sets(st.integers(-2_000, 2_000), max_size=20),
    st.integers(-30_000, 30_000),
    st.sampled_from([1, 10, 60]),
    st.booleans(),
)
def test_the_next_tick_is_the_nearest_of_its_word(
    indices: set[int], tick: int, spacing: int, down: bool
) -> None:
    table = TickTable({one * spacing: 0 for one in indices}, spacing)
    found, initialised = next_tick(table, tick, spacing, down=down)
    start = tick // spacing + (0 if down else 1)
    word = range(start // 256 * 256, start // 256 * 256 + 256)
    reach = [one for one in word if (one <= start if down else one >= start)]
    held = [one for one in reach if one in indices]
    assert initialised == bool(held)
    edge = word[0] if down else word[-1]
    nearest = (max if down else min)(held, default=edge)
    assert found == nearest * spacing
