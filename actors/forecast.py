"""Owner of the loaded models and of the forecasts of each closed bar."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from dexml.data.health import unwell
from dexml.data.storage.store import Store
from dexml.domain import Bar, History, Signal, Timeframe, to_datetime64
from dexml.errors import ActorNotReady, DataError
from dexml.experiments.origin import feature_digests
from dexml.features.current import CurrentPanel
from dexml.features.panel import build_panel
from dexml.ledger import Ledger
from dexml.models.registry import Registry
from dexml.models.suite import ENSEMBLE, Suite, signal_of, with_context
from dexml.universe import UniverseConfig

__all__ = ["ForecastActor", "Forecasts"]

STREAM = "forecast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecasts:
    """The bars of one close and what the ensemble says about each, sorted by instrument.

    Attributes
    ----------
    unwell : tuple of (instrument, reason)
        Instruments whose data are in quarantine, with or without a bar.
    """

    bars: tuple[Bar, ...]
    signals: tuple[Signal, ...]
    unwell: tuple[tuple[str, str], ...] = ()


class ForecastActor:
    """Makes the forecasts of a bar set once and publishes them; the loop and Serve both read them.

    A repeated request for the same bars returns the forecasts that were stored the first time.

    Parameters
    ----------
    home : str
        Whom it trusts to sign models stands there, and the models, unless `registry` is elsewhere.
    registry : str, optional
        Address of the model versions.
    """

    def __init__(
        self,
        run: str,
        home: str,
        store: str,
        database_url: str,
        venues: tuple[str, ...],
        instruments: tuple[str, ...],
        universe: UniverseConfig,
        registry: str = "",
    ) -> None:
        self._run = run
        self._home, self._registry = Path(home), registry
        self._store = Store(store)
        self._database_url = database_url
        self._venues = venues
        self._instruments = instruments
        self._universe = universe
        self._panel = CurrentPanel()
        self._epoch: int | None = None
        self._ledger: Ledger
        self._suite: Suite
        self._latest: dict[str, dict[str, Any]] = {}

    def health(self) -> dict[str, Any]:
        """Say whether the actor is started and which model it serves."""
        ready = self._epoch is not None
        return {"ready": ready, "model": self._suite.digest if ready else None}

    def start(self, epoch: int, model: str) -> None:
        """Load a model version, verified before anything is unpickled, and own the forecasts."""
        self._epoch = None
        self._ledger = Ledger.open(self._database_url)
        self._suite = Suite.load(Registry.of(self._home, self._registry), model)
        with suppress(DataError):  # nothing is stored yet
            self._everything()  # read now, the first close is not kept waiting
        self._epoch = epoch

    def forecast(self, closed_at: datetime) -> Forecasts:
        """Forecast every instrument whose bar closed at `closed_at`, and publish."""
        epoch = self._require_ready()
        history = self._history(closed_at)
        stored = self._ledger.forecasts(self._run, closed_at)
        table = _from_ledger(stored) if stored else self._compute(epoch, history, closed_at)
        shares = self._suite.ensemble.shares(self._beside_context(table, history, closed_at))
        self._latest = {
            str(name): {
                "instrument": str(name),
                "closed_at": closed_at.isoformat(),
                **self._view(row),
                "shares": _plain(share),
            }
            for (name, row), (_, share) in zip(table.iterrows(), shares.iterrows(), strict=True)
        }
        newest = {name: bars.bar(-1) for name, bars in history.bars.items()}
        return Forecasts(
            bars=tuple(newest[name] for name in sorted(table.index)),
            signals=tuple(
                signal_of(str(name), closed_at, row.to_dict()) for name, row in table.iterrows()
            ),
            unwell=tuple(unwell(history, to_datetime64(closed_at), self._universe).items()),
        )

    def latest(self, instrument: str) -> dict[str, Any]:
        """Return the newest forecasts of an instrument as JSON-able values."""
        self._require_ready()
        if instrument not in self._latest:
            raise DataError(
                "instrument",
                f"must be one of {', '.join(self._instruments)}",
                instrument,
                "Ask for one that is traded, or wait for its first closed bar.",
            )
        return self._latest[instrument]

    def _compute(self, epoch: int, history: History, closed_at: datetime) -> pd.DataFrame:
        rows = self._panel.rows(history, to_datetime64(closed_at))
        # What looks back is shown the whole panel again: a member whose past was revised sees it.
        past = build_panel(history) if self._suite.lookback > 1 else None
        table = self._suite.forecast(rows, past).droplevel("closed_at")
        inputs = _inputs(closed_at, rows)
        self._ledger.add_forecasts(STREAM, epoch, self._run, self._rows(closed_at, table), inputs)
        return table

    def _beside_context(
        self, table: pd.DataFrame, history: History, closed_at: datetime
    ) -> pd.DataFrame:
        if not self._suite.ensemble.columns:
            return table
        rows = self._panel.rows(history, to_datetime64(closed_at)).droplevel("closed_at")
        return with_context(table, rows)

    def _everything(self) -> History:
        return self._store.history(self._venues, self._instruments, Timeframe.H1)

    def _history(self, closed_at: datetime) -> History:
        return self._everything().until(to_datetime64(closed_at))

    def _rows(self, closed_at: datetime, table: pd.DataFrame) -> list[dict[str, Any]]:
        return [
            {
                "instrument": str(name),
                "closed_at": closed_at,
                "target": str(column),
                "probability": None if pd.isna(value) else float(value),
                "model": self._suite.digest,
            }
            for name, row in table.iterrows()
            for column, value in row.items()
        ]

    def _view(self, row: pd.Series[float]) -> dict[str, Any]:
        values = _plain(row)
        return {
            "probability": values.pop(ENSEMBLE),
            "targets": values,
            "models": {ENSEMBLE: self._suite.digest},
        }

    def _require_ready(self) -> int:
        if self._epoch is None:
            raise ActorNotReady("forecast", "must be started", "new", "Call start(epoch) first.")
        return self._epoch


def _plain(row: pd.Series[float]) -> dict[str, float | None]:
    return {str(key): None if pd.isna(value) else float(value) for key, value in row.items()}


def _inputs(closed_at: datetime, rows: pd.DataFrame) -> list[dict[str, Any]]:
    names = rows.index.get_level_values("instrument")
    return [
        {"instrument": str(name), "closed_at": closed_at, "features": features}
        for name, features in zip(names, feature_digests(rows), strict=True)
    ]


def _from_ledger(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows).pivot(index="instrument", columns="target", values="probability")
    return frame.astype("float64").sort_index()
