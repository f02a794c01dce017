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

__all__ = ["buy", "identity", "sell_all"]


def identity(*parts: str) -> str:
    """Return 32 hexadecimal digits that name the parts.

    Examples
    --------
    >>> identity("run", "BTC/USDT") == identity("run", "BTC/USDT") != identity("runBTC", "/USDT")
    True
    """
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def buy(
    state: State, book: Book, notional: float, at: datetime, reason: str
) -> tuple[State, list[Trade]]:
    """Return the state with a buy of `notional` quote open, and its trade; dust is not traded."""
    costs = state.config.costs
    if book.bar is None:
        return state, []
    price = Decimal(repr(book.bar.close))
    amount = _floored(Decimal(repr(notional)), costs.quote_decimals)
    keep = 1 - Decimal(repr(state.config.limits.slippage))
    floor = _floored(amount / price * keep, costs.base_decimals)
    return _opened(state, book, _Order(Side.BUY, amount, floor, price, reason), at)


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
    return _opened(state, book, _Order(Side.SELL, quantity, floor, reference, name), at)


class _Order(NamedTuple):
    side: Side
    amount: Decimal
    floor: Decimal
    price: Decimal
    reason: str


def _floored(amount: Decimal, decimals: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_DOWN)


def _opened(state: State, book: Book, order: _Order, at: datetime) -> tuple[State, list[Trade]]:
    if order.amount <= 0 or order.floor <= 0:
        return state, []
    intent = Intent(
        intent_id=identity(state.run, book.instrument, at.isoformat(), order.side, order.reason),
        instrument=book.instrument,
        side=order.side,
        amount_in=order.amount,
        minimum_out=order.floor,
        reference_price=order.price,
        reason=order.reason,
        decided_at=at,
    )
    return state.having(replace(book, pending=intent)), [Trade(intent=intent)]
