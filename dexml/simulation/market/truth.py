"""Closed-form probability that the 20-bar standard deviation of the close rises."""

from __future__ import annotations

import numpy as np

from dexml.domain import Floats
from dexml.simulation.market.shocks import size_below

__all__ = ["volatility_rises"]

_WINDOW = 20


def volatility_rises(close: Floats, up: Floats, next_volatility: Floats) -> Floats:
    """Probability that the 20-bar standard deviation of the close rises with the next bar.

    Parameters
    ----------
    close, up, next_volatility : ndarray of shape (n_bars, n_instruments)
        Closes, probability of a rise, scale of the next log return.

    Returns
    -------
    ndarray of the same shape
        NaN in the first 19 rows, which have no standard deviation yet.

    Notes
    -----
    With m the mean of the 19 closes that stay, it rises exactly when the new close is farther
    from m than the close that leaves. The next return has size and direction independent, so
    P(return > x) = p P(size > x) for x >= 0 and p + (1 - p) P(size < -x) for x < 0.
    """
    result = np.full(close.shape, np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(close, _WINDOW, axis=0)
    mean = windows[..., 1:].mean(axis=-1)
    distance = np.abs(windows[..., 0] - mean)
    last, p, scale = (part[_WINDOW - 1 :] for part in (close, up, next_volatility))
    above = _exceeds(np.log((mean + distance) / last), p, scale)
    low = np.maximum(mean - distance, np.finfo(float).tiny)
    below = 1.0 - _exceeds(np.log(low / last), p, scale)
    result[_WINDOW - 1 :] = above + below
    return result


def _exceeds(move: Floats, up: Floats, scale: Floats) -> Floats:
    rises_past = up * (1.0 - size_below(move, scale))
    falls_short = (1.0 - up) * size_below(-move, scale)
    return np.where(move >= 0, rises_past, up + falls_short)
