"""What a close costs the running system: the store is read and the rows of the panel are made."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.arrival import OVERLAP, VENUES, Market, fill, markets
from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe
from dexml.features.current import CurrentPanel
from dexml.features.panel import build_panel

SIZES = ((50, 3_000), (10, 3_000), (10, 24_000))
N_USUAL, N_REVISED = 30, 10
LONG_AGO = 8  # bars before a close that a revision is of


def closes(n_instruments: int, n_history: int) -> dict[str, Any]:
    """Return the CPU time of a close: the first after a start, a usual one, one after a revision.

    Returns
    -------
    dict
        Milliseconds of CPU time of the reader alone, medians but for the first: `Store.history` and
        `CurrentPanel.rows`, what a forecaster does at each close. A revision is one changed volume
        of one instrument at one exchange. `same`: the last rows have `build_panel`'s bits.
    """
    quoted = markets(Timeframe.H1, n_history + 1 + N_USUAL + 2 * N_REVISED, n_instruments)
    with tempfile.TemporaryDirectory() as folder:
        writer = Store(folder)
        fill(writer, quoted, n_history)
        reader = _Reader(Store(folder), tuple(quoted[VENUES[0]]))
        times: dict[str, list[float]] = {"first": [], "usual": [], "after_revision": []}
        kinds = ["first", *N_USUAL * ["usual"], *N_REVISED * ["after_revision", ""]]
        for row, kind in enumerate(kinds, start=n_history):
            _keep(writer, quoted, row, revised=kind == "after_revision")
            took = reader.close(next(iter(quoted[VENUES[0]].values())).closed_at[row])
            times.setdefault(kind, []).append(took)
        figures = {f"{kind}_ms": float(np.median(took)) for kind, took in times.items() if kind}
        return {
            "n_instruments": n_instruments,
            "n_history": n_history,
            **figures,
            "n_opened": reader.panel.n_opened,
            "same": reader.is_batch(),
        }


class _Reader:
    def __init__(self, store: Store, names: tuple[str, ...]) -> None:
        self.panel = CurrentPanel()
        self._store, self._names = store, names

    def close(self, closed_at: np.datetime64) -> float:
        began = time.process_time()
        history = self._store.history(VENUES, self._names, Timeframe.H1)
        self._history = history.until(closed_at)
        self._rows = self.panel.rows(self._history, closed_at)
        return 1e3 * (time.process_time() - began)

    def is_batch(self) -> bool:
        return self._rows.equals(build_panel(self._history).loc[[self._rows.index[0][0]]])


def _keep(store: Store, quoted: dict[str, Market], row: int, revised: bool) -> None:
    for venue, market in quoted.items():
        first = row + 1 - (LONG_AGO if revised else OVERLAP)
        rows = {name: bars.take(slice(first, row + 1)) for name, bars in market.items()}
        if revised and venue == VENUES[0]:
            name = next(iter(rows))
            rows[name] = _revised(rows[name])
        store.append_closes(venue, rows)


def _revised(bars: Bars) -> Bars:
    volume = bars.volume.copy()
    volume[0] *= 3.0 + float(bars.closed_at[0].astype(np.int64) % 7)
    return replace(bars, volume=volume)


def main() -> None:
    """Print the figures of some sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instruments", type=int)
    parser.add_argument("--history", type=int, default=3_000)
    said = parser.parse_args()
    sizes = ((said.instruments, said.history),) if said.instruments else SIZES
    for size in sizes:
        print(json.dumps(closes(*size)))


if __name__ == "__main__":
    main()
