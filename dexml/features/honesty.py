"""Whether indicators keep what they declare: their window, their past, the same bits live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import Bar, Bars, History
from dexml.features.forgeries import forge_all
from dexml.features.indicators import INDICATORS, compute_columns
from dexml.features.live import LivePanel
from dexml.features.panel import build_panel, warm_up
from dexml.features.sideways import sideways

__all__ = [
    "answer_nothing",
    "as_newest",
    "both_ways",
    "columns_of",
    "heard_live",
    "own_columns",
]

Floats = NDArray[np.float64]
Pair = tuple[pd.DataFrame, pd.DataFrame]

_LEVELS = ("closed_at", "instrument")
_CLOSES = 3


def columns_of(panel: pd.DataFrame, history: History) -> dict[str, pd.DataFrame]:
    """Return what `own_columns` would compute anew: the indicators' columns of a panel."""
    names = [name for one in INDICATORS.values() for name in one.columns]
    instruments = panel.index.get_level_values("instrument")
    return {name: panel.loc[instruments == name, names] for name in history.bars}


def own_columns(history: History) -> dict[str, pd.DataFrame]:
    """Compute every indicator of each instrument over all its bars, whatever its window.

    Returns
    -------
    dict of instrument to DataFrame
        Rows after the warm-up, index (closed_at, instrument).
    """
    found = {}
    for name, bars in history.bars.items():
        columns = compute_columns(bars, on_windows=False) if len(bars) else {}
        found[name] = _frame(bars, columns, warm_up(history.timeframe))
    return found


def both_ways(history: History, own: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, Pair]]:
    """Run every indicator that is not `shared` on its windows.

    Yields
    ------
    tuple of str and (DataFrame, DataFrame)
        An instrument and its rows as `own_columns` has them, and on windows. They differ only if an
        indicator reaches beyond its window: into the future, or farther back than declared.
    """
    users = [one for one in INDICATORS.values() if not one.shared]
    for name, bars in history.bars.items() if users else ():
        rows = range(len(bars) - len(own[name]), len(bars))
        if len(rows):
            parts = {c: v for one in users for c, v in one.on_windows(bars, rows).items()}
            yield name, (own[name][list(parts)], _frame(bars, parts, rows[0]))


def as_newest(history: History, own: Mapping[str, pd.DataFrame]) -> Iterator[Pair]:
    """Run every `shared` indicator on what each row's past alone holds, as a live panel does.

    Yields
    ------
    tuple of DataFrame
        The rows of one instrument as `own_columns` has them, and each as if it were the newest.
    """
    for name, bars in history.bars.items():
        n_rows = len(own[name])
        if n_rows:
            alone = sideways(bars, n_rows)
            yield own[name][list(alone)], pd.DataFrame(alone, index=own[name].index)


def answer_nothing(
    history: History, own: Mapping[str, pd.DataFrame], generator: np.random.Generator
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Find columns that are the same on another market: they remember, or look up, what they say.

    Two instruments are tried. What is the same for both only reads the clock, which is no fault; so
    of an instrument that is alone nothing can be told.

    Yields
    ------
    tuple of str and DataFrame
        An instrument and its columns that answer to nothing.
    """
    longest = sorted(history.bars, key=lambda name: -len(history.bars[name]))[:2]
    two = History(bars={name: history.bars[name] for name in longest})
    for name, elsewhere in own_columns(forge_all(two, generator)).items():
        shared = own[name].index.intersection(elsewhere.index)
        here, there = own[name].loc[shared], elsewhere.loc[shared]
        if len(shared):
            deaf = (here == there).all() & (here != here.iloc[0]).any() & ~_clocks(name, own)
            if deaf.any():
                yield name, here.loc[:, deaf]


def _clocks(name: str, own: Mapping[str, pd.DataFrame]) -> pd.Series[bool]:
    mine = own[name].droplevel("instrument")
    others = [frame.droplevel("instrument") for other, frame in own.items() if other != name]
    same = [
        (mine.loc[closes] == frame.loc[closes]).all()
        for frame in others
        if len(closes := mine.index.intersection(frame.index))
    ]
    return pd.concat(same, axis=1).any(axis=1) if same else pd.Series(True, index=mine.columns)


def _frame(bars: Bars, columns: Mapping[str, Floats], first: int) -> pd.DataFrame:
    stamps = pd.DatetimeIndex(bars.closed_at[first:], tz="UTC")
    index = pd.MultiIndex.from_product([stamps, [bars.instrument]], names=_LEVELS)
    return pd.DataFrame({name: values[first:] for name, values in columns.items()}, index=index)


def heard_live(history: History, over_all: pd.DataFrame) -> Pair:
    """Compute the last closes of a history in one batch and one close at a time.

    Parameters
    ----------
    over_all : DataFrame
        Its panel with users' indicators over everything: the batch, where there are none.

    Returns
    -------
    tuple of DataFrame
        Batch and live, of the same bits if every shared indicator keeps its window.
    """
    times = np.unique(np.concatenate([bars.closed_at for bars in history.bars.values()]))
    closes = times[-_CLOSES:]
    live = LivePanel(_before(history, closes[0]))
    rows = [_hear(live, history, at) for at in closes]
    shared = all(one.shared for one in INDICATORS.values())
    batch = over_all if shared else build_panel(history)
    stamps = batch.index.get_level_values("closed_at")
    return batch[stamps >= pd.Timestamp(closes[0], tz="UTC")], pd.concat(rows)


# Facts may be told in advance: each counts from its own `known_at`.
def _before(history: History, close: np.datetime64) -> History:
    past = history.until(close - np.timedelta64(1, "ns"))
    return History(
        bars=past.bars,
        news=history.news,
        macro=history.macro,
        venue_closes=past.venue_closes,
        refused=history.refused,
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
