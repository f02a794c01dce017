"""What the other instruments did at the same closes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dexml.domain import Bars
from dexml.features.price import realised_volatility
from dexml.features.rolling import log_returns, ratio

__all__ = ["CROSS_SECTION_COLUMNS", "compare", "cross_section"]

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]

_WINDOWS = (1, 6, 24)
_PAIRS = 2_000_000
CROSS_SECTION_COLUMNS = (
    *(f"market_return_{n}" for n in _WINDOWS),
    *(f"relative_return_{n}" for n in _WINDOWS),
    "return_rank_1",
    "return_rank_24",
    "return_dispersion_1",
    "relative_volatility_24",
)


def cross_section(bars: Mapping[str, Bars]) -> dict[str, dict[str, Floats]]:
    """Compare each instrument with all that closed a bar at the same instant.

    Parameters
    ----------
    bars : mapping of instrument to Bars

    Returns
    -------
    dict of instrument to dict of column to ndarray, shape (n_bars,)
        Columns `CROSS_SECTION_COLUMNS`: mean log return of the market, return relative to it in
        units of the market's dispersion, rank in 0..1, dispersion of log returns (population
        standard deviation), volatility over the mean of the market. Empty for fewer than two
        instruments.
    """
    if len(bars) < 2:
        return {}
    names = sorted(bars)
    times = np.unique(np.concatenate([bars[name].closed_at for name in names]))
    rows = {name: np.searchsorted(times, bars[name].closed_at) for name in names}
    moves = [
        _spread({name: log_returns(bars[name].close, n) for name in names}, rows, len(times))
        for n in _WINDOWS
    ]
    squared = {name: log_returns(bars[name].close) ** 2 for name in names}
    sigma = {name: realised_volatility(squared[name], 24) for name in names}
    columns = compare(moves, _spread(sigma, rows, len(times)))
    return {
        name: {c: np.ascontiguousarray(columns[c][k, rows[name]]) for c in CROSS_SECTION_COLUMNS}
        for k, name in enumerate(names)
    }


def compare(moves: Sequence[Floats], sigma: Floats) -> dict[str, Floats]:
    """Compare instruments with one another at each instant.

    Parameters
    ----------
    moves : sequence of ndarray, shape (n_instruments, n_times)
        Log returns over 1, 6 and 24 bars; NaN where an instrument closed no bar.
    sigma : ndarray, shape (n_instruments, n_times)
        Realised volatility of 24 bars.

    Returns
    -------
    dict of column to ndarray, shape (n_instruments, n_times)
    """
    columns = _relative_volatility(sigma)
    for n, move in zip(_WINDOWS, moves, strict=True):
        columns |= _compare(move, n)
    return columns


# One contiguous row for each instrument: sums over instruments then add row by row, in order.
def _spread(
    values: Mapping[str, Floats], rows: Mapping[str, NDArray[np.intp]], n_times: int
) -> Floats:
    out = np.full((len(values), n_times), np.nan)
    for k, name in enumerate(sorted(values)):
        out[k, rows[name]] = values[name]
    return out


# In the order of the instruments, so that one instant alone gives the bits that a series gives.
def _sum(values: Floats) -> Floats:
    known = np.where(np.isnan(values), 0.0, values)
    if values.shape[1] == 1:
        return np.asarray(np.add.accumulate(known, axis=0)[-1] + 0.0)
    total = np.zeros(values.shape[1])
    for row in known:
        total += row
    return total


def _compare(returns: Floats, n: int) -> dict[str, Floats]:
    known = _sum(np.where(np.isnan(returns), np.nan, 1.0))
    mean = ratio(_sum(returns), known)
    relative = returns - mean
    dispersion = np.sqrt(ratio(_sum(relative**2), known))
    columns = {
        f"market_return_{n}": np.broadcast_to(mean, returns.shape),
        f"relative_return_{n}": ratio(relative, np.broadcast_to(dispersion, returns.shape)),
    }
    if n in (1, 24):
        columns[f"return_rank_{n}"] = _ranks(returns, known)
    if n == 1:
        columns["return_dispersion_1"] = np.broadcast_to(dispersion, returns.shape)
    return columns


# Share of the others that did worse; a tie counts half; alone means the middle. Wins are counted
# in whole and half numbers, so their order does not matter; blocks keep the pairs in memory.
def _ranks(returns: Floats, known: Floats) -> Floats:
    n, n_times = returns.shape
    beaten = np.empty_like(returns)
    block = max(_PAIRS // (n * n), 1)
    for first in range(0, n_times, block):
        part = returns[:, first : first + block]
        worse = np.less(part[None, :], part[:, None]).sum(axis=1)
        same = np.equal(part[None, :], part[:, None]).sum(axis=1)
        beaten[:, first : first + block] = worse + 0.5 * same
    others = np.broadcast_to(known - 1.0, returns.shape)
    return np.where(np.isnan(returns), np.nan, ratio(beaten - 0.5, others, 0.5))


def _relative_volatility(sigma: Floats) -> dict[str, Floats]:
    known = _sum(np.where(np.isnan(sigma), np.nan, 1.0))
    mean = np.broadcast_to(ratio(_sum(sigma), known), sigma.shape)
    return {"relative_volatility_24": ratio(sigma, mean, otherwise=1.0)}
