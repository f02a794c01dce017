from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.costs import CostConfig
from dexml.domain import Fill, Intent, Side
from dexml.errors import ExecutionError
from dexml.events import OrderFailed
from dexml.execution.paper import PaperBroker
from dexml.execution.uniswap.v2 import amount_out

AT = datetime(2024, 1, 1, tzinfo=UTC)
BUY = Intent(
    intent_id="i",
    instrument="ETH/USDT",
    side=Side.BUY,
    amount_in=Decimal("1234.567891"),
    minimum_out=Decimal("0.1"),
    reference_price=Decimal(2_000),
    reason="enter",
    decided_at=AT,
)
UNITS = st.integers(1, 10**30)


@given(UNITS, UNITS, UNITS)
def test_thirty_basis_points_equal_the_routers_integers(a: int, r_in: int, r_out: int) -> None:
    assert amount_out(a, r_in, r_out, 30) == a * 997 * r_out // (r_in * 1_000 + a * 997)


@given(UNITS, UNITS, UNITS, st.integers(0, 9_999))
def test_the_product_of_the_reserves_never_falls(a: int, r_in: int, r_out: int, fee: int) -> None:
    out = amount_out(a, r_in, r_out, fee)
    assert (r_in + a) * (r_out - out) >= r_in * r_out


def test_a_buy_is_filled_in_whole_units_of_both_tokens() -> None:
    fill = PaperBroker(CostConfig()).execute(BUY, Decimal("2000.5"), AT)
    assert isinstance(fill, Fill)
    quote = 5_000_000 * 10**6
    base = int(Decimal(5_000_000) * 10**18 * 2 / 4_001)
    kept = 1_234_567_891 * 9_995
    assert fill.base == Decimal(kept * base // (quote * 10_000 + kept)).scaleb(-18)
    assert (fill.quote, fill.gas) == (BUY.amount_in, Decimal("0.05"))


def test_a_fill_below_the_floor_certainly_did_not_happen() -> None:
    result = PaperBroker(CostConfig()).execute(
        replace(BUY, minimum_out=Decimal(1)), Decimal(2_000), AT
    )
    assert isinstance(result, OrderFailed)
    assert "floor 1" in result.reason


def test_dust_is_not_filled() -> None:
    dust = replace(BUY, amount_in=Decimal("1e-9"), minimum_out=Decimal("1e-18"))
    assert isinstance(PaperBroker(CostConfig()).execute(dust, Decimal(2_000), AT), OrderFailed)


@pytest.mark.parametrize("price", ["NaN", "0", "-1", "Infinity"])
def test_a_price_that_is_no_price_is_refused(price: str) -> None:
    with pytest.raises(ExecutionError, match="price of ETH/USDT must be positive"):
        PaperBroker(CostConfig()).execute(BUY, Decimal(price), AT)
