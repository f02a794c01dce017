"""Bars that did not come: a book's returns without holes, a tail that no outage makes smaller."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dexml.errors import DataError
from dexml.risk.recurrence import Floats
from dexml.risk.tail import Tail, tail_risk

__all__ = ["book_returns", "per_bar", "tail_with_gaps", "with_peers"]

_LEAST = 20


def book_returns(returns: ArrayLike, weights: ArrayLike) -> Floats:
    """Return what today's weights would have earned, bar by bar, with missing bars made good.

    Parameters
    ----------
    returns : array of shape (n_bars, n_instruments)
        Close to close, oldest first; NaN where an instrument has no bar. The bar after a gap
        carries the whole move of the gap.
    weights : array of shape (n_instruments,)
        Shares of equity; instruments of weight 0 are not looked at.

    Returns
    -------
    ndarray of shape (n_rows,)
        One return for each bar set in which something held was seen.

    Raises
    ------
    DataError
        If the shapes do not fit, a number is infinite, a return is below -1 (a negative price),
        or a held instrument has fewer than 20 returns: nothing is known of its risk.

    Notes
    -----
    A zero for a missing bar would say "nothing moved". Instead, in units of each instrument's own
    root mean square: (1) the move over a gap of k bars counts as one bar's, R / sqrt(k); (2) an
    instrument without a bar moved as the worst of its peers did in that bar set, if that hurts the
    book, and not at all otherwise; (3) a bar set in which nothing held was seen does not exist.

    Examples
    --------
    >>> moves = np.array([[0.01, 0.02], [-0.01, -0.02]] * 200 + [[-0.02, np.nan]])
    >>> round(float(book_returns(moves, [0.5, 0.5])[-1]), 3)
    -0.03
    """
    values, shares = _held(returns, weights)
    if not np.isnan(values).any():
        # no matrix product: its last bits depend on how many threads BLAS may use
        earned: Floats = (values * shares).sum(axis=1)
        return earned
    values = per_bar(values)
    values = values[~np.isnan(values).all(axis=1)]
    missing = np.isnan(values)
    scale = np.sqrt(np.nanmean(values * values, axis=0))
    shocks = np.divide(
        values, scale, out=np.where(missing, np.nan, 0.0), where=(scale > 0) & ~missing
    )
    signed = shocks * np.sign(shares)
    worst = np.minimum(np.nanmin(signed, axis=1), 0.0)
    hurt = worst[:, None] * scale * np.abs(shares)
    earned = np.where(missing, hurt, np.where(missing, 0.0, values) * shares).sum(axis=1)
    return earned


def tail_with_gaps(returns: ArrayLike, weights: ArrayLike, bars_per_day: float) -> Tail:
    """Return the default tail of a book, never below the last one of which all held was seen.

    Parameters
    ----------
    returns, weights : array
        As in `book_returns`.
    bars_per_day : float
        Bars in a day.

    Raises
    ------
    DataError
        As in `book_returns`; if fewer than 20 bar sets are left.

    Notes
    -----
    While something held is silent, what its peers do may raise the tail and cannot lower it below
    what it was: calm peers are no news of the silent one. The floor ends with its next bar, or
    with the position. Give at least as many bar sets before the outage as the tail should see.
    """
    values, shares = _held(returns, weights)
    if not shares.size:
        return Tail()
    now = tail_risk(book_returns(values, shares), bars_per_day)
    n_known = _rows_known(values)
    if n_known in (0, len(values)):
        return now
    then = tail_risk(book_returns(values[:n_known], shares), bars_per_day)
    return Tail(
        value_at_risk=max(now.value_at_risk, then.value_at_risk),
        expected_shortfall=max(now.expected_shortfall, then.expected_shortfall),
    )


def _rows_known(values: Floats) -> int:
    """Return how many rows end with the last complete one; 0 if too little was known by then."""
    complete = np.flatnonzero(~np.isnan(values).any(axis=1))
    n_known = int(complete[-1]) + 1 if complete.size else 0
    enough = (~np.isnan(values[:n_known])).sum(axis=0) >= _LEAST
    return n_known if enough.all() else 0


def _held(returns: ArrayLike, weights: ArrayLike) -> tuple[Floats, Floats]:
    values = np.asarray(returns, dtype=np.float64)
    shares = np.asarray(weights, dtype=np.float64)
    if values.ndim != 2 or shares.shape != values.shape[1:]:
        was = f"{values.shape} and {shares.shape}"
        raise DataError("returns and weights", "must be (n, m) and (m,)", was, "Align them.")
    if np.isinf(values).any() or not np.isfinite(shares).all():
        raise DataError("returns and weights", "must not be infinite", "an infinity", "Drop it.")
    if (values < -1).any():
        lowest = float(np.nanmin(values))
        raise DataError("returns", "must be -1 or more", lowest, "Quarantine the negative price.")
    held = shares != 0
    n_seen = (~np.isnan(values[:, held])).sum(axis=0)
    if n_seen.size and n_seen.min() < _LEAST:
        fix = "Do not hold it until it has shown more."
        subject = f"held instrument {int(np.flatnonzero(held)[n_seen.argmin()])}"
        raise DataError(subject, f"must have {_LEAST} returns", int(n_seen.min()), fix)
    return values[:, held], shares[held]


def with_peers(returns: Floats) -> Floats:
    """Return the moves with what is missing made good by the peers' mean, for a covariance.

    Parameters
    ----------
    returns : ndarray of shape (n_bars, n_instruments)
        As in `book_returns`; each instrument was seen and moved.

    Returns
    -------
    ndarray of shape (n_rows, n_instruments)
        Moves of one bar, for the bar sets in which something was seen. Where an instrument was not
        seen it moved as its peers did, in units of their own size: a short record or an outage does
        not look like diversification.

    Examples
    --------
    >>> with_peers(np.array([[0.01, 0.02], [-0.01, np.nan]]))
    array([[ 0.01,  0.02],
           [-0.01, -0.02]])
    """
    size = per_bar(returns)
    size = size[~np.isnan(size).all(axis=1)]
    scale = np.sqrt(np.nanmean(size * size, axis=0))
    shocks = size / scale
    peers = np.nanmean(shocks, axis=1, keepdims=True)
    filled: Floats = np.where(np.isnan(shocks), peers, shocks) * scale
    return filled


def per_bar(values: Floats) -> Floats:
    """Return moves over gaps as those of one bar, R / sqrt(k); shape (n_bars, n_instruments)."""
    if not np.isnan(values).any():
        return values
    rows = np.arange(len(values))[:, None]
    seen = np.where(np.isnan(values), -1, rows)
    before = np.vstack([np.full((1, values.shape[1]), -1), np.maximum.accumulate(seen)[:-1]])
    n_bars = np.where(before >= 0, rows - before, 1)  # how long ago it was seen, if it ever was
    scaled: Floats = values / np.sqrt(n_bars)
    return scaled
