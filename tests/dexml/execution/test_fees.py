from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.errors import ConfigError
from dexml.execution.fees import FeePolicy, Fees, Unaffordable

WEI = st.integers(1, 10**12)
GAS = st.integers(21_000, 500_000)
RICH = FeePolicy(budget_wei=10**24)


@given(WEI, WEI, WEI, GAS)
def test_a_replacement_offers_an_eighth_more_on_both_caps(
    cap: int, tip: int, base_fee: int, gas: int
) -> None:
    old = Fees(max_fee_wei=cap + tip, tip_wei=tip)
    new = RICH.raised(old, base_fee, gas)
    assert 8 * new.max_fee_wei >= 9 * old.max_fee_wei
    assert 8 * new.tip_wei >= 9 * old.tip_wei
    assert new.max_fee_wei >= base_fee + new.tip_wei


@given(WEI, WEI, GAS, st.integers(10**12, 10**18))
def test_nothing_ever_costs_more_than_the_budget(
    base_fee: int, tip: int, gas: int, budget: int
) -> None:
    policy = FeePolicy(budget_wei=budget)
    with suppress(Unaffordable):
        fees = policy.first(base_fee, tip, gas)
        assert fees.max_fee_wei * gas <= budget
        assert policy.raised(fees, base_fee, gas).max_fee_wei * gas <= budget


def test_what_is_too_dear_says_by_how_much() -> None:
    with pytest.raises(Unaffordable, match="must be within 100 wei, was 2100000"):
        FeePolicy(budget_wei=100, min_tip_wei=1).first(99, 1, 21_000)


@given(WEI, WEI, GAS)
def test_what_is_offered_is_enough_for_the_next_block(base_fee: int, tip: int, gas: int) -> None:
    fees = RICH.first(base_fee, tip, gas)
    assert fees.max_fee_wei >= base_fee + fees.tip_wei
    assert RICH.min_tip_wei <= fees.tip_wei <= RICH.max_tip_wei


def test_tips_out_of_order_are_refused() -> None:
    with pytest.raises(ConfigError, match="tip must be positive and in order"):
        FeePolicy(min_tip_wei=2, max_tip_wei=1)
