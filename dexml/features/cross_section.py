"""What the other instruments did at the same closes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dexml.domain import Bars
from dexml.features.price import realised_volatility
from dexml.features.rolling import log_returns, ratio

__all__ = ["CROSS_SECTION_COLUMNS", "cross_section"]

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]

_WINDOWS = (1, 6, 24)
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
        units of the market's dispersion, rank in 0..1, dispersion in units of own volatility, log
        volatility relative to the market. Empty for fewer than two instruments.
    """
    if len(bars) < 2:
        return {}
    names = sorted(bars)
    times = np.unique(np.concatenate([bars[name].closed_at for name in names]))
    rows = {name: np.searchsorted(times, bars[name].closed_at) for name in names}
    table: dict[str, dict[str, Floats]] = {name: {} for name in names}
    for n in _WINDOWS:
        returns = {name: log_returns(bars[name].close, n) for name in names}
        _add(table, rows, _compare(_spread(returns, rows, len(times)), n))
    sigma = {name: realised_volatility(bars[name], 24) for name in names}
    _add(table, rows, _relative_volatility(_spread(sigma, rows, len(times))))
    return {name: {c: table[name][c] for c in CROSS_SECTION_COLUMNS} for name in names}


# One contiguous row for each instrument: sums over instruments then add row by row, in order.
def _spread(
    values: Mapping[str, Floats], rows: Mapping[str, NDArray[np.intp]], n_times: int
) -> Floats:
    out = np.full((len(values), n_times), np.nan)
    for k, name in enumerate(sorted(values)):
        out[k, rows[name]] = values[name]
    return out


def _add(
    table: dict[str, dict[str, Floats]],
    rows: Mapping[str, NDArray[np.intp]],
    columns: Mapping[str, Floats],
) -> None:
    for k, name in enumerate(sorted(table)):
        for column, values in columns.items():
            table[name][column] = np.ascontiguousarray(values[k, rows[name]])


def _sum(values: Floats) -> Floats:
    total = np.zeros(values.shape[1])
    for row in values:
        total += np.where(np.isnan(row), 0.0, row)
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


# Share of the others that did worse; a tie counts half; alone means the middle.
def _ranks(returns: Floats, known: Floats) -> Floats:
    ranks = np.empty_like(returns)
    for k, own in enumerate(returns):
        beaten = _sum(np.where(returns < own, 1.0, np.where(returns == own, 0.5, 0.0)))
        ranks[k] = np.where(np.isnan(own), np.nan, ratio(beaten - 0.5, known - 1.0, 0.5))
    return ranks


def _relative_volatility(sigma: Floats) -> dict[str, Floats]:
    known = _sum(np.where(np.isnan(sigma), np.nan, 1.0))
    mean = np.broadcast_to(ratio(_sum(sigma), known), sigma.shape)
    return {"relative_volatility_24": ratio(sigma, mean, otherwise=1.0)}
