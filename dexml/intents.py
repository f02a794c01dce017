"""From a decision to an order: ids, exact amounts, slippage floors."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import NamedTuple

from dexml.domain import Intent, Side
from dexml.events import Reason, Trade
from dexml.risk.limits import permits
from dexml.state import Book, State
from dexml.vitals import order_sent

__all__ = ["buy_intent", "identity", "opened", "sell_all"]


def identity(*parts: str) -> str:
    """Return 32 hexadecimal digits that name the parts.

    Examples
    --------
    >>> identity("run", "BTC/USDT") == identity("run", "BTC/USDT") != identity("runBTC", "/USDT")
    True
    """
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def buy_intent(
    state: State, book: Book, notional: float, at: datetime, reason: str
) -> Intent | None:
    """Return a buy of `notional` quote at the last close; None if it is dust."""
    costs = state.config.costs
    if book.bar is None:
        return None
    price = Decimal(repr(book.bar.close))
    amount = _floored(Decimal(repr(notional)), costs.quote_decimals)
    keep = 1 - Decimal(repr(state.config.limits.slippage))
    floor = _floored(amount / price * keep, costs.base_decimals)
    return _intent(state, book, _Order(Side.BUY, amount, floor, price, reason), at)


def sell_all(
    state: State, book: Book, price: float, at: datetime, reason: Reason
) -> tuple[State, list[Trade]]:
    """Return the state with a sale of the whole position open, and its trade.

    Nothing is sent in HALTED or while another order of the instrument is open.
    """
    quantity = book.quantity
    if book.pending is not None or not permits(state.mode, quantity, Side.SELL, quantity):
        return state, []
    reference = Decimal(repr(price))
    keep = 1 - Decimal(repr(state.config.limits.exit_slippage))
    floor = _floored(quantity * reference * keep, state.config.costs.quote_decimals)
    name = "exit" if reason is Reason.EDGE else str(reason)
    intent = _intent(state, book, _Order(Side.SELL, quantity, floor, reference, name), at)
    return (state, []) if intent is None else opened(state, book, intent)


def opened(state: State, book: Book, intent: Intent) -> tuple[State, list[Trade]]:
    """Return the state with an intent of the book under way, and its trade."""
    state = order_sent(state.having(replace(book, pending=intent)), intent.decided_at)
    return state, [Trade(intent=intent)]


class _Order(NamedTuple):
    side: Side
    amount: Decimal
    floor: Decimal
    price: Decimal
    reason: str


def _floored(amount: Decimal, decimals: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_DOWN)


def _intent(state: State, book: Book, order: _Order, at: datetime) -> Intent | None:
    if order.amount <= 0 or order.floor <= 0:
        return None
    return Intent(
        intent_id=identity(state.run, book.instrument, at.isoformat(), order.side, order.reason),
        instrument=book.instrument,
        side=order.side,
        amount_in=order.amount,
        minimum_out=order.floor,
        reference_price=order.price,
        reason=order.reason,
        decided_at=at,
    )
