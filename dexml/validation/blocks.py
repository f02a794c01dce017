"""How long the blocks of a stationary bootstrap should be, and one resample of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dexml.validation.inputs import Floats, Positions, finite, varying

__all__ = ["LEAST_INSTANTS", "optimal_block_length", "resampled_positions"]

LEAST_INSTANTS = 20


def resampled_positions(
    n_instants: int, block_length: float, generator: np.random.Generator
) -> Positions:
    """Return one stationary resample of positions 0..n_instants-1, shape (n_instants,).

    Notes
    -----
    Blocks start anywhere, have geometric lengths with mean `block_length`, and wrap around.

    Examples
    --------
    >>> rows = resampled_positions(6, 1e9, np.random.default_rng(0))  # one block
    >>> np.diff(rows).tolist().count(1) >= 4
    True
    """
    begins = np.flatnonzero(generator.random(n_instants) < 1.0 / block_length)
    heads = np.concatenate([[0], begins[begins > 0]])
    starts = generator.integers(n_instants, size=len(heads))
    lengths = np.diff(heads, append=n_instants)
    rows = np.repeat(starts - heads, lengths) + np.arange(n_instants)
    return np.where(rows >= n_instants, rows - n_instants, rows)


def optimal_block_length(series: Any) -> float:
    """Return the block length that makes the error of a bootstrapped mean smallest.

    Parameters
    ----------
    series : array-like, shape (n,)
        At least 20 values, oldest first.

    Notes
    -----
    (g / s)^(2/3) n^(1/3) with s the long-run variance and g the sum of |k| R(k), both with a
    flat-top window whose width is the first lag after which five autocorrelations are small;
    never above min(3 sqrt(n), n/3).

    References
    ----------
    Politis and White (2004), Automatic Block-Length Selection for the Dependent Bootstrap, with
    the correction of Patton, Politis and White (2009).

    Examples
    --------
    >>> walk = np.cumsum(np.random.default_rng(0).normal(size=500))
    >>> optimal_block_length(walk) > optimal_block_length(np.diff(walk))
    True
    """
    values = varying("series", finite("series", series, LEAST_INSTANTS))
    n = len(values)
    n_quiet = max(5, int(np.log10(n)))
    widest = int(np.ceil(np.sqrt(n))) + n_quiet
    centred = values - values.mean()
    covariance = np.array([centred[k:] @ centred[: n - k] for k in range(widest + 1)]) / n
    width = _window(np.abs(covariance[1:widest]) / covariance[0], n, n_quiet, widest)
    lags = np.arange(1, width + 1)
    weights = 2 * np.minimum(1.0, 2 * (1 - lags / width)) * covariance[1 : width + 1]
    long_run = covariance[0] + weights.sum()
    bound = np.ceil(min(3 * np.sqrt(n), n / 3))
    with np.errstate(divide="ignore"):
        length = np.cbrt((np.sum(weights * lags) / long_run) ** 2 * n)
    return float(np.clip(length, 1.0, bound))


def _window(correlations: Floats, n: int, n_quiet: int, widest: int) -> int:
    small = correlations < 2 * np.sqrt(np.log10(n) / n)
    quiet = np.flatnonzero(sliding_window_view(small, n_quiet).all(axis=1))
    return min(2 * (int(quiet[0]) + 1), widest) if len(quiet) else widest
