"""The state of the book in plain values, for people and HTTP."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from dexml.assessment import Assessment, assess
from dexml.risk.score import REFUSAL
from dexml.state import Book, State

__all__ = ["describe", "positions_of"]


def describe(state: State) -> dict[str, Any]:
    """Return mode, money, risk figures with their limits and positions as JSON-able values.

    A VaR that cannot be measured yet is None; the risk score counts it as too high.

    Examples
    --------
    >>> from decimal import Decimal
    >>> from dexml.state import KernelConfig
    >>> from dexml.system import initial_state
    >>> view = describe(initial_state("r", KernelConfig(), ["BTC/USDT"], Decimal(100)))
    >>> view["mode"], view["equity"], view["positions"]
    ('active', '100.000000', {})
    """
    whole, limits = assess(state), state.config.limits
    return {
        "mode": str(state.mode),
        "equity": str(round(state.equity, 6)),
        "cash": str(state.cash),
        "drawdown": whole.measured["drawdown"],
        "value_at_risk": _known_tail(whole.value_at_risk),
        "risk_score": whole.score,
        "parts": asdict(whole.parts),
        "limits": {
            "drawdown": state.config.trips.drawdown,
            "value_at_risk": limits.value_at_risk,
            "risk_score": REFUSAL,
        },
        "positions": positions_of(state, whole),
    }


def _known_tail(value: float) -> float | None:
    return None if value >= 1 else value  # 1 says that too little is known of what is held


def positions_of(state: State, whole: Assessment) -> dict[str, dict[str, Any]]:
    """Return what is held by instrument: quantity, share of equity, entry, and where it is sold."""
    return {
        book.instrument: _position(book, whole.weights[book.instrument])
        for book in state.books
        if book.position is not None
    }


def _position(book: Book, weight: float) -> dict[str, Any]:
    held = book.position
    assert held is not None
    return {
        "quantity": str(held.quantity),
        "weight": weight,
        "entered_at": held.entered_at.isoformat(),
        "entry_price": float(held.paid / held.quantity),
        "stop": held.exits.stop,
        "take_profit": held.exits.take_profit,
    }
