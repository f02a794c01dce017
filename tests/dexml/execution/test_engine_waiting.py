"""What was sent and waits: replaced, cancelled, dropped, reorganised."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from dexml.execution.abi import Method
from dexml.execution.entries import Purpose, Signed
from tests.dexml.execution.swap_rig import LOOKS, Rig, done, send_swap, signed_for

_SET_FEE = Method("setFee", ("uint256",))
_SET_PAUSED = Method("setPaused", ("bool",))
_FLOOR_WORD = 4 + 32  # of a V2 swap: selector, amount in, floor


def test_a_transaction_that_waits_offers_an_eighth_more(rig: Rig) -> None:
    rig.config = replace(rig.config, patience_blocks=1)
    order = rig.order("a")
    with rig.engine() as engine:
        for _look in range(4):
            engine.execute(order)
            rig.chain.node.ask("anvil_dropAllTransactions")  # whatever waits is not mined
            rig.chain.mine()
        closed = done(engine.run(order, LOOKS))
    offers = signed_for(rig, Purpose.APPROVE)
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
        first, second = attempts_of(engine, 0)
        rig.chain.node.send(bytes.fromhex(first.raw))
        rig.chain.mine()
        closed = done(engine.run(order, LOOKS))
    assert closed.filled
    mined = {one.tx_hash for one, _receipt in rig.sent()}
    assert first.tx_hash in mined
    assert second.tx_hash not in mined
    rig.judge(closed)


def attempts_of(engine: object, nonce: int) -> list[Signed]:
    attempts: list[Signed] = engine.book.families[nonce].attempts  # type: ignore[attr-defined]
    return list(attempts)


def test_a_swap_that_misses_its_deadline_is_cancelled_on_its_nonce(rig: Rig) -> None:
    rig.config = replace(rig.config, deadline_s=24, patience_blocks=100)
    order = rig.order("a")
    with rig.engine() as engine:
        send_swap(rig, engine, order)
        for _block in range(4):
            rig.chain.node.ask("anvil_dropAllTransactions")
            rig.chain.mine()
        closed = done(engine.run(order, LOOKS))
    assert closed.reason == "cancelled: its deadline passed before it was mined"
    (swap,), (cancel,) = signed_for(rig, Purpose.SWAP), signed_for(rig, Purpose.CANCEL)
    assert swap.nonce == cancel.nonce
    assert 8 * cancel.max_fee_wei >= 9 * swap.max_fee_wei
    rig.judge(closed)


def test_a_jump_of_the_chains_clock_makes_a_swap_late_not_double(rig: Rig) -> None:
    order = rig.order("a")
    with rig.engine() as engine:
        send_swap(rig, engine, order)
        rig.chain.node.ask("evm_setNextBlockTimestamp", rig.chain.head().timestamp + 3_600)
        closed = done(engine.run(order, LOOKS))
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
        closed = done(engine.run(order, LOOKS))
    assert closed.filled
    rig.judge(closed)


def test_a_dropped_transaction_is_sent_again_byte_for_byte(rig: Rig) -> None:
    order = rig.order("a")
    with rig.engine() as engine:
        engine.execute(order)
        (approval,) = attempts_of(engine, 0)
        rig.chain.node.ask("anvil_dropTransaction", approval.tx_hash)
        closed = done(engine.run(order, LOOKS))
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
        closed = done(engine.run(order, LOOKS))
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
        closed = done(engine.run(order, LOOKS))
    assert closed.filled
    nonces = [one.nonce for one, _receipt in rig.sent()]
    assert nonces == [0, 1, 2]
    swaps = [one for one, receipt in rig.sent() if rig._out_of(receipt) > 0]
    assert len(swaps) == 1
