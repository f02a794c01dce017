"""What the decision pass remembers of a book, and what it writes down of a history."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dexml.domain import Action, Reason
from dexml.validation.fast.words import Rules
from dexml.validation.inputs import Floats

__all__ = ["BOOK", "FILL", "N_SLIPS", "Order", "Tape", "empty_tape"]

N_SLIPS = 20
NEVER = np.iinfo(np.int64).min
BOOK = np.dtype(
    [(name, np.float64) for name in ("cash", "quantity", "paid", "best", "stop", "take_profit")]
    + [(name, np.float64) for name in ("peak", "day_open", "losses_in_row", "reducing")]
    + [(name, np.int64) for name in ("entered_at", "day", "closed_until", "n_fills")]
)
FILL = np.dtype(
    [(name, np.int64) for name in ("row", "at", "buys", "reason")]
    + [(name, np.float64) for name in ("base", "quote", "earned")]
)


class Tape(NamedTuple):
    """What a pass writes down.

    Attributes
    ----------
    equity : ndarray of shape (n_bars,)
        Quote currency at each close, before what is decided there.
    action, reason : ndarray of int64, shape (n_bars,)
        Places in `Action` and `Reason`.
    fills : structured ndarray of `FILL`, shape (2 * n_bars,)
        Only the first `book.n_fills` are written; `row` is that of the close before the fill,
        `earned` what a sale returned on what was paid, after gas.
    book : structured ndarray of `BOOK`, shape (1,)
    slips : ndarray of shape (20, 2)
        Realised and modelled slippage of the latest fills.
    stops : ndarray of int64, shape (max_stops,)
        Instants of the latest stops.
    """

    equity: Floats
    action: NDArray[np.int64]
    reason: NDArray[np.int64]
    fills: NDArray[Any]
    book: NDArray[Any]
    slips: Floats
    stops: NDArray[np.int64]


class Order(NamedTuple):
    """A sale of all: when, at what price of the market, beside what price it was decided."""

    at: int
    price: float
    reference: float
    reason: int


def empty_tape(n_bars: int, rules: Rules) -> Tape:
    """Return what a pass over `n_bars` writes on, with nothing but cash in the book."""
    book = np.zeros(1, BOOK)
    book["cash"] = book["peak"] = rules.cash
    book["day"] = book["closed_until"] = NEVER
    return Tape(
        equity=np.zeros(n_bars),
        action=np.full(n_bars, list(Action).index(Action.DECLINE)),
        reason=np.full(n_bars, list(Reason).index(Reason.DATA)),
        fills=np.zeros(2 * n_bars, FILL),
        book=book,
        slips=np.zeros((N_SLIPS, 2)),
        stops=np.full(rules.max_stops, NEVER, dtype=np.int64),
    )
