"""Whether indicators keep what they declare: their window, and the same bits live as in batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import Bar, Bars, History
from dexml.features.indicators import INDICATORS, Indicator
from dexml.features.live import LivePanel
from dexml.features.panel import build_panel, warm_up

__all__ = ["both_ways", "heard_live"]

Floats = NDArray[np.float64]

_ROWS = 48
_CLOSES = 3


def both_ways(history: History) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Run every indicator that is not `shared` over everything and on its windows.

    Yields
    ------
    tuple of DataFrame
        The last rows of one instrument both ways, index (closed_at, instrument). They differ only
        if an indicator reaches beyond its window: into the future, or farther back than declared.
    """
    own = [one for one in INDICATORS.values() if not one.shared]
    skip = warm_up(history.timeframe)
    for bars in history.bars.values() if own else ():
        rows = range(max(skip, len(bars) - _ROWS), len(bars))
        if len(rows):
            whole = {c: v[rows[0] :] for one in own for c, v in _over(one, bars).items()}
            parts = {c: v[rows[0] :] for one in own for c, v in one.on_windows(bars, rows).items()}
            yield _frame(bars, rows, whole), _frame(bars, rows, parts)


def _over(one: Indicator, bars: Bars) -> dict[str, Floats]:
    found = one.over(bars, {})
    return {name: np.asarray(found[name], dtype=np.float64) for name in one.columns}


def _frame(bars: Bars, rows: range, columns: dict[str, Floats]) -> pd.DataFrame:
    stamps = pd.DatetimeIndex(bars.closed_at[rows[0] :], tz="UTC")
    names = ("closed_at", "instrument")
    index = pd.MultiIndex.from_product([stamps, [bars.instrument]], names=names)
    return pd.DataFrame(columns, index=index)


def heard_live(history: History) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute the last closes of a history in one batch and one close at a time.

    Returns
    -------
    tuple of DataFrame
        Batch and live, of the same bits if every shared indicator keeps its window.
    """
    times = np.unique(np.concatenate([bars.closed_at for bars in history.bars.values()]))
    closes = times[-_CLOSES:]
    live = LivePanel(_before(history, closes[0]))
    rows = [_hear(live, history, at) for at in closes]
    batch = build_panel(history)
    stamps = batch.index.get_level_values("closed_at")
    return batch[stamps >= pd.Timestamp(closes[0], tz="UTC")], pd.concat(rows)


# Facts may be told in advance: each counts from its own `known_at`.
def _before(history: History, close: np.datetime64) -> History:
    past = history.until(close - np.timedelta64(1, "ns"))
    return History(
        bars=past.bars, news=history.news, macro=history.macro, venue_closes=past.venue_closes
    )


def _hear(live: LivePanel, history: History, at: np.datetime64) -> pd.DataFrame:
    stamp = pd.Timestamp(at, tz="UTC")
    told = {
        name: {str(k): v for k, v in frame.loc[stamp].dropna().to_dict().items()}
        for name, frame in history.venue_closes.items()
        if stamp in frame.index
    }
    newest = (_closed(bars, at) for bars in history.bars.values())
    return live.append([bar for bar in newest if bar is not None], venue_closes=told)


def _closed(bars: Bars, at: np.datetime64) -> Bar | None:
    row = int(np.searchsorted(bars.closed_at, at))
    return bars.bar(row) if row < len(bars) and bars.closed_at[row] == at else None
