"""News, social and macro columns of the panel one close at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import History
from dexml.features.context import (
    market_news,
    named_news,
    own_news,
    price_state,
    series_columns,
    series_in_state,
)
from dexml.features.live_macro import LiveMacro
from dexml.features.live_news import LiveNews

__all__ = ["LiveContext"]

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]
Mask = NDArray[np.bool_]


class LiveContext:
    """Everything that is known besides bars, joined to each close by when it was known."""

    def __init__(self, history: History, names: Sequence[str], last: np.datetime64 | None) -> None:
        stamp = pd.Timestamp(np.datetime64(0, "ns") if last is None else last, tz="UTC")
        self._step_ns = history.timeframe.seconds * 10**9
        self._n = len(names)
        self._news = LiveNews(history.news, names, history.timeframe, stamp)
        self._macro = LiveMacro(history.macro)

    def hear(self, news: pd.DataFrame | None, macro: pd.DataFrame | None) -> None:
        """Take in headlines and releases."""
        if news is not None:
            self._news.add(news)
        if macro is not None:
            self._macro.add(macro)

    def read(
        self,
        closed_at: np.datetime64,
        present: Mask,
        first: Times,
        price: Mapping[str, Floats],
    ) -> dict[str, Floats]:
        """Return the columns of a close, each of shape (n_instruments,) or (1,).

        Parameters
        ----------
        closed_at : datetime64
        present : ndarray of bool, shape (n_instruments,)
        first : ndarray of datetime64, shape (n_instruments,)
            The first bar of each instrument.
        price : mapping of column to ndarray
            As `context_columns` needs them.
        """
        stamp_ns = int(closed_at.astype("datetime64[ns]").astype(np.int64))
        state = price_state(price)
        own, market, named = self._headlines(stamp_ns, present, first)
        columns = own_news(own, state) if own else {}
        shared = market_news(market) if market else {}
        shared |= named_news(named) if named else {}
        joined = self._macro.read(stamp_ns)
        shared |= series_columns(joined) if joined else {}
        return columns | shared | series_in_state(shared, state)

    # The grid of decay starts with an instrument's first close; nearly always all share one.
    def _headlines(
        self, stamp_ns: int, present: Mask, first: Times
    ) -> tuple[dict[str, Floats], dict[str, Floats], dict[str, Floats]]:
        begun, naming = self._news.begun(stamp_ns)
        own: dict[str, Floats] = {}
        market: dict[str, Floats] = {}
        named: dict[str, Floats] = {}
        phases = first.astype("datetime64[ns]").astype(np.int64) % self._step_ns
        for phase in np.unique(phases[present]) if begun else ():
            grid = np.full(self._n + 2, phase, dtype=np.int64)
            for name, values in self._news.read(stamp_ns, grid).items():
                same = phases == phase
                parts = ((market, values[:1]), (own, values[1:-1]), (named, values[-1:]))
                for kept, found in parts:
                    before = kept.get(name, np.full(self._n, np.nan))
                    kept[name] = np.where(same, found, before)
        return (own, market, named) if naming else ({}, market, {})
