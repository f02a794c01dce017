"""Owner of outcomes and alerts: how good the forecasts turned out to be."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Any

import pandas as pd

from dexml.domain import Bar, Bars, Target, Timeframe
from dexml.errors import ActorNotReady
from dexml.ledger import Ledger
from dexml.targets import labels

__all__ = ["MonitorActor"]

STREAM = "monitor"
WINDOW = 32  # bars: the longest look-back of a label, and some more


class MonitorActor:
    """Matches each forecast with what happened, once it is known.

    Outcomes are kept by (instrument, instant, target), so hearing the same bars twice adds nothing.
    """

    def __init__(self, run: str, database_url: str) -> None:
        self._run = run
        self._database_url = database_url
        self._epoch: int | None = None
        self._ledger: Ledger
        self._bars: dict[str, deque[Bar]] = {}
        self._judged: dict[str, pd.Timestamp] = {}  # by instrument: until when

    def health(self) -> dict[str, Any]:
        """Say whether the actor is started."""
        return {"ready": self._epoch is not None}

    def start(self, epoch: int, bars: list[Bar]) -> None:
        """Begin with the newest bars, from the store, and own the outcomes under `epoch`."""
        self._epoch = None
        self._ledger = Ledger.open(self._database_url)
        self._bars = {}
        self._judged = {}  # what an earlier life missed is judged with the next bars
        self._remember(bars)
        self._epoch = epoch

    def observe(self, bars: list[Bar]) -> int:
        """Hear closed bars and record the outcomes they reveal; return how many."""
        if self._epoch is None:
            raise ActorNotReady("monitor", "must be started", "new", "Call start(epoch) first.")
        self._remember(bars)
        windows = {name: _window(name, queue) for name, queue in self._bars.items()}
        known = labels(windows, horizon=1).dropna(how="all")
        known = known[[self._is_new(name, at) for at, name in known.index]]
        rows = [
            row
            for instant in known.index.unique("closed_at")
            for row in self._outcomes(instant.to_pydatetime(), known.loc[instant])
        ]
        n_new = self._ledger.add_outcomes(STREAM, self._epoch, self._run, rows)
        self._judged |= {name: at for at, name in known.index}
        return n_new

    def _is_new(self, name: str, closed_at: pd.Timestamp) -> bool:
        return name not in self._judged or closed_at > self._judged[name]

    def _outcomes(self, closed_at: datetime, known: pd.DataFrame) -> list[dict[str, Any]]:
        forecasts = self._ledger.forecasts(self._run, closed_at)
        truths = [(row, _truth(known, row)) for row in forecasts if row["probability"] is not None]
        names = ("instrument", "closed_at", "target")
        return [
            {**{name: row[name] for name in names}, "label": int(truth)}
            for row, truth in truths
            if truth is not None
        ]

    def _remember(self, bars: list[Bar]) -> None:
        for bar in sorted(bars, key=lambda bar: bar.closed_at):
            queue = self._bars.setdefault(bar.instrument, deque(maxlen=WINDOW))
            if not queue or bar.closed_at > queue[-1].closed_at:
                queue.append(bar)


def _truth(known: pd.DataFrame, forecast: dict[str, Any]) -> float | None:
    target = forecast["target"]  # the ensemble and its joint member speak of direction
    target = target if target in known.columns else str(Target.DIRECTION)
    if forecast["instrument"] not in known.index:
        return None
    value = known.loc[forecast["instrument"], target]
    return None if pd.isna(value) else float(value)


def _window(name: str, queue: deque[Bar]) -> Bars:
    frame = pd.DataFrame(
        [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in queue],
        columns=["open", "high", "low", "close", "volume"],
        index=pd.DatetimeIndex([bar.closed_at for bar in queue]),
    )
    return Bars.from_frame(name, Timeframe.H1, frame)
