"""First-order linear recurrences over whole arrays: what EWMA and GARCH filters are made of."""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import NDArray

__all__ = ["filtered"]

Floats = NDArray[np.float64]
_RANGE = 400.0  # natural logarithm of the largest power of 1/decay that one block may hold


def filtered(inputs: Floats, decay: float, start: float) -> Floats:
    """Return y with y[0] = start and y[t + 1] = decay * y[t] + inputs[t].

    Parameters
    ----------
    inputs : ndarray of shape (n,)
        Oldest first.
    decay : float
        In [0, 1].
    start : float
        What is known before the first input.

    Returns
    -------
    ndarray of shape (n + 1,)
        The value known just before each input, and last the value after all of them.

    Notes
    -----
    y[t] = decay^t * (start + sum of inputs[s] * decay^-(s + 1)), block by block so that no power
    leaves the range of a float64.

    Examples
    --------
    >>> filtered(np.array([1.0, 0.0]), decay=0.5, start=2.0)
    array([2., 2., 1.])
    """
    if decay <= 0:
        return np.concatenate(([start], inputs))
    longest = int(_RANGE / -log(decay)) if decay < 1 else inputs.size
    out = np.empty(inputs.size + 1)
    out[0] = start
    for begin in range(0, inputs.size, max(1, longest)):
        block = inputs[begin : begin + max(1, longest)]
        power = decay ** np.arange(1, block.size + 1)
        out[begin + 1 : begin + 1 + block.size] = power * (out[begin] + np.cumsum(block / power))
    return out
