"""Owner of outcomes and alerts: how good forecasts turned out, and whether markets changed."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pandas as pd

from dexml.domain import Bar, Bars, Target, Timeframe, to_datetime, to_datetime64
from dexml.errors import ActorNotReady
from dexml.events import Alert
from dexml.ledger import Ledger
from dexml.monitoring.correlations import REFERENCE_BARS, CorrelationWatch, watched
from dexml.targets import labels

__all__ = ["MonitorActor"]

STREAM = "monitor"
CORRELATIONS = "correlation_change"
WINDOW = 32  # bars: the longest look-back of a label, and some more


class MonitorActor:
    """Matches each forecast with what happened, and raises an alarm when correlations change.

    Outcomes are kept by (instrument, instant, target), so hearing the same bars twice adds nothing.
    """

    def __init__(self, run: str, database_url: str) -> None:
        self._run = run
        self._database_url = database_url
        self._epoch: int | None = None
        self._ledger: Ledger
        self._bars: dict[str, deque[Bar]] = {}
        self._judged: dict[str, pd.Timestamp] = {}  # by instrument: until when
        self._correlations = CorrelationWatch(instruments=())

    def health(self) -> dict[str, Any]:
        """Say whether the actor is started."""
        return {"ready": self._epoch is not None}

    def start(self, epoch: int, bars: list[Bar], history: Mapping[str, Bars] | None = None) -> None:
        """Begin with what the store has, and own outcomes and alerts under `epoch`.

        Parameters
        ----------
        bars : list of Bar
            The newest ones.
        history : mapping of instrument to Bars, optional
            All of them: correlations are watched from the run's beginning on, whoever died since.
        """
        self._epoch = None
        self._ledger = Ledger.open(self._database_url)
        self._bars = {}
        self._judged = {}  # what an earlier life missed is judged with the next bars
        self._remember(bars)
        self._correlations = self._watched_since(history or {})
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
        self._watch_correlations(self._epoch, bars)
        self._judged |= {name: at for at, name in known.index}
        return n_new

    def _watched_since(self, history: Mapping[str, Bars]) -> CorrelationWatch:
        """Return the watch after all closes since the run began, and its reference before them."""
        watch = CorrelationWatch(instruments=tuple(sorted(history)))
        began = self._ledger.run(self._run)
        if began is None or not history:
            return watch
        closes = {name: dict(zip(b.closed_at, b.close, strict=True)) for name, b in history.items()}
        instants = sorted(set().union(*closes.values()))
        first = bisect_right(instants, to_datetime64(datetime.fromisoformat(began["at"])))
        for at in instants[max(0, first - REFERENCE_BARS - 1) :]:
            prices = {name: float(known[at]) for name, known in closes.items() if at in known}
            watch = watched(watch, to_datetime(at), prices)
        return watch

    def _watch_correlations(self, epoch: int, bars: list[Bar]) -> None:
        for at in sorted({bar.closed_at for bar in bars}):
            closes = {bar.instrument: bar.close for bar in bars if bar.closed_at == at}
            self._correlations = watched(self._correlations, at, closes)
        change, newest = self._correlations.change, self._correlations.at
        if newest is None:
            return
        settled = "The newest correlations are the reference now, and they hold."
        alert = Alert(
            at=change.at if change else newest,
            severity="warning" if change else "info",
            subject=CORRELATIONS,
            text=str(change) if change else settled,
        )
        self._ledger.turn_alert(STREAM, epoch, self._run, asdict(alert), ends=change is None)

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
