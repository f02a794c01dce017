"""What a strategy must beat: buying and holding, doing nothing, and entering at random."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dexml.errors import DataError
from dexml.validation.inputs import Floats, finite, finite_table

__all__ = ["always_flat", "buy_and_hold", "random_entry", "strategy_returns"]


def strategy_returns(positions: ArrayLike, returns: ArrayLike, cost: float = 0.0) -> Floats:
    """Return what positions earned on each bar, shape (n,).

    Parameters
    ----------
    positions, returns : array-like, shape (n,) or (n, n_instruments)
        Signed fraction of equity held *during* each bar, so decided before it, and the simple
        return of the instrument over it.
    cost : float
        Paid on what is traded, as a fraction.

    Raises
    ------
    DataError
        If the shapes differ, a number is missing, or the cost is negative.

    Examples
    --------
    >>> strategy_returns([0.0, 1.0, 1.0], [0.1, 0.1, -0.1], cost=0.01).round(6).tolist()
    [0.0, 0.09, -0.1]
    """
    held, moved = finite("positions", positions), finite("returns", returns)
    if held.shape != moved.shape:
        was = f"{held.shape} and {moved.shape}"
        raise DataError("positions and returns", "must have one shape", was, "Align them first.")
    traded = np.abs(np.diff(held, axis=0, prepend=0.0))
    earned = held * moved - _fraction(cost) * traded
    total: Floats = earned.reshape(len(held), -1).sum(axis=1)
    return total


def buy_and_hold(returns: Any, cost: float = 0.0) -> Floats:
    """Return what equal parts of the cash earn when they are bought at the start and kept.

    Parameters
    ----------
    returns : array-like, shape (n, n_instruments)
        Simple returns per bar.
    cost : float
        Paid once, on the first bar, as a fraction.

    Notes
    -----
    Parts drift apart with the prices: nothing is rebalanced, so nothing more is paid.

    Examples
    --------
    >>> buy_and_hold([[1.0, 0.0], [0.0, 0.5]]).round(6).tolist()  # 1 -> 1.5 -> 1.75
    [0.5, 0.166667]
    """
    table = finite_table("returns", returns, least=1)
    equity = (1.0 - _fraction(cost)) * np.cumprod(1.0 + table, axis=0).mean(axis=1)
    before = np.concatenate([[1.0], equity[:-1]])
    return np.asarray(equity / before - 1.0, dtype=np.float64)


def always_flat(n_bars: int) -> Floats:
    """Return what holding cash earns: nothing, on each of `n_bars`.

    Examples
    --------
    >>> always_flat(2).tolist()
    [0.0, 0.0]
    """
    if n_bars < 1:
        raise DataError("n_bars", "must be at least 1", n_bars, "Give some bars.")
    return np.zeros(n_bars)


def random_entry(positions: ArrayLike, seed: int = 0) -> Floats:
    """Return the same holdings, entered at random instants.

    Parameters
    ----------
    positions : array-like, shape (n,) or (n, n_instruments)
        Held during each bar; each instrument is moved by itself.
    seed : int

    Returns
    -------
    ndarray of the same shape
        Every spell of the original in some order, apart wherever they were, with all ways to share
        out the flat bars equally likely: as many trades, the same holding times and exposure. The
        turnover differs at most by the exit of a position that is open at the end.

    Examples
    --------
    >>> drawn = random_entry([0.0, 1.0, 1.0, 0.0, 0.0, -1.0, 0.0])
    >>> sorted(drawn.tolist()), float(np.abs(np.diff(drawn, prepend=0.0, append=0.0)).sum())
    ([-1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0], 4.0)
    """
    held = finite("positions", positions)
    generator = np.random.default_rng(seed)
    columns = held.reshape(len(held), -1).T
    return np.column_stack([_moved(one, generator) for one in columns]).reshape(held.shape)


def _moved(held: Floats, generator: np.random.Generator) -> Floats:
    busy = held != 0
    spells = np.split(held, np.flatnonzero(np.diff(busy)) + 1)
    spells = [spell for spell in spells if spell[0] != 0]
    generator.shuffle(spells)
    n_gaps, n_flat = len(spells) + 1, int((~busy).sum())
    parted = max(0, len(spells) - 1)  # spells that touch would become one
    spare = n_flat - parted
    bars = np.sort(generator.choice(spare + n_gaps - 1, n_gaps - 1, replace=False))
    gaps = np.diff(bars, prepend=-1, append=spare + n_gaps - 1) - 1
    gaps[1:-1] += 1
    pieces = [
        piece
        for gap, spell in zip(gaps, [*spells, held[:0]], strict=True)
        for piece in (np.zeros(gap), spell)
    ]
    return np.concatenate(pieces)


def _fraction(cost: float) -> float:
    if not 0 <= cost < 1:
        raise DataError("cost", "must be a fraction in [0, 1)", cost, "Write 10 bp as 0.001.")
    return cost
