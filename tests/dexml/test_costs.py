from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.costs import CostConfig, exit_cost, round_trip_cost
from dexml.domain import Fill, Intent, Side
from dexml.errors import ConfigError
from dexml.execution.paper import PaperBroker

AT = datetime(2024, 1, 1, tzinfo=UTC)


def swapped(side: Side, amount: Decimal) -> Fill:
    intent = Intent(
        intent_id=str(side),
        instrument="BTC/USDT",
        side=side,
        amount_in=amount,
        minimum_out=Decimal("1e-12"),
        reference_price=Decimal(100),
        reason="enter",
        decided_at=AT,
    )
    fill = PaperBroker(CostConfig()).execute(intent, Decimal(100), AT)
    assert isinstance(fill, Fill)
    return fill


@given(st.integers(10, 500_000))
def test_the_estimate_is_what_the_paper_pool_takes(notional: int) -> None:
    bought = swapped(Side.BUY, Decimal(notional))
    sold = swapped(Side.SELL, bought.base)
    lost = notional - sold.quote + bought.gas + sold.gas
    assert round_trip_cost(float(notional), CostConfig()) == pytest.approx(
        float(lost) / notional, abs=1e-6
    )


@given(st.integers(10, 500_000))
def test_leaving_costs_what_the_paper_pool_takes_of_a_sale(notional: int) -> None:
    sold = swapped(Side.SELL, Decimal(notional) / 100)  # the price is 100
    lost = notional - sold.quote + sold.gas
    assert exit_cost(float(notional), CostConfig()) == pytest.approx(
        float(lost), abs=1e-6 * notional
    )


def test_a_bad_setting_is_named() -> None:
    with pytest.raises(ConfigError, match=r"costs\.pool_fee_bps must be 0\.\.9999, was -1"):
        CostConfig(pool_fee_bps=-1)
    with pytest.raises(ConfigError, match="notional must be positive"):
        round_trip_cost(0.0, CostConfig())
