"""Closes of several exchanges one bar at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import History
from dexml.features.exchanges import EXCHANGE_ROWS, exchange_features
from dexml.features.health import apart
from dexml.features.tape import Tape

__all__ = ["LiveVenues"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_ROWS = EXCHANGE_ROWS + 1


class LiveVenues:
    """The last closes of each instrument's exchanges, in the order of their names."""

    def __init__(self, history: History, names: Sequence[str]) -> None:
        self._names = tuple(names)
        closes = history.venue_closes
        self._exchanges = [
            sorted(closes[name].columns) if name in closes else [] for name in self._names
        ]
        self._tape = self._blank()
        for column, name in enumerate(self._names):
            if name in closes:
                self._load(column, closes[name], history)

    def reload(self, column: int, history: History) -> None:
        """Read an instrument's closes again; its exchanges are those that were known."""
        name = self._names[column]
        self._tape.clear(column)
        if name in history.venue_closes:
            self._load(column, history.venue_closes[name], history)

    def append(
        self,
        closed_at: np.datetime64,
        present: Mask,
        closes: Mapping[str, Mapping[str, float]],
        own: Floats,
    ) -> dict[str, Floats]:
        """Hear the closes of the exchanges; return each column, shape (n_instruments,).

        Nothing is returned as long as no instrument has several exchanges.
        """
        self._meet(closes)
        if not any(self._exchanges):
            return {}
        n_slots = self._n_slots
        table = [
            [told.get(exchange, np.nan) for exchange in known] + [np.nan] * (n_slots - len(known))
            for known, told in zip(self._exchanges, self._told(closes), strict=True)
        ]
        row = {str(k): values for k, values in enumerate(np.array(table, dtype=np.float64).T)}
        self._tape.push(present, closed_at, row)
        if n_slots < 2:
            return {}
        rows = [self._tape[str(k)] for k in range(n_slots)]
        found = exchange_features(rows, own[-_ROWS:])
        return {name: values[-1] for name, values in found.items()}

    def disputed(self, closes: Mapping[str, Mapping[str, float]]) -> Mask:
        """Tell of which instruments the exchanges disagree at the close that was heard last."""
        if self._n_slots < 2:
            return np.zeros(len(self._names), dtype=np.bool_)
        told = np.array([self._tape[str(k)][-1] for k in range(self._n_slots)])
        named = np.array([bool(one) for one in self._told(closes)])
        return named & apart(np.fmin.reduce(told), np.fmax.reduce(told))

    def _told(self, closes: Mapping[str, Mapping[str, float]]) -> Iterator[Mapping[str, float]]:
        return (closes.get(name, {}) for name in self._names)

    @property
    def _n_slots(self) -> int:
        return max([1, *(len(known) for known in self._exchanges)])

    def _blank(self) -> Tape:
        fields = [str(k) for k in range(self._n_slots)]
        return Tape(fields, len(self._names), _ROWS)

    def _load(self, column: int, closes: pd.DataFrame, history: History) -> None:
        stamps = history.bars[self._names[column]].closed_at[-_ROWS:]
        table = closes.reindex(pd.DatetimeIndex(stamps, tz="UTC"))
        rows = {
            str(k): table[exchange].to_numpy(dtype=np.float64)
            for k, exchange in enumerate(self._exchanges[column])
        }
        self._tape.load(column, stamps, rows)

    # An exchange heard for the first time takes its place among the others by name.
    def _meet(self, closes: Mapping[str, Mapping[str, float]]) -> None:
        known, told = self._exchanges, list(self._told(closes))
        if all(one.keys() <= set(names) for one, names in zip(told, known, strict=True) if one):
            return
        met = [sorted({*names, *one}) for one, names in zip(told, known, strict=True)]
        before, self._exchanges = self._tape, met
        self._tape = self._blank()
        for column, exchanges in enumerate(known):
            rows = {
                str(met[column].index(exchange)): before[str(k)][:, column].copy()
                for k, exchange in enumerate(exchanges)
            }
            self._tape.load(column, before.closed_at[:, column].copy(), rows)
