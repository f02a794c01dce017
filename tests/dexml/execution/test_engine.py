"""One swap for one intent, on a real chain."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dexml.domain import Side
from dexml.errors import EnvironmentRefused, ExecutionError
from dexml.execution.abi import Method
from dexml.execution.entries import Purpose
from dexml.execution.fees import FeePolicy
from dexml.execution.rpc import bytes_of
from dexml.execution.swapping import mark_of
from dexml.execution.uniswap.reading import quote
from dexml.simulation.chain.deployment import MINT
from tests.dexml.execution.swap_rig import ETHER, LOOKS, Rig, do, done, signed_for

_SET_FEE = Method("setFee", ("uint256",))
_SET_PAUSED = Method("setPaused", ("bool",))
_FLOOR_WORD = 4 + 32  # of a V2 swap: selector, amount in, floor


def test_a_swap_pays_what_the_closed_form_says(rig: Rig) -> None:
    order = rig.order("a")
    expected = max(
        quote(rig.chain.node, pool, order.token_in, order.amount_in, rig.chain.head()).amount_out
        for pool in order.pools
    )
    with rig.engine() as engine:
        closed = done(engine.run(order, LOOKS))
    assert (closed.filled, closed.amount_in, closed.amount_out) == (True, 10**9, expected)
    rig.judge(closed)


def test_a_row_of_swaps_keeps_the_books(rig: Rig) -> None:
    sides = [(Side.BUY, "1000"), (Side.SELL, "0.3"), (Side.BUY, "2500"), (Side.SELL, "1.2")]
    with rig.engine() as engine:
        closed = [
            done(engine.run(rig.order(f"s{number}", side, amount), LOOKS))
            for number, (side, amount) in enumerate(sides)
        ]
        assert engine.book.families == {}
        assert engine.book.gas_wei == sum(one.gas_wei for one in closed)
    rig.judge(*closed)


def test_the_same_order_again_is_the_same_answer(rig: Rig) -> None:
    order = rig.order("a")
    with rig.engine() as engine:
        first = engine.run(order, LOOKS)
        assert engine.execute(order) == first
    with rig.engine() as engine:
        assert engine.execute(order) == first
        assert engine.outcome("a") == first
    rig.judge(done(first))


def test_exactly_what_is_spent_is_approved_and_nothing_is_left(rig: Rig) -> None:
    with rig.engine() as engine:
        closed = done(engine.run(rig.order("a"), LOOKS))
    for router in (rig.chain.world.routers.v2, rig.chain.world.routers.v3):
        assert rig.allowance(rig.market.quote.address, router) == 0
    (approval,) = signed_for(rig, Purpose.APPROVE)
    assert int.from_bytes(bytes_of(approval.data)[36:68]) == closed.amount_in


def test_an_allowance_that_was_left_goes_to_zero_first(rig: Rig) -> None:
    # the quote token lets an allowance rise only from zero, as USDT does
    order, router = rig.v2_order("a"), rig.chain.world.routers.v2
    rig.chain.node.ask("anvil_impersonateAccount", rig.key.address)
    approve = Method("approve", ("address", "uint256")).call(router, 77)
    message = {"from": rig.key.address, "to": order.token_in, "data": "0x" + approve.hex()}
    rig.chain.node.ask("eth_sendTransaction", message)
    rig.chain.mine()
    assert rig.allowance(order.token_in, router) == 77
    with rig.engine() as engine:
        closed = done(engine.run(order, LOOKS))
    assert closed.filled
    assert [bytes_of(one.data)[36:68] for one in signed_for(rig, Purpose.APPROVE)] == [
        (0).to_bytes(32),
        closed.amount_in.to_bytes(32),
    ]
    assert rig.allowance(order.token_in, router) == 0


def test_a_donation_to_the_pair_changes_no_quote(rig: Rig) -> None:
    order = rig.v2_order("a")
    do(rig, rig.market.quote.address, MINT.call(order.pools[0].address, 10**12))
    with rig.engine() as engine:
        closed = done(engine.run(order, LOOKS))
    assert closed.filled
    rig.judge(closed)


def test_two_engines_on_one_journal_are_refused(rig: Rig) -> None:
    with rig.engine(), pytest.raises(EnvironmentRefused, match="in one process only"):  # noqa: SIM117
        with rig.engine():
            pass


def test_a_journal_of_another_account_is_refused(rig: Rig) -> None:
    with rig.engine() as engine:
        engine.recover()
    other = Rig(chain=rig.chain, path=rig.path)
    with other.engine() as engine, pytest.raises(ExecutionError, match="must be of account"):
        engine.recover()


def test_the_budget_bounds_every_transaction(rig: Rig) -> None:
    budget = FeePolicy(budget_wei=6 * 10**14)
    rig.config = replace(rig.config, fees=budget, patience_blocks=1)
    with rig.engine() as engine:
        closed = done(engine.run(rig.order("a"), LOOKS))
    rig.judge(closed)
    dearest = max(one.max_fee_wei * one.gas_limit for one in signed_for(rig, Purpose.SWAP))
    assert budget.budget_wei / 2 < dearest <= budget.budget_wei


def test_many_intents_leave_nothing_in_memory_but_their_outcomes(rig: Rig) -> None:
    with rig.engine() as engine:
        for number in range(6):
            assert done(engine.run(rig.order(f"n{number}", amount="10"), LOOKS)).filled
            assert engine.book.families == {}
            assert engine.book.opened == {}
        assert set(engine.book.closed) == {mark_of(f"n{number}") for number in range(6)}
    assert rig.funded_wei == 10 * ETHER
