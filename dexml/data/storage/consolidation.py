"""One series of bars for an instrument that trades on several exchanges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import PRICE_COLUMNS, Bars
from dexml.errors import DataError

__all__ = [
    "BASIS_LIMIT",
    "BASIS_WINDOW",
    "STANDS_FOR",
    "agreed",
    "basis_of",
    "by_quote",
    "closes_by_venue",
    "consolidate",
]

Floats = NDArray[np.float64]

BASIS_WINDOW = 24  # closes over which the price of one quote currency in another is measured
BASIS_LIMIT = 0.05  # beyond it two quote currencies no longer stand for the same money
STANDS_FOR = {"USDT": ("USD",), "USD": ("USDT",)}  # nearest first
_UNITS = 2.0**40  # weights become integers, so that sums are exact in any order


def consolidate(parts: Mapping[str, Bars], quotes: Mapping[str, str] | None = None) -> Bars:
    """Return the bars that the exchanges agree on.

    Parameters
    ----------
    parts : mapping of exchange to Bars
        Of one instrument and timeframe, each in the exchange's own quote currency.
    quotes : mapping of exchange to str, optional
        Quote currency of the exchanges whose bars are not in the instrument's own, as
        ``{"kraken": "USD"}`` for BTC/USDT. Each such currency is converted by its basis, see
        `basis_of`; a close where the basis is beyond `BASIS_LIMIT` is left to the others.

    Returns
    -------
    Bars
        A bar for every instant at which any exchange has one.

    Raises
    ------
    DataError
        If there is no exchange, two are of different instruments or timeframes, or they quote
        several currencies and none the instrument's own.

    Notes
    -----
    Open, high, low and close are each the median over the exchanges, weighted by volume. The
    median is monotone, so low <= open, close <= high holds again. Of two exchanges the one that
    traded more decides; from three that traded on, a weight counts at most as much as the second
    largest, so that no single exchange can move a price out of the range of the others. Where
    exactly half the weight lies on either side it is the mean of the two prices. Without any
    volume all weigh the same.

    Volume (base currency) is the volume-weighted median of the volumes and not their sum: an
    exchange that drops out must not look like a market that went quiet. One exchange alone, and
    exchanges that agree, pass bit for bit. A bar depends on nothing that closed after it.

    Examples
    --------
    >>> from dexml.domain import Timeframe
    >>> def one(price, volume):
    ...     prices = dict.fromkeys(("open", "high", "low", "close"), [price])
    ...     index = pd.DatetimeIndex(["2024-01-01 01:00"], tz="UTC")
    ...     frame = pd.DataFrame({**prices, "volume": [volume]}, index=index)
    ...     return Bars.from_frame("BTC/USDT", Timeframe.H1, frame)
    >>> consolidate({"a": one(10.0, 5.0), "b": one(11.0, 3.0), "c": one(990.0, 80.0)}).close
    array([11.])
    """
    first = _common(parts)
    if len(parts) == 1:
        return first
    stamps = _stamps(parts)
    table = np.stack([_placed(bars, stamps) for bars in parts.values()], axis=1)
    foreign = by_quote(parts, quotes or {}, first.instrument.split("/")[1])
    return Bars(
        instrument=first.instrument,
        timeframe=first.timeframe,
        closed_at=stamps,
        **dict(zip(PRICE_COLUMNS, agreed(table, foreign), strict=True)),
    )


def agreed(table: Floats, foreign: Mapping[str, NDArray[np.bool_]]) -> Floats:
    """Return what exchanges agree on, see `consolidate`.

    Parameters
    ----------
    table : ndarray, shape (5, n_exchanges, ..., n_bars)
        `PRICE_COLUMNS` at each, NaN where it has no bar; of one instrument or of many side by side.
    foreign : mapping of quote currency to ndarray of bool, shape (n_exchanges,)
        Which exchanges quote another currency.

    Returns
    -------
    ndarray, shape (5, ..., n_bars)
    """
    table = table if not foreign else _converted(table, foreign)
    volumes, prices = table[-1], table[:4]
    weights = _capped(_shares(volumes))
    columns = [_weighted_median(prices[place], weights) for place in range(len(prices))]
    return np.stack([*columns, _weighted_median(volumes, _shares(volumes))])


def closes_by_venue(parts: Mapping[str, Bars]) -> pd.DataFrame:
    """Return the close at each exchange in its own quote currency, NaN where it has no bar.

    Returns
    -------
    DataFrame, shape (n_stamps, n_exchanges)
        Index `closed_at` (UTC, ascending); float64 columns in the order of `parts`.
    """
    stamps = _stamps(parts)
    index = pd.DatetimeIndex(stamps, tz="UTC", name="closed_at")
    columns = {name: _placed(bars, stamps)[3] for name, bars in parts.items()}
    return pd.DataFrame(columns, index=index)


def basis_of(own: Floats, foreign: Floats) -> Floats:
    """Return the price of one unit of the foreign quote currency in the instrument's own.

    Parameters
    ----------
    own, foreign : ndarray, shape (n_bars,) or (n_instruments, n_bars)
        Consolidated closes of the exchanges of either currency; NaN where there is none.

    Returns
    -------
    ndarray of that shape
        Median ratio over the last `BASIS_WINDOW` closes, the present one included; where they
        share none, the last known one, and 1 (par) before the first.

    Examples
    --------
    >>> basis_of(np.array([np.nan, 99.0, np.nan]), np.array([50.0, 100.0, 101.0]))
    array([1.  , 0.99, 0.99])
    """
    ratio = own / foreign
    columns = pd.DataFrame(np.atleast_2d(ratio).T)
    measured = columns.rolling(BASIS_WINDOW, min_periods=1).median().ffill()
    known: Floats = measured.fillna(1.0).to_numpy().T.reshape(ratio.shape)
    return known


def _common(parts: Mapping[str, Bars]) -> Bars:
    kinds = sorted({f"{bars.instrument} {bars.timeframe}" for bars in parts.values()})
    if len(kinds) != 1:
        raise DataError(
            "consolidation",
            "needs bars of one instrument and timeframe",
            ", ".join(kinds) or "none",
            "Give the bars of one instrument by exchange.",
        )
    return next(iter(parts.values()))


def _stamps(parts: Mapping[str, Bars]) -> NDArray[np.datetime64]:
    return np.unique(np.concatenate([bars.closed_at for bars in parts.values()]))


def _placed(bars: Bars, stamps: NDArray[np.datetime64]) -> Floats:
    # shape (5, n_bars)
    columns = np.full((len(PRICE_COLUMNS), len(stamps)), np.nan)
    places = np.searchsorted(stamps, bars.closed_at)
    for row, name in enumerate(PRICE_COLUMNS):
        columns[row, places] = getattr(bars, name)
    return columns


def by_quote(
    parts: Iterable[str], quotes: Mapping[str, str], own: str
) -> dict[str, NDArray[np.bool_]]:
    """Return which of some exchanges quote each currency that is not the instrument's own."""
    named = np.array([quotes.get(venue, own) for venue in parts])
    found = {str(quote): named == quote for quote in sorted(set(named.tolist()) - {own})}
    if (named == own).any():
        return found
    if len(found) > 1:
        raise DataError(
            "consolidation",
            f"needs an exchange that quotes {own}, or one quote currency",
            ", ".join(found),
            "Leave out the exchanges of all but one of them.",
        )
    return {}  # nothing to measure against: what is left is at par


def _converted(table: Floats, foreign: Mapping[str, NDArray[np.bool_]]) -> Floats:
    converted = table.copy()
    native = ~np.logical_or.reduce(list(foreign.values()))
    own = _close_of(table[:, native])
    for among in foreign.values():
        basis = basis_of(own, _close_of(table[:, among]))
        converted[:4, among] = table[:4, among] * basis
        apart = np.abs(basis - 1) > BASIS_LIMIT
        converted[:, np.multiply.outer(among, apart)] = np.nan
    return _never_empty(converted, table)


def _never_empty(converted: Floats, table: Floats) -> Floats:
    # a doubtful price is better than a hole: quality tells of it, features need the bar
    empty = np.isnan(converted[3]).all(axis=0)
    converted[:, :, empty] = table[:, :, empty]
    return converted


def _close_of(table: Floats) -> Floats:
    return _weighted_median(table[3], _capped(_shares(table[-1])))


def _shares(volumes: Floats) -> NDArray[np.int64]:
    """Integer weights, shape as `volumes`: 0 where there is no bar."""
    there = ~np.isnan(volumes)
    traded = np.where(there, volumes, 0.0)
    largest = traded.max(axis=0)
    idle = largest <= 0
    scaled = np.where(idle, there, traded / np.where(idle, 1.0, largest))
    shares: NDArray[np.int64] = np.rint(scaled * _UNITS).astype(np.int64)
    return shares


def _capped(weights: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(weights) < 3:
        return weights
    second = np.sort(weights, axis=0)[-2]
    three = (weights > 0).sum(axis=0) >= 3
    return np.where(three, np.minimum(weights, second), weights)


def _weighted_median(values: Floats, weights: NDArray[np.int64]) -> Floats:
    """Median over axis 0; NaN where no weight is."""
    order = np.argsort(values, axis=0, kind="stable")  # NaN comes last
    ranked = np.take_along_axis(values, order, axis=0)
    below = np.cumsum(np.take_along_axis(weights, order, axis=0), axis=0)
    whole = below[-1]
    lower = np.take_along_axis(ranked, np.argmax(2 * below >= whole, axis=0)[None], axis=0)[0]
    upper = np.take_along_axis(ranked, np.argmax(2 * below > whole, axis=0)[None], axis=0)[0]
    middle = np.where(lower == upper, lower, 0.5 * lower + 0.5 * upper)
    median: Floats = np.where(whole > 0, middle, np.nan)
    return median
