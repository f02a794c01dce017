"""The kernel's book as the order limits see it, and how much they leave for a buy."""

from __future__ import annotations

from decimal import Decimal
from itertools import chain

from dexml.domain import Intent, Side
from dexml.risk.orders import Breach, Desk, Order, exposure
from dexml.state import Book, State

__all__ = ["buying_room", "desk_of", "order_of"]

_HAIR = Decimal("0.999999")  # amounts are rounded to the decimals of tokens


def order_of(intent: Intent) -> Order:
    """Return an intent as an order at the worst price that it accepts."""
    amount, floor, reference = intent.amount_in, intent.minimum_out, intent.reference_price
    buys = intent.side is Side.BUY
    return Order(
        instrument=intent.instrument,
        side=intent.side,
        base=amount / reference if buys else amount,
        price=amount / floor if buys else floor / amount,
        reference=reference,
    )


def desk_of(state: State) -> Desk:
    """Return what is held and under way."""
    return Desk(
        positions={b.instrument: b.quantity for b in state.books if b.position is not None},
        prices={b.instrument: Decimal(repr(b.bar.close)) for b in state.books if b.bar is not None},
        open_orders=tuple(order_of(intent) for intent in state.open_intents),
        sent_at=state.watch.sent,
    )


def buying_room(state: State, book: Book) -> tuple[float, Breach]:
    """Return the largest notional of a buy, at least 0, and the limit that allows no larger."""
    limits, desk = state.config.orders, desk_of(state)
    names = set(chain(desk.positions, (order.instrument for order in desk.open_orders)))
    gross = sum((exposure(desk, name) for name in names), Decimal(0))
    keep = 1 - Decimal(repr(state.config.limits.slippage))
    rooms = {
        Breach.ORDER_NOTIONAL: limits.order_notional * keep,
        Breach.INSTRUMENT_NOTIONAL: limits.instrument_notional - exposure(desk, book.instrument),
        Breach.GROSS_NOTIONAL: limits.gross_notional - gross,
    }
    least = min(rooms, key=lambda breach: rooms[breach])
    return max(0.0, float(rooms[least] * _HAIR)), least
