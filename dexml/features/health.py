"""How far the data of an instrument could be trusted at each close, for models to see."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import Bars, History

__all__ = [
    "DISAGREEMENT",
    "HEALTH_COLUMN",
    "HEALTH_WINDOW",
    "apart",
    "data_health",
    "doubts",
    "refused_at",
]

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]

HEALTH_COLUMN = "data_health"
HEALTH_WINDOW = 24  # closes that the score looks back
DISAGREEMENT = 0.05  # closes of two exchanges further apart are not of one market
_NEVER = np.datetime64(2**63 - 1, "ns")


def data_health(history: History) -> dict[str, dict[str, Floats]]:
    """Score the data of each instrument at each of its closes.

    Returns
    -------
    dict of instrument to dict of column to ndarray, shape (n_bars,)
        `HEALTH_COLUMN`: the share of the last `HEALTH_WINDOW` closes that have a bar, on which the
        exchanges agree within `DISAGREEMENT`, and of which no exchange was known to have sent a bar
        that was refused; in [0, 1] and never NaN. Fewer count before there were so many closes.

    Notes
    -----
    What was refused counts from when it was seen, and goes on counting though the true bar came
    later: a row says what was known at its close.

    Examples
    --------
    >>> from dexml.simulation.market import MarketConfig, plant
    >>> history = plant(MarketConfig(n_bars=100)).history
    >>> data_health(history)["BTC/USDT"]["data_health"][[0, 23, 99]]
    array([0.04166667, 1.        , 1.        ])
    """
    return {name: {HEALTH_COLUMN: _scores(bars, history)} for name, bars in history.bars.items()}


def refused_at(
    refused: pd.DataFrame, instrument: str
) -> dict[np.datetime64, tuple[np.datetime64, str]]:
    """Return the closes of an instrument of which an exchange sent a bar that was refused.

    Parameters
    ----------
    refused : DataFrame
        As `History.refused`.

    Returns
    -------
    dict of close to (instant, str)
        When it was first known, and the reason.
    """
    if refused.empty:  # the usual case, asked at every close
        return {}
    rows = refused[refused["instrument"] == instrument].sort_values("known_at", ascending=False)
    closed_at, known_at = (
        _stamps(pd.DatetimeIndex(rows[name])) for name in ("closed_at", "known_at")
    )
    return dict(zip(closed_at, zip(known_at, rows["reason"], strict=True), strict=True))


def doubts(history: History, instrument: str) -> dict[np.datetime64, np.datetime64]:
    """Return the closes of an instrument that were refused or disputed, and from when."""
    refused = refused_at(history.refused, instrument)
    found = {closed_at: known_at for closed_at, (known_at, _) in refused.items()}
    closes = history.venue_closes.get(instrument)
    if closes is not None and closes.shape[1] > 1:
        table = closes.to_numpy(dtype=np.float64)
        disputed = apart(np.fmin.reduce(table, axis=1), np.fmax.reduce(table, axis=1))
        stamps = _stamps(pd.DatetimeIndex(closes.index[disputed]))
        found |= dict(zip(stamps, stamps, strict=True))
    return found


def apart(lowest: Floats, highest: Floats) -> NDArray[np.bool_]:
    """Tell where exchanges disagree; not where none has a close."""
    return np.asarray(highest / lowest - 1 > DISAGREEMENT)


def _scores(bars: Bars, history: History) -> Floats:
    closed_at, window = bars.closed_at, HEALTH_WINDOW * bars.timeframe.step
    n_bars = np.arange(1, len(bars) + 1) - np.searchsorted(
        closed_at, closed_at - np.timedelta64(window), side="right"
    )
    doubted_at = _doubted_at(bars, history)
    rows = np.flatnonzero(doubted_at < _NEVER)
    change = np.zeros(len(bars) + 1, dtype=np.int64)
    since = np.maximum(closed_at[rows], doubted_at[rows])
    until = closed_at[rows] + np.timedelta64(window)
    np.add.at(change, np.searchsorted(closed_at, since), 1)
    # known too late to count, it is taken off where it was put on
    np.add.at(change, np.searchsorted(closed_at, np.maximum(since, until)), -1)
    scores: Floats = (n_bars - np.cumsum(change[:-1])) / HEALTH_WINDOW
    return scores


def _doubted_at(bars: Bars, history: History) -> Times:
    doubted_at = np.full(len(bars), _NEVER)
    for closed_at, known_at in doubts(history, bars.instrument).items():
        row = int(np.searchsorted(bars.closed_at, closed_at))
        if row < len(bars) and bars.closed_at[row] == closed_at:
            doubted_at[row] = known_at
    return doubted_at


def _stamps(instants: pd.DatetimeIndex) -> Times:
    stamps: Times = instants.as_unit("ns").asi8.view("M8[ns]")
    return stamps
