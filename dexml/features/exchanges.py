"""What the exchanges of one instrument say about one another: spread, lead and lag, agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import Bars
from dexml.features.rolling import lag, log_ratio, log_returns, now, rolling_sum

__all__ = ["EXCHANGE_COLUMNS", "EXCHANGE_ROWS", "cross_exchange", "exchange_features", "several"]

Floats = NDArray[np.float64]

EXCHANGE_COLUMNS = (
    "venue_count",
    "venue_spread",
    "venue_deviation",
    "venue_agreement",
    "venue_reversion_24",
    "venue_lead_24",
    "venue_pull_24",
)
_WINDOW = 24
EXCHANGE_ROWS = _WINDOW + 1
# Deviations under a tenth of a basis point are rounding of prices: they must not look like a lead.
_FLOOR = _WINDOW * 1e-5**2


def several(closes: Mapping[str, pd.DataFrame]) -> bool:
    """Tell whether any instrument is quoted by more than one exchange."""
    return any(frame.shape[1] > 1 for frame in closes.values())


def cross_exchange(
    bars: Mapping[str, Bars], closes: Mapping[str, pd.DataFrame]
) -> dict[str, dict[str, Floats]]:
    """Compare the exchanges of each instrument at each of its closes.

    Parameters
    ----------
    bars : mapping of instrument to Bars
    closes : mapping of instrument to DataFrame
        `History.venue_closes`.

    Returns
    -------
    dict of instrument to dict of column to ndarray, shape (n_bars,)
        Columns `EXCHANGE_COLUMNS`. Empty if no instrument has several exchanges. No NaN after 26
        bars: where exchanges cannot be compared `venue_count` says so and the rest is neutral.
    """
    if not several(closes):
        return {}
    return {name: _of_one(one, closes.get(name)) for name, one in bars.items()}


def _of_one(bars: Bars, closes: pd.DataFrame | None) -> dict[str, Floats]:
    stamps = pd.DatetimeIndex(bars.closed_at, tz="UTC")
    nothing = [np.full(len(bars), np.nan)]
    if closes is None or not closes.shape[1]:
        return exchange_features(nothing, bars.close)
    table = closes[sorted(closes.columns)].reindex(stamps).to_numpy(dtype=np.float64)
    return exchange_features(list(np.ascontiguousarray(table.T)), bars.close)


def exchange_features(closes: Sequence[Floats], own: Floats) -> dict[str, Floats]:
    r"""Compare the closes of exchanges.

    Parameters
    ----------
    closes : sequence of ndarray
        One for each exchange, in the order of their names, of the shape of `own`; NaN where an
        exchange had no bar.
    own : ndarray, shape (n_bars,) or (n_rows, n_instruments)
        The consolidated close. Live rows: at least `EXCHANGE_ROWS` and one.

    Returns
    -------
    dict of column to ndarray
        `count` of exchanges; `spread`, the root mean square of deviations from their median;
        `deviation` of the consolidated close from it; `agreement`, the share of exchanges whose
        last return has the sign of the median return (0.5 where none has one); over 24 bars
        `reversion`, the share of a deviation that the next bar undid, `lead`, how much more one
        exchange announces the next return than another, and `pull`, the return that the present
        deviations announce if exchanges lead as they did.

    Notes
    -----
    With :math:`d_v` the log deviation of exchange v and r the log return of the consolidated close,
    exchange v leads by :math:`\lambda_v = cov(d_{v,t-1}, r_t) / var(d_{v,t-1})` over 24 bars, and
    pull is the mean of :math:`\lambda_v (d_{v,t} - \bar d_v)`. Basis between quote currencies is
    in the mean, so it pulls nowhere.
    """
    stack = np.stack(closes)
    middle = _median(stack)
    deviations = [log_ratio(close, middle) for close in stack]
    current = [now(one) for one in deviations]
    count = now(np.asarray((~np.isnan(stack)).sum(axis=0), dtype=np.float64))
    some = np.maximum(count, 1.0)
    returns = np.stack([log_returns(close) for close in stack])
    coupled = [_coupling(one, own) for one in deviations]
    columns = {
        "venue_count": count,
        "venue_spread": np.sqrt(_total([one**2 for one in current]) / some),
        "venue_deviation": log_ratio(now(own), now(middle)),
        "venue_agreement": _agreement(returns),
        "venue_reversion_24": -_total([c[1] for c in coupled])
        / (_total([c[2] for c in coupled]) + _FLOOR),
    }
    leads = [cov / (variance + _FLOOR) for cov, _, variance, _ in coupled]
    pulls = [
        lead * (at - mean) for lead, at, (*_, mean) in zip(leads, current, coupled, strict=True)
    ]
    columns["venue_lead_24"] = np.fmax.reduce(leads) - np.fmin.reduce(leads)
    columns["venue_pull_24"] = _total(pulls) / some
    return {name: np.where(np.isnan(columns[name]), 0.0, columns[name]) for name in columns}


# Missing exchanges sort last as NaN, so the middle is found by their number.
def _median(stack: Floats) -> Floats:
    ordered = np.sort(stack, axis=0)
    count = (~np.isnan(stack)).sum(axis=0)[None]
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=0)[0]
    high = np.take_along_axis(ordered, np.minimum(count // 2, len(stack) - 1), axis=0)[0]
    return np.asarray((low + high) / 2.0)


def _total(parts: Sequence[Floats]) -> Floats:
    total = np.zeros(parts[0].shape)
    for part in parts:
        total = total + np.where(np.isnan(part), 0.0, part)
    return total


def _agreement(returns: Floats) -> Floats:
    side = np.sign(_median(returns))
    told = [np.where(np.isnan(one), 0.0, 1.0) for one in returns]
    same = [np.where(np.sign(one) == side, 1.0, 0.0) for one in returns]
    n = _total(told)
    return np.where(n > 0, _total(same) / np.maximum(n, 1.0), 0.5)


# How an exchange's last deviation goes with the return, and with its own change, over the window:
# two covariances, the variance of the deviation and its mean; NaN where it was never seen.
def _coupling(deviation: Floats, own: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    before = lag(deviation, 1)
    present, close = (_newest(values, len(before)) for values in (deviation, own))
    moved, changed = log_ratio(close, lag(own, 1)), present - before
    known = ~(np.isnan(moved) | np.isnan(changed))
    x, r, z = (np.where(known, values, 0.0) for values in (before, moved, changed))
    counted = rolling_sum(np.where(known, 1.0, 0.0), _WINDOW)
    n = np.where(counted > 0, counted, np.nan)
    sum_x, sum_r, sum_z = (rolling_sum(values, _WINDOW) for values in (x, r, z))
    cov_r = rolling_sum(x * r, _WINDOW) - sum_x * sum_r / n
    cov_z = rolling_sum(x * z, _WINDOW) - sum_x * sum_z / n
    variance = rolling_sum(x * x, _WINDOW) - sum_x * sum_x / n
    return cov_r, cov_z, np.maximum(variance, 0.0), sum_x / n


def _newest(values: Floats, n: int) -> Floats:
    return values if values.ndim == 1 else values[-n:]
