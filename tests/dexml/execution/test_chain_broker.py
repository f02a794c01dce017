"""Intents become swaps, and swaps become fills, without a unit lost."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from dexml.domain import Fill, Intent, Side
from dexml.errors import ConfigError
from dexml.events import OrderFailed
from dexml.execution.chain_broker import ChainBroker, OrderUnresolved
from dexml.execution.engine import Engine
from tests.dexml.execution.swap_rig import Rig

AT = datetime(2024, 1, 1, tzinfo=UTC)
ETHER = Decimal(2_500)


def _intent(side: Side = Side.BUY, **changed: object) -> Intent:
    given = {
        "intent_id": f"intent {side}",
        "instrument": "ETH/USDT",
        "side": side,
        "amount_in": Decimal("1234.567891") if side is Side.BUY else Decimal("0.4"),
        "minimum_out": Decimal("0.1") if side is Side.BUY else Decimal(900),
        "reference_price": ETHER,
        "reason": "enter",
        "decided_at": AT,
    }
    return Intent(**(given | changed))  # type: ignore[arg-type]


def _broker(rig: Rig, engine: Engine, n_looks: int = 60) -> ChainBroker:
    return ChainBroker(engine, [rig.market], lambda: ETHER, n_looks=n_looks)


def test_fills_are_what_the_chain_moved(rig: Rig) -> None:
    base, quote = rig.market.base, rig.market.quote
    start = [rig.chain.balance(token, rig.key.address) for token in (base, quote)]
    with rig.engine() as engine:
        broker = _broker(rig, engine)
        bought, sold = (broker.execute(_intent(side), ETHER, AT) for side in Side)
        booked = engine.book.gas_wei
    assert isinstance(bought, Fill)
    assert isinstance(sold, Fill)
    assert (bought.quote, sold.base) == (Decimal("1234.567891"), Decimal("0.4"))
    end = [rig.chain.balance(token, rig.key.address) for token in (base, quote)]
    assert base.amount(end[0] - start[0]) == bought.base - sold.base
    assert quote.amount(end[1] - start[1]) == sold.quote - bought.quote
    assert bought.gas + sold.gas == ETHER * booked / 10**18
    assert bought.filled_at < sold.filled_at


def test_a_floor_that_no_pool_pays_is_a_failed_order(rig: Rig) -> None:
    with rig.engine() as engine:
        said = _broker(rig, engine).execute(_intent(minimum_out=Decimal(1)), ETHER, AT)
    assert isinstance(said, OrderFailed)
    assert "the pools pay" in said.reason


def test_what_is_under_way_is_unresolved_and_then_found_after_a_restart(rig: Rig) -> None:
    intent = _intent()
    with rig.engine() as engine:
        broker = _broker(rig, engine, n_looks=2)
        assert broker.find(intent.intent_id) is None
        with pytest.raises(OrderUnresolved, match="must be final to be reported"):
            broker.execute(intent, ETHER, AT)
        with pytest.raises(OrderUnresolved):
            broker.find(intent.intent_id)
    with rig.engine() as engine:
        broker = _broker(rig, engine)
        fill = broker.execute(intent, ETHER, AT)
        assert isinstance(fill, Fill)
        assert broker.find(intent.intent_id) == fill
    with rig.engine() as engine:
        assert _broker(rig, engine).find(intent.intent_id) == fill


def test_an_instrument_without_a_market_is_refused(rig: Rig) -> None:
    with rig.engine() as engine, pytest.raises(ConfigError, match=r"Add its \[\[market\]\] table"):
        _broker(rig, engine).execute(_intent(instrument="DOGE/USDT"), ETHER, AT)


def test_an_approval_that_nobody_follows_up_expires_with_its_gas(rig: Rig) -> None:
    intent = _intent()
    with rig.engine() as engine:
        order = _broker(rig, engine)._order(intent, rig.market)
        assert engine.execute(order) is None  # the approval is under way
    rig.chain.mine(4)
    with rig.engine() as engine:
        broker = _broker(rig, engine)
        assert broker.find(intent.intent_id) is None, "what is approved and not signed cannot swap"
        rig.chain.node.ask("evm_setNextBlockTimestamp", rig.chain.head().timestamp + 3_600)
        rig.chain.mine()
        said = broker.find(intent.intent_id)
        assert isinstance(said, OrderFailed)
        assert said.reason.startswith("expired: nobody asked for it again; gas ")
        closed = engine.outcome(intent.intent_id)
    assert closed is not None
    rig.judge(closed)
