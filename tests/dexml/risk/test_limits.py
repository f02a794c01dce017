from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.domain import Mode, Side
from dexml.errors import ConfigError
from dexml.risk.limits import LimitConfig, permits

SIZES = st.decimals("0.000001", "1000000", places=6)


@given(SIZES, st.decimals("0.000001", "1", places=6), st.sampled_from([1, -1]))
def test_a_reducing_order_always_passes_in_reducing(
    size: Decimal, share: Decimal, sign: int
) -> None:
    side = Side.SELL if sign == 1 else Side.BUY
    assert permits(Mode.REDUCING, sign * size, side, size * share)


@given(SIZES, SIZES, st.sampled_from([1, -1]))
def test_an_order_that_adds_or_crosses_zero_is_refused_in_reducing(
    size: Decimal, more: Decimal, sign: int
) -> None:
    away, towards = (Side.BUY, Side.SELL) if sign == 1 else (Side.SELL, Side.BUY)
    assert not permits(Mode.REDUCING, sign * size, away, more)
    assert not permits(Mode.REDUCING, sign * size, towards, size + more)
    assert not permits(Mode.REDUCING, Decimal(0), away, more)


@given(SIZES, SIZES, st.sampled_from(Side))
def test_active_permits_all_and_halted_nothing(held: Decimal, size: Decimal, side: Side) -> None:
    assert permits(Mode.ACTIVE, held, side, size)
    assert not permits(Mode.HALTED, held, side, size)


def test_a_limit_in_percent_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"limits\.weight must be in \(0, 1\), was 15"):
        LimitConfig(weight=15)


@pytest.mark.parametrize("name", LimitConfig.__slots__)
@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, float("nan")])
def test_every_limit_is_a_fraction(name: str, value: float) -> None:
    assert 0 < getattr(LimitConfig(), name) < 1
    with pytest.raises(ConfigError, match=rf"limits\.{name} must be in \(0, 1\)"):
        LimitConfig(**{name: value})
