from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from math import fsum, sqrt

import pytest

from dexml.costs import CostConfig
from dexml.events import (
    Action,
    Reason,
)
from dexml.risk.sizing import SizingConfig
from dexml.state import KernelConfig
from dexml.system import step
from tests.dexml.three_coins import (
    BOLD,
    BTC,
    ETH,
    LOOSE,
    NOW,
    ONE_DAY_LOSS,
    SOL,
    close_of,
    decisions,
    filled,
    holding,
    orders,
    price,
    warmed,
)


@pytest.mark.parametrize(("room", "entered"), [(0.9, False), (1.1, True)])
def test_an_entry_that_takes_the_book_over_its_value_at_risk_is_refused(
    room: float, entered: bool
) -> None:
    held, wanted = 0.2, 0.1  # equal markets: losses of weights add up
    limits = replace(LOOSE, value_at_risk=(held + room * wanted) * ONE_DAY_LOSS)
    sizing = SizingConfig(max_pool_share=wanted * 10_000 / CostConfig().pool_depth_usd)
    state = holding(warmed(KernelConfig(limits=limits, sizing=sizing)), BTC, held)
    _, commands = step(state, close_of(NOW, {BTC: 0.5, ETH: 0.8}, close=price(NOW - 1)))
    said = decisions(commands)[ETH]
    assert said.portfolio_weight >= wanted  # were BTC not held, it would have a place
    assert said.action is (Action.ENTER if entered else Action.DECLINE)
    assert said.detail == ("" if entered else "value_at_risk")


@pytest.mark.parametrize("limit", [0.01, 0.02])
def test_entries_of_one_close_share_the_value_at_risk(limit: float) -> None:
    limits = replace(LOOSE, value_at_risk=limit)
    _, commands = step(warmed(KernelConfig(limits=limits)), close_of(NOW, {BTC: 0.8, ETH: 0.8}))
    said = [decisions(commands)[name] for name in (BTC, ETH)]
    assert said[0].target_weight == pytest.approx(said[1].target_weight, abs=1e-4)
    assert sum(one.target_weight for one in said) * ONE_DAY_LOSS == pytest.approx(limit, rel=0.01)
    assert {one.reason for one in said} == {Reason.EDGE}


def test_buys_of_one_close_share_the_cash_and_keep_the_gas_of_a_sale() -> None:
    start = warmed(BOLD, cash=5_000)
    state, commands = step(start, close_of(NOW, dict.fromkeys((BTC, ETH), 0.97)))
    first, second = orders(commands).values()
    assert first.amount_in == pytest.approx(Decimal(2_500), abs=1)  # the portfolio's halves
    # a swap costs 5 cents: two buys, and the first of the sales
    assert first.amount_in + second.amount_in == Decimal(5_000) - 3 * Decimal("0.05")
    assert filled(filled(state, first), second).cash == Decimal("0.05")


def test_the_strongest_signal_is_served_first_while_cash_lasts() -> None:
    said = {BTC: 0.5, ETH: 0.97, SOL: 0.97 + 1e-9}
    state = holding(warmed(BOLD, cash=5_000), BTC, 0.6)
    _, commands = step(state, close_of(NOW, said, close=price(NOW - 1)))
    assert set(orders(commands)) == {SOL}
    assert orders(commands)[SOL].amount_in == pytest.approx(Decimal(2_000), abs=1)
    assert decisions(commands)[ETH].reason is Reason.CASH


def test_once_outcomes_are_measured_the_size_is_kellys_after_costs() -> None:
    p, moves = 0.65, [price(hour) / price(hour - 1) - 1 for hour in range(1, NOW + 1)]
    move = fsum(map(abs, moves)) / len(moves)
    damping = 1 + 10 * sqrt(24 * fsum(m * m for m in moves) / len(moves))
    state = warmed(BOLD)
    _, commands = step(state, close_of(NOW, {BTC: p}))
    assert decisions(commands)[BTC].target_weight == pytest.approx((2 * p - 1) / damping)
    _, commands = step(replace(state, outcomes=(1.0, -1.0) * 50), close_of(NOW, {BTC: p}))
    cost = decisions(commands)[BTC].cost
    after_costs = p - (1 - p) * (move + cost) / (move - cost)
    assert 0.001 < cost < 0.01
    assert decisions(commands)[BTC].target_weight == pytest.approx(after_costs / damping)


@pytest.mark.parametrize(("weight", "action"), [(0.15, Action.ENTER), (0.31, Action.DECLINE)])
def test_one_instrument_at_its_weight_limit_keeps_new_risk_out_of_all(
    weight: float, action: Action
) -> None:
    state = holding(warmed(KernelConfig()), BTC, weight)
    _, commands = step(state, close_of(NOW, {BTC: 0.5, ETH: 0.8}))
    assert decisions(commands)[ETH].action is action
    assert decisions(commands)[ETH].reason is (
        Reason.EDGE if action is Action.ENTER else Reason.RISK
    )
