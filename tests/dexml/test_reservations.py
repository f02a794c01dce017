from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from dexml.domain import Bar, Intent, Side
from dexml.reservations import NOTHING, Reservation, changed, reserved, room
from dexml.risk.exits import Levels
from dexml.state import Book, KernelConfig, Position, State
from dexml.system import initial_state

AT = datetime(2024, 1, 1, tzinfo=UTC)
GAS = KernelConfig().costs.gas_per_swap_usd
IDLE = initial_state("r", KernelConfig(), ["BTC/USDT", "ETH/USDT"], Decimal(10_000))


def _open(state: State, instrument: str, side: Side, amount: str) -> State:
    intent = Intent(
        intent_id=f"{side} {instrument}",
        instrument=instrument,
        side=side,
        amount_in=Decimal(amount),
        minimum_out=Decimal(1),
        reference_price=Decimal(100),
        reason="enter",
        decided_at=AT,
    )
    return state.having(replace(_book(state, instrument), pending=intent))


def _book(state: State, instrument: str) -> Book:
    book = state.book(instrument)
    assert book is not None
    return book


def _holding(state: State, instrument: str, quantity: str) -> State:
    bar = Bar(instrument=instrument, closed_at=AT, open=100, high=100, low=100, close=100, volume=1)
    held = Position(
        quantity=Decimal(quantity),
        paid=Decimal(1),
        entered_at=AT,
        best=100.0,
        exits=Levels(stop=1.0, take_profit=1_000.0),
    )
    return state.having(replace(_book(state, instrument), position=held, bar=bar))


def test_a_buy_reserves_its_amount_and_gas_and_a_sale_only_gas() -> None:
    state = _open(IDLE, "BTC/USDT", Side.BUY, "250.5")
    state = _open(state, "ETH/USDT", Side.SELL, "3")
    assert reserved(state) == {
        "buy BTC/USDT": Reservation(cash=Decimal("250.5") + GAS, exposure=Decimal("250.5")),
        "sell ETH/USDT": Reservation(cash=GAS),
    }


def test_only_what_a_step_opens_or_settles_has_changed() -> None:
    one = _open(IDLE, "BTC/USDT", Side.BUY, "250")
    both = _open(one, "ETH/USDT", Side.BUY, "100")
    assert changed(IDLE, one) == reserved(one)
    assert changed(one, one) == {}
    assert set(changed(one, both)) == {"buy ETH/USDT"}
    assert changed(both, one) == {"buy ETH/USDT": NOTHING}


def test_the_room_is_the_cash_and_what_positions_leave_of_the_gross_limit() -> None:
    state = _open(_holding(IDLE, "ETH/USDT", "2.5"), "BTC/USDT", Side.BUY, "250")
    found = room(IDLE, state)
    assert found is not None
    assert found.cash == Decimal(10_000)
    assert found.exposure == state.config.orders.gross_notional - 250


def test_a_step_that_only_sells_is_not_bounded() -> None:
    held = _holding(IDLE, "ETH/USDT", "2.5")
    assert room(held, _open(held, "ETH/USDT", Side.SELL, "2.5")) is None
    assert room(held, held) is None
