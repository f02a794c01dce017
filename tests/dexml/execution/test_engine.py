"""One swap for one intent, on a real chain."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest

from dexml.domain import Side
from dexml.errors import EnvironmentRefused, ExecutionError
from dexml.execution.abi import Method
from dexml.execution.entries import Closed, Purpose, Signed
from dexml.execution.fees import FeePolicy
from dexml.execution.rpc import bytes_of
from dexml.execution.swapping import mark_of
from dexml.execution.uniswap.reading import quote, read_pair
from dexml.simulation.chain.deployment import MINT
from tests.dexml.execution.swap_rig import ETHER, Rig

LOOKS = 60
_SET_FEE = Method("setFee", ("uint256",))
_SET_PAUSED = Method("setPaused", ("bool",))
_FLOOR_WORD = 4 + 32  # of a V2 swap: selector, amount in, floor


def _done(closed: Closed | None) -> Closed:
    assert closed is not None
    return closed


def _signed(rig: Rig, purpose: Purpose) -> list[Signed]:
    every = (one for one in rig.entries() if isinstance(one, Signed))
    return [one for one in every if one.purpose is purpose]


def _do(rig: Rig, to: str, data: bytes) -> None:
    rig.chain.mine_at_once(True)
    rig.chain.builder.do(to, data)
    rig.chain.mine_at_once(False)


def test_a_swap_pays_what_the_closed_form_says(rig: Rig) -> None:
    order = rig.order("a")
    expected = max(
        quote(rig.chain.node, pool, order.token_in, order.amount_in, rig.chain.head()).amount_out
        for pool in order.pools
    )
    with rig.engine() as engine:
        closed = _done(engine.run(order, LOOKS))
    assert (closed.filled, closed.amount_in, closed.amount_out) == (True, 10**9, expected)
    rig.judge(closed)


def test_a_row_of_swaps_keeps_the_books(rig: Rig) -> None:
    sides = [(Side.BUY, "1000"), (Side.SELL, "0.3"), (Side.BUY, "2500"), (Side.SELL, "1.2")]
    with rig.engine() as engine:
        closed = [
            _done(engine.run(rig.order(f"s{number}", side, amount), LOOKS))
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
    rig.judge(_done(first))


def test_exactly_what_is_spent_is_approved_and_nothing_is_left(rig: Rig) -> None:
    with rig.engine() as engine:
        closed = _done(engine.run(rig.order("a"), LOOKS))
    for router in (rig.chain.world.routers.v2, rig.chain.world.routers.v3):
        assert rig.allowance(rig.market.quote.address, router) == 0
    (approval,) = _signed(rig, Purpose.APPROVE)
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
        closed = _done(engine.run(order, LOOKS))
    assert closed.filled
    assert [bytes_of(one.data)[36:68] for one in _signed(rig, Purpose.APPROVE)] == [
        (0).to_bytes(32),
        closed.amount_in.to_bytes(32),
    ]
    assert rig.allowance(order.token_in, router) == 0


def test_the_floor_comes_from_a_fresh_quote_and_is_never_zero(rig: Rig) -> None:
    order = rig.v2_order("a")
    with rig.engine() as engine:
        engine.run(order, LOOKS)
    (swap,) = _signed(rig, Purpose.SWAP)
    pair = read_pair(rig.chain.node, order.pools[0], swap.block)
    out = pair.amount_out(order.amount_in, zero_for_one=order.pools[0].zero_for_one(order.token_in))
    floor = int.from_bytes(bytes_of(swap.data)[_FLOOR_WORD : _FLOOR_WORD + 32])
    assert floor == out * (10_000 - rig.config.slippage_bps) // 10_000 > 0


def test_what_the_pools_do_not_pay_is_not_sent(rig: Rig) -> None:
    order = replace(rig.order("a"), minimum_out=10**30)
    with rig.engine() as engine:
        closed = _done(engine.run(order, LOOKS))
    assert "the pools pay" in closed.reason
    assert rig.sent() == []
    rig.judge(closed)


def test_an_order_that_the_account_cannot_pay_is_not_sent(rig: Rig) -> None:
    with rig.engine() as engine:
        closed = _done(engine.run(rig.order("a", amount="1000000"), LOOKS))
    assert closed.reason == "the account holds 100000000000, not 1000000000000"
    rig.judge(closed)


def test_without_ether_for_gas_nothing_is_sent(rig: Rig) -> None:
    rig.chain.node.ask("anvil_setBalance", rig.key.address, hex(1_000))
    with rig.engine() as engine:
        closed = _done(engine.run(rig.order("a"), LOOKS))
    assert not closed.filled
    assert rig.sent() == []
    rig.judge(closed, wei=1_000)


def test_a_base_fee_above_the_budget_sends_nothing(rig: Rig) -> None:
    rig.chain.set_base_fee(10**12)
    rig.chain.mine()
    with rig.engine() as engine:
        closed = _done(engine.run(rig.order("a"), LOOKS))
    assert "must be within 10000000000000000 wei" in closed.reason
    rig.judge(closed)


def test_dust_that_pays_nothing_is_refused(rig: Rig) -> None:
    with rig.engine() as engine:
        closed = _done(engine.run(rig.order("a", Side.SELL, "0.000000000000000001"), LOOKS))
    assert "the pools pay 0" in closed.reason
    rig.judge(closed)


def test_an_expired_order_is_not_begun(rig: Rig) -> None:
    order = replace(rig.order("a"), expires_at=rig.chain.head().timestamp - 1)
    with rig.engine() as engine:
        closed = _done(engine.run(order, LOOKS))
    assert closed.reason == "expired before it could be sent"
    rig.judge(closed)


def test_a_paused_token_fails_the_intent_and_books_the_gas(rig: Rig) -> None:
    order = rig.order("a", Side.SELL, "1")
    with rig.engine() as engine:
        assert engine.execute(order) is None  # the approval is under way
        _do(rig, rig.market.base.address, _SET_PAUSED.call(True))
        closed = _done(engine.run(order, LOOKS))
    assert "it would revert" in closed.reason
    assert closed.gas_wei > 0
    rig.judge(closed)


def test_a_fee_on_transfer_makes_the_quote_wrong_and_is_not_paid(rig: Rig) -> None:
    _do(rig, rig.market.base.address, _SET_FEE.call(100))
    with rig.engine() as engine:
        closed = _done(engine.run(rig.v2_order("a"), LOOKS))
    assert "INSUFFICIENT_OUTPUT_AMOUNT" in closed.reason
    rig.judge(closed)


def test_a_fee_on_transfer_within_the_slippage_is_booked_as_received(rig: Rig) -> None:
    _do(rig, rig.market.base.address, _SET_FEE.call(20))
    order = rig.v2_order("a")
    told = quote(
        rig.chain.node, order.pools[0], order.token_in, order.amount_in, rig.chain.head()
    ).amount_out
    with rig.engine() as engine:
        closed = _done(engine.run(order, LOOKS))
    assert closed.filled
    assert closed.amount_out == told - told * 20 // 10_000
    rig.judge(closed)


def test_a_young_pair_does_not_run_out_of_gas(rig: Rig) -> None:
    # the first swap of a pair writes two accumulators from zero, which no estimate has seen
    with rig.engine() as engine:
        closed = _done(engine.run(rig.v2_order("a"), LOOKS))
    assert closed.filled


def test_a_price_that_moves_before_inclusion_reverts_and_costs_only_gas(rig: Rig) -> None:
    order = rig.v2_order("a")
    with rig.engine() as engine:
        while not _signed_swap(engine):
            engine.execute(order)
            if not _signed_swap(engine):
                rig.chain.mine()
        # somebody pays more for the same block and moves the pool by more than the slippage
        _front_run(rig, order.token_in, order.token_out, Decimal(200_000))
        closed = _done(engine.run(order, LOOKS))
    assert (closed.filled, closed.reason) == (False, "reverted on the chain")
    assert closed.gas_wei > 0
    rig.judge(closed)


def _signed_swap(engine: object) -> bool:
    families = engine.book.families.values()  # type: ignore[attr-defined]
    return any(one.swaps for one in families)


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


def test_a_donation_to_the_pair_changes_no_quote(rig: Rig) -> None:
    order = rig.v2_order("a")
    _do(rig, rig.market.quote.address, MINT.call(order.pools[0].address, 10**12))
    with rig.engine() as engine:
        closed = _done(engine.run(order, LOOKS))
    assert closed.filled
    rig.judge(closed)


def test_a_transaction_that_waits_offers_an_eighth_more(rig: Rig) -> None:
    rig.config = replace(rig.config, patience_blocks=1)
    order = rig.order("a")
    with rig.engine() as engine:
        for _look in range(4):
            engine.execute(order)
            rig.chain.node.ask("anvil_dropAllTransactions")  # whatever waits is not mined
            rig.chain.mine()
        closed = _done(engine.run(order, LOOKS))
    offers = _signed(rig, Purpose.APPROVE)
    assert len(offers) >= 3
    for old, new in pairwise(offers):
        assert new.nonce == old.nonce == 0
        assert 8 * new.max_fee_wei >= 9 * old.max_fee_wei
        assert 8 * new.tip_wei >= 9 * old.tip_wei
    assert closed.filled
    rig.judge(closed)


def test_the_original_mined_instead_of_its_replacement_is_the_one_that_counts(rig: Rig) -> None:
    rig.config = replace(rig.config, patience_blocks=1)
    order = rig.order("a")
    with rig.engine() as engine:
        engine.execute(order)
        rig.chain.node.ask("anvil_dropAllTransactions")
        rig.chain.mine()
        engine.execute(order)  # the replacement
        rig.chain.node.ask("anvil_dropAllTransactions")
        first, second = _signed_of(engine, 0)
        rig.chain.node.send(bytes.fromhex(first.raw))
        rig.chain.mine()
        closed = _done(engine.run(order, LOOKS))
    assert closed.filled
    mined = {one.tx_hash for one, _receipt in rig.sent()}
    assert first.tx_hash in mined
    assert second.tx_hash not in mined
    rig.judge(closed)


def _signed_of(engine: object, nonce: int) -> list[Signed]:
    attempts: list[Signed] = engine.book.families[nonce].attempts  # type: ignore[attr-defined]
    return list(attempts)


def test_a_swap_that_misses_its_deadline_is_cancelled_on_its_nonce(rig: Rig) -> None:
    rig.config = replace(rig.config, deadline_s=24, patience_blocks=100)
    order = rig.order("a")
    with rig.engine() as engine:
        while not _signed_swap(engine):
            engine.execute(order)
            rig.chain.mine(0 if _signed_swap(engine) else 1)
        for _block in range(4):
            rig.chain.node.ask("anvil_dropAllTransactions")
            rig.chain.mine()
        closed = _done(engine.run(order, LOOKS))
    assert closed.reason == "cancelled: its deadline passed before it was mined"
    (swap,), (cancel,) = _signed(rig, Purpose.SWAP), _signed(rig, Purpose.CANCEL)
    assert swap.nonce == cancel.nonce
    assert 8 * cancel.max_fee_wei >= 9 * swap.max_fee_wei
    rig.judge(closed)


def test_a_jump_of_the_chains_clock_makes_a_swap_late_not_double(rig: Rig) -> None:
    order = rig.order("a")
    with rig.engine() as engine:
        while not _signed_swap(engine):
            engine.execute(order)
            rig.chain.mine(0 if _signed_swap(engine) else 1)
        rig.chain.node.ask("evm_setNextBlockTimestamp", rig.chain.head().timestamp + 3_600)
        closed = _done(engine.run(order, LOOKS))
    assert not closed.filled
    rig.judge(closed)


def test_a_base_fee_spike_drops_the_transaction_and_it_comes_back(rig: Rig) -> None:
    order = rig.order("a")
    with rig.engine() as engine:
        engine.execute(order)
        rig.chain.set_base_fee(2 * 10**10)
        rig.chain.mine()
        rig.chain.set_base_fee(10**9)
        rig.chain.mine()
        closed = _done(engine.run(order, LOOKS))
    assert closed.filled
    rig.judge(closed)


def test_a_dropped_transaction_is_sent_again_byte_for_byte(rig: Rig) -> None:
    order = rig.order("a")
    with rig.engine() as engine:
        engine.execute(order)
        (approval,) = _signed_of(engine, 0)
        rig.chain.node.ask("anvil_dropTransaction", approval.tx_hash)
        closed = _done(engine.run(order, LOOKS))
    assert closed.filled
    assert approval.tx_hash in {one.tx_hash for one, _receipt in rig.sent()}
    rig.judge(closed)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_a_reorganisation_rolls_back_and_is_followed(rig: Rig, depth: int) -> None:
    rig.config = replace(rig.config, confirmations=6)
    order = rig.order("a")
    with rig.engine() as engine:
        for _look in range(6):
            assert engine.execute(order) is None
            rig.chain.mine()
        rig.chain.reorganise(depth)
        closed = _done(engine.run(order, LOOKS))
        assert engine.book.gas_wei == closed.gas_wei
    assert closed.filled
    rig.judge(closed)


def test_a_foreign_transaction_on_our_nonce_swaps_nothing_twice(rig: Rig) -> None:
    order = rig.order("a")
    with rig.engine() as engine:
        engine.execute(order)
        rig.chain.node.ask("anvil_dropAllTransactions")
        rig.chain.node.ask("anvil_impersonateAccount", rig.key.address)
        message = {"from": rig.key.address, "to": rig.key.address, "value": "0x0"}
        rig.chain.node.ask("eth_sendTransaction", message)
        rig.chain.mine()
        closed = _done(engine.run(order, LOOKS))
    assert closed.filled
    nonces = [one.nonce for one, _receipt in rig.sent()]
    assert nonces == [0, 1, 2]
    swaps = [one for one, receipt in rig.sent() if rig._out_of(receipt) > 0]
    assert len(swaps) == 1


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
        closed = _done(engine.run(rig.order("a"), LOOKS))
    rig.judge(closed)


def test_many_intents_leave_nothing_in_memory_but_their_outcomes(rig: Rig) -> None:
    with rig.engine() as engine:
        for number in range(6):
            assert _done(engine.run(rig.order(f"n{number}", amount="10"), LOOKS)).filled
            assert engine.book.families == {}
            assert engine.book.opened == {}
        assert set(engine.book.closed) == {mark_of(f"n{number}") for number in range(6)}
    assert rig.funded_wei == 10 * ETHER
