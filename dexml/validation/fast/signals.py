"""Entries and exits into equity, one pass for each configuration: what a sweep of rules costs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dexml.errors import DataError
from dexml.validation.fast.compiled import compiled
from dexml.validation.inputs import Floats, finite

__all__ = ["Exits", "Prices", "signal_equity"]


class Prices(NamedTuple):
    """One instrument; each of shape (n_bars,).

    Attributes
    ----------
    fill : ndarray
        What an order of this bar's signal is filled at: the close itself, or the next opening.
    low, high, close : ndarray
    """

    fill: Floats
    low: Floats
    high: Floats
    close: Floats


class Exits(NamedTuple):
    """Distances from the price of the entry, as fractions; infinite: none.

    Attributes
    ----------
    stop, target : float
        Below and above it.
    """

    stop: float = np.inf
    target: float = np.inf


def signal_equity(
    prices: Prices,
    entries: Any,
    exits: Any,
    fee: float = 0.0,
    levels: Exits = Exits(),  # noqa: B008
    cash: float = 100.0,
) -> Floats:
    """Return the equity at each close of buying with all cash and selling all, long only.

    Parameters
    ----------
    prices : Prices
        Positive and finite.
    entries, exits : array-like of bool, shape (n_configurations, n_bars)
        Both at once are ignored, as is an entry while holding.
    fee : float
        Of what is traded.
    levels : Exits
        Looked at from the bar after the entry, before its signals; the stop first, and paid at
        the low, so that a bar which touches both is a loss, as in the decision kernel.
    cash : float
        Of each configuration.

    Returns
    -------
    ndarray of shape (n_configurations, n_bars)

    Raises
    ------
    DataError
        If shapes differ, a price is not positive, or the fee or cash is out of range.

    Examples
    --------
    >>> close = np.array([1.0, 2.0, 4.0, 2.0])
    >>> prices = Prices(close, close, close, close)
    >>> signal_equity(prices, [[1, 0, 0, 0]], [[0, 0, 1, 0]])
    array([[100., 200., 400., 400.]])
    """
    buys, sells = (np.ascontiguousarray(one, dtype=np.bool_) for one in (entries, exits))
    columns = Prices(*(finite(name, getattr(prices, name)) for name in Prices._fields))
    shape = (len(buys), len(columns.close))
    if not buys.shape == sells.shape == shape or len({len(one) for one in columns}) > 1:
        was = f"{buys.shape} and {sells.shape}"
        raise DataError("signals", f"must be (n_configurations, {shape[1]})", was, "Align them.")
    if min(one.min() for one in columns) <= 0 or not (0 <= fee < 1 and cash > 0):
        raise DataError("prices, fee and cash", "must be positive", (fee, cash), "Check them.")
    equity = np.empty(shape)
    for row in range(len(buys)):
        _pass(columns, buys[row], sells[row], fee, levels, cash, equity[row])
    return equity


@compiled
def _pass(
    prices: Prices,
    entries: NDArray[np.bool_],
    exits: NDArray[np.bool_],
    fee: float,
    levels: Exits,
    cash: float,
    equity: Floats,
) -> None:
    held, stop, target = 0.0, 0.0, np.inf
    for t in range(len(equity)):
        if held > 0.0:
            if prices.low[t] <= stop or prices.high[t] >= target:
                paid = prices.low[t] if prices.low[t] <= stop else target
                cash, held = held * paid * (1 - fee), 0.0
            elif exits[t] and not entries[t]:
                cash, held = held * prices.fill[t] * (1 - fee), 0.0
        elif entries[t] and not exits[t]:
            price = prices.fill[t]
            held, cash = cash / (price * (1 + fee)), 0.0
            stop, target = price * (1 - levels.stop), price * (1 + levels.target)
        equity[t] = cash + held * prices.close[t]
