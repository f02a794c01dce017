"""What is not worth a transaction is not sent, and what fails costs its gas alone."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from dexml.domain import Side
from dexml.execution.abi import Method
from dexml.execution.entries import Purpose
from dexml.execution.rpc import bytes_of
from dexml.execution.uniswap.reading import quote, read_pair
from tests.dexml.execution.swap_rig import LOOKS, Rig, do, done, send_swap, signed_for

_SET_FEE = Method("setFee", ("uint256",))
_SET_PAUSED = Method("setPaused", ("bool",))
_FLOOR_WORD = 4 + 32  # of a V2 swap: selector, amount in, floor


def test_the_floor_comes_from_a_fresh_quote_and_is_never_zero(rig: Rig) -> None:
    order = rig.v2_order("a")
    with rig.engine() as engine:
        engine.run(order, LOOKS)
    (swap,) = signed_for(rig, Purpose.SWAP)
    pair = read_pair(rig.chain.node, order.pools[0], swap.block)
    out = pair.amount_out(order.amount_in, zero_for_one=order.pools[0].zero_for_one(order.token_in))
    floor = int.from_bytes(bytes_of(swap.data)[_FLOOR_WORD : _FLOOR_WORD + 32])
    assert floor == out * (10_000 - rig.config.slippage_bps) // 10_000 > 0


def test_what_the_pools_do_not_pay_is_not_sent(rig: Rig) -> None:
    order = replace(rig.order("a"), minimum_out=10**30)
    with rig.engine() as engine:
        closed = done(engine.run(order, LOOKS))
    assert "the pools pay" in closed.reason
    assert rig.sent() == []
    rig.judge(closed)


def test_an_order_that_the_account_cannot_pay_is_not_sent(rig: Rig) -> None:
    with rig.engine() as engine:
        closed = done(engine.run(rig.order("a", amount="1000000"), LOOKS))
    assert closed.reason == "the account holds 100000000000, not 1000000000000"
    rig.judge(closed)


def test_without_ether_for_gas_nothing_is_sent(rig: Rig) -> None:
    rig.chain.node.ask("anvil_setBalance", rig.key.address, hex(1_000))
    with rig.engine() as engine:
        closed = done(engine.run(rig.order("a"), LOOKS))
    assert not closed.filled
    assert rig.sent() == []
    rig.judge(closed, wei=1_000)


def test_a_base_fee_above_the_budget_sends_nothing(rig: Rig) -> None:
    rig.chain.set_base_fee(10**12)
    rig.chain.mine()
    with rig.engine() as engine:
        closed = done(engine.run(rig.order("a"), LOOKS))
    assert "must be within 10000000000000000 wei" in closed.reason
    rig.judge(closed)


def test_dust_that_pays_nothing_is_refused(rig: Rig) -> None:
    with rig.engine() as engine:
        closed = done(engine.run(rig.order("a", Side.SELL, "0.000000000000000001"), LOOKS))
    assert "the pools pay 0" in closed.reason
    rig.judge(closed)


def test_an_expired_order_is_not_begun(rig: Rig) -> None:
    order = replace(rig.order("a"), expires_at=rig.chain.head().timestamp - 1)
    with rig.engine() as engine:
        closed = done(engine.run(order, LOOKS))
    assert closed.reason == "expired before it could be sent"
    rig.judge(closed)


def test_a_paused_token_fails_the_intent_and_books_the_gas(rig: Rig) -> None:
    order = rig.order("a", Side.SELL, "1")
    with rig.engine() as engine:
        assert engine.execute(order) is None  # the approval is under way
        do(rig, rig.market.base.address, _SET_PAUSED.call(True))
        closed = done(engine.run(order, LOOKS))
    assert "it would revert" in closed.reason
    assert closed.gas_wei > 0
    rig.judge(closed)


def test_a_fee_on_transfer_makes_the_quote_wrong_and_is_not_paid(rig: Rig) -> None:
    do(rig, rig.market.base.address, _SET_FEE.call(100))
    with rig.engine() as engine:
        closed = done(engine.run(rig.v2_order("a"), LOOKS))
    assert "INSUFFICIENT_OUTPUT_AMOUNT" in closed.reason
    rig.judge(closed)


def test_a_fee_on_transfer_within_the_slippage_is_booked_as_received(rig: Rig) -> None:
    do(rig, rig.market.base.address, _SET_FEE.call(20))
    order = rig.v2_order("a")
    told = quote(
        rig.chain.node, order.pools[0], order.token_in, order.amount_in, rig.chain.head()
    ).amount_out
    with rig.engine() as engine:
        closed = done(engine.run(order, LOOKS))
    assert closed.filled
    assert closed.amount_out == told - told * 20 // 10_000
    rig.judge(closed)


def test_a_young_pair_does_not_run_out_of_gas(rig: Rig) -> None:
    # the first swap of a pair writes two accumulators from zero, which no estimate has seen
    with rig.engine() as engine:
        closed = done(engine.run(rig.v2_order("a"), LOOKS))
    assert closed.filled


def test_a_price_that_moves_before_inclusion_reverts_and_costs_only_gas(rig: Rig) -> None:
    order = rig.v2_order("a")
    with rig.engine() as engine:
        send_swap(rig, engine, order)
        # somebody pays more for the same block and moves the pool by more than the slippage
        _front_run(rig, order.token_in, order.token_out, Decimal(200_000))
        closed = done(engine.run(order, LOOKS))
    assert (closed.filled, closed.reason) == (False, "reverted on the chain")
    assert closed.gas_wei > 0
    rig.judge(closed)


def _front_run(rig: Rig, token_in: str, token_out: str, amount: Decimal) -> None:
    swap = Method(
        "swapExactTokensForTokens", ("uint256", "uint256", "address[]", "address", "uint256")
    )
    account = rig.chain.builder.account
    path = [token_in, token_out]
    data = swap.call(rig.market.quote.units(amount), 1, path, account, 1 << 40)
    message = {
        "from": account,
        "to": rig.chain.world.routers.v2,
        "data": "0x" + data.hex(),
        "gas": hex(500_000),
        "maxFeePerGas": hex(10**11),
        "maxPriorityFeePerGas": hex(10**11),
    }
    rig.chain.node.ask("eth_sendTransaction", message)


def test_a_swap_that_succeeds_and_moves_nothing_is_not_filled(rig: Rig) -> None:
    order = rig.v2_order("a")
    with rig.engine() as engine:
        send_swap(rig, engine, order)
        rig.chain.node.ask("anvil_setCode", rig.chain.world.routers.v2, "0x")
        closed = done(engine.run(order, LOOKS))
    assert (closed.filled, closed.reason) == (False, "no token moved")
    assert closed.gas_wei > 0
    rig.judge(closed)
