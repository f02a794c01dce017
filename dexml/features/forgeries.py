"""Histories that differ from a given one only where a sound feature cannot see it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import REFUSED_COLUMNS, Bars, History
from dexml.features.macro import MACRO_PERIODS
from dexml.features.news import naming

__all__ = ["begin_later", "draw_anew", "forge_all", "forge_future", "stretch", "tail"]

Floats = NDArray[np.float64]


def tail(history: History, n_bars: int) -> History:
    """Return the last `n_bars` bar times of a history, with the facts known before them."""
    times = np.unique(np.concatenate([bars.closed_at for bars in history.bars.values()]))
    return _since(history, times[max(len(times) - n_bars, 0)]) if len(times) else history


def begin_later(history: History, n_bars: int) -> History:
    """Return a history that begins `n_bars` bar times later."""
    times = np.unique(np.concatenate([bars.closed_at for bars in history.bars.values()]))
    return _since(history, times[min(n_bars, len(times) - 1)])


def stretch(history: History, first: int, n_bars: int) -> History:
    """Return `n_bars` bar times of a history from the `first` on, with the facts known there."""
    times = np.unique(np.concatenate([bars.closed_at for bars in history.bars.values()]))
    last = times[min(first + n_bars, len(times)) - 1]
    return _since(history.until(last), times[first])


# A slow series keeps the releases that its z-score needs: they are older than the first bar.
def _since(history: History, first: np.datetime64) -> History:
    start = pd.Timestamp(first, tz="UTC")
    news, macro = history.news, history.macro
    if len(macro):
        old = macro["known_at"] <= start
        from_end = (
            macro[old].groupby("series", observed=True)["period_at"].rank("dense", ascending=False)
        )
        macro = macro[~old | (from_end.reindex(macro.index) <= MACRO_PERIODS + 1)]
    return History(
        bars={
            name: bars.take(slice(int(np.searchsorted(bars.closed_at, first)), None))
            for name, bars in history.bars.items()
        },
        news=news[_recent(news, start, history.bars)].reset_index(drop=True),
        macro=macro.reset_index(drop=True),
        venue_closes={name: one.loc[start:] for name, one in history.venue_closes.items()},
        refused=history.refused,
    )


# The last headline before the first bar stays: it says that there is news, though none is new.
def _recent(news: pd.DataFrame, start: pd.Timestamp, instruments: Iterable[str]) -> pd.Series[bool]:
    recent = news["known_at"] > start - pd.Timedelta(days=1)
    old = news[~recent]
    named = naming(old, instruments)
    last = [one["known_at"].idxmax() for one in (old, named) if len(one)]
    return recent | pd.Series(news.index.isin(last), index=news.index)


def forge_future(history: History, cut: np.datetime64, generator: np.random.Generator) -> History:
    """Return a history that is the same up to `cut` and quite different after it.

    Prices follow another path with ten times the moves, volumes are redrawn, headlines and macro
    values that were not yet known at `cut` say something else, exchanges close elsewhere or not,
    and bars are refused that nobody knew of.
    """
    aware = pd.Timestamp(cut, tz="UTC")
    return History(
        bars={name: _forge_bars(bars, cut, generator) for name, bars in history.bars.items()},
        news=_forge(history.news, "score", aware, generator),
        macro=_forge(history.macro, "value", aware, generator),
        venue_closes={
            name: _forge_venues(one, aware, generator) for name, one in history.venue_closes.items()
        },
        refused=_forge_refused(history, aware, generator),
    )


def forge_all(history: History, generator: np.random.Generator) -> History:
    """Return another market of the same instruments and times, with a tenth of its bars lost."""
    whole = forge_future(history, np.datetime64("1700-01-01", "ns"), generator)
    return replace(whole, bars={name: _thin(one, generator) for name, one in whole.bars.items()})


def draw_anew(bars: Bars, generator: np.random.Generator) -> Bars:
    """Return a calm market with the name, the stamps and the first price of a series, no more."""
    shape = (len(bars), 2)
    path = np.exp(np.cumsum(generator.normal(0.0, 1e-3, shape).ravel())).reshape(shape)
    opened, closed = (bars.open[0] * one for one in path.T)
    above, below = np.exp(np.abs(generator.normal(0.0, 5e-4, (2, len(bars)))))
    return Bars(
        instrument=bars.instrument,
        timeframe=bars.timeframe,
        closed_at=bars.closed_at,
        open=opened,
        high=np.maximum(opened, closed) * above,
        low=np.minimum(opened, closed) / below,
        close=closed,
        volume=np.exp(generator.normal(3.0, 0.7, len(bars))),
    )


def _thin(bars: Bars, generator: np.random.Generator) -> Bars:
    kept = generator.random(len(bars)) > 0.1
    return Bars.from_frame(bars.instrument, bars.timeframe, bars.frame()[kept])


def _forge_venues(
    closes: pd.DataFrame, cut: pd.Timestamp, generator: np.random.Generator
) -> pd.DataFrame:
    future = (closes.index > cut)[:, None]
    factor = generator.uniform(0.9, 1.1, closes.shape)
    factor[generator.random(closes.shape) < 0.2] = np.nan
    return closes * np.where(future, factor, 1.0)


# Bars before and after the cut are refused, but nobody knows before it.
def _forge_refused(
    history: History, cut: pd.Timestamp, generator: np.random.Generator
) -> pd.DataFrame:
    known = history.refused[history.refused["known_at"] <= cut]
    forged = [known] if len(known) else []
    for name, bars in history.bars.items():
        closed_at = pd.DatetimeIndex(bars.closed_at, tz="UTC")[generator.random(len(bars)) < 0.1]
        known_at = closed_at.where(closed_at > cut, cut + pd.Timedelta(1, "ns"))
        facts = {"instrument": name, "exchange": "forged", "reason": "forged"}
        forged.append(pd.DataFrame({"closed_at": closed_at, "known_at": known_at, **facts}))
    return pd.concat(forged, ignore_index=True)[list(REFUSED_COLUMNS)]


# Open and close go ways of their own, so that the shape of a bar tells nothing of the true one.
def _forge_bars(bars: Bars, cut: np.datetime64, generator: np.random.Generator) -> Bars:
    first = int(np.searchsorted(bars.closed_at, cut, side="right"))
    n = len(bars) - first
    path = np.exp(np.cumsum(generator.normal(0.0, 0.05, (n, 2)).ravel())).reshape(n, 2)
    opened, closed = (np.concatenate([np.ones(first), one]) for one in path.T)
    size = np.concatenate([np.ones(first), generator.uniform(0.1, 10.0, n)])
    return Bars(
        instrument=bars.instrument,
        timeframe=bars.timeframe,
        closed_at=bars.closed_at,
        open=bars.open * opened,
        high=bars.high * np.maximum(opened, closed),
        low=bars.low * np.minimum(opened, closed),
        close=bars.close * closed,
        volume=bars.volume * size,
    )


def _forge(
    frame: pd.DataFrame, column: str, cut: pd.Timestamp, generator: np.random.Generator
) -> pd.DataFrame:
    unknown = (frame["known_at"] > cut).to_numpy()
    if not unknown.any():
        return frame
    values = frame[column].to_numpy(dtype=np.float64).copy()
    values[unknown] = -values[unknown] + generator.normal(0.0, 0.3, int(unknown.sum()))
    return frame.assign(**{column: values})
