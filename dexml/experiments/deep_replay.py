"""Make a recorded run again from its data, models and code, and tell where it differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from dexml.cycle import Timing
from dexml.data.storage.store import Store
from dexml.domain import to_datetime64
from dexml.errors import DataError, ModelError, UsageError
from dexml.events import BarsClosed, HealthChanged, PricesSeen
from dexml.experiments.causes import Difference, Differences, warnings
from dexml.experiments.comparing import CloseRecord, compare_close, compare_start
from dexml.experiments.origin import Origin, changes, stored_months
from dexml.experiments.rebuild import rebuild, spans
from dexml.experiments.replay import began, replay_run
from dexml.experiments.sources import bar_sets
from dexml.ledger import Ledger
from dexml.models.registry import Registry
from dexml.models.suite import Suite
from dexml.records import decode_event, decode_state
from dexml.state import State
from dexml.system import initial_state, warm_up

__all__ = ["DeepReport", "replay_deep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepReport:
    """Whether a run can be made again, to the byte.

    Attributes
    ----------
    closes, forecasts, decisions : int
        How many were made again.
    differences : tuple of Difference
        The first of each kind.
    warnings : tuple of str
        What is not as it was, whether or not it shows.
    """

    closes: int
    forecasts: int
    decisions: int
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...]

    @property
    def identical(self) -> bool:
        return not self.differences

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values."""
        return {
            "identical": self.identical,
            "closes": self.closes,
            "forecasts": self.forecasts,
            "decisions": self.decisions,
            "differences": [one.to_dict() for one in self.differences],
            "warnings": list(self.warnings),
        }


@dataclass(slots=True, kw_only=True)
class _Heard:
    """Events of a run that can be made again, and which model spoke at each close."""

    closes: dict[datetime, BarsClosed] = field(default_factory=dict)
    models: dict[datetime, str] = field(default_factory=dict)
    n_forecasts: int = 0
    prices: dict[str, str] = field(default_factory=dict)
    health: dict[datetime, dict[str, str]] = field(default_factory=dict)


def replay_deep(ledger: Ledger, run: str, home: Path) -> DeepReport:
    """Rebuild a run's bars, features, forecasts and signals, and then decide on them again.

    Parameters
    ----------
    home : Path
        Where the run kept its store and its models.

    Raises
    ------
    UsageError
        If the ledger has no such run, or what it was made from was not recorded or is gone.
    LedgerError
        If a row was changed since it was written.

    Notes
    -----
    At each recorded close the store is read as of that close; the batch panel gives the features,
    whatever computed them live; models are loaded by digest, every byte verified first. Fills,
    requests and the state of parts are facts from outside: they are heard as recorded.
    """
    started = began(ledger, run)
    origin = _origin(started)
    store = _store(run, origin, home)
    decided = replay_run(ledger, run)
    found, heard = Differences(), _heard(ledger, run)
    suites = _suites(Registry(home / "models"), set(heard.models.values()), found)
    state = decode_state(started["config"]["initial_state"])
    records = _Records(ledger, run, heard)
    try:
        _compare_data(found, store, origin, datetime.fromisoformat(started["at"]), state)
        _compare_closes(found, store, origin, state, records, suites)
    except DataError as error:
        found.compare("bar", error.subject, f"data that {error.rule}", error.was)
    if (first := decided.first_difference) is not None:
        found.compare("decision", first.event_id, first.recorded, first.now)
    return DeepReport(
        closes=len(heard.closes),
        forecasts=heard.n_forecasts,
        decisions=decided.decisions,
        differences=found.explained(origin),
        warnings=warnings(origin),
    )


def _origin(started: Mapping[str, Any]) -> Origin:
    recorded = started["config"].get("origin")
    if recorded is None:
        raise UsageError(
            f"run {started['run']}",
            "must have recorded what it was made from",
            "none of it",
            "Replay it without --deep; runs recorded from now on can be made again.",
        )
    return Origin.from_dict(recorded)


def _store(run: str, origin: Origin, home: Path) -> Store:
    if "://" in origin.store:
        return Store(origin.store)
    folder = home / origin.store
    if not folder.is_dir():
        fix = "Restore it from a backup, or replay without --deep."
        raise UsageError(f"store of run {run}", f"must be in {folder}", "missing", fix)
    return Store(folder)


def _heard(ledger: Ledger, run: str) -> _Heard:
    heard = _Heard()
    for row in ledger.events(run):
        event = decode_event(row.event)
        if isinstance(event, BarsClosed):
            heard.closes[event.at] = event
        elif isinstance(event, PricesSeen):
            heard.prices[event.id] = row.event
        elif isinstance(event, HealthChanged):
            said = "" if event.healthy else event.reason
            heard.health.setdefault(event.at, {})[event.instrument] = said
    _name_models(ledger, run, heard)
    return heard


def _name_models(ledger: Ledger, run: str, heard: _Heard) -> None:
    for closed_at in heard.closes:
        rows = ledger.forecasts(run, closed_at)
        if not rows:
            raise UsageError(
                f"forecasts of run {run} at {closed_at:%Y-%m-%d %H:%M}",
                "must be in the ledger",
                "missing",
                "Replay it without --deep.",
            )
        heard.models[closed_at] = rows[0]["model"]
        heard.n_forecasts += len(rows)


def _suites(registry: Registry, digests: set[str], found: Differences) -> dict[str, Suite]:
    suites: dict[str, Suite] = {}
    for digest in sorted(digests):
        if digest not in registry.versions():
            fix = "Restore it from a backup, or replay without --deep."
            raise UsageError(f"model {digest}", f"must be in {registry.root}", "missing", fix)
        try:
            suites[digest] = Suite.load(registry, digest)
        except ModelError as error:
            found.compare("model", digest, error.rule.removeprefix("must have "), error.was)
    return suites


class _Records:
    """What the ledger holds of each close, read as it is asked for."""

    def __init__(self, ledger: Ledger, run: str, heard: _Heard) -> None:
        self.heard = heard
        self._ledger, self._run = ledger, run

    def at(self, closed_at: datetime) -> CloseRecord:
        said = self._ledger.forecasts(self._run, closed_at)
        return CloseRecord(
            event=self.heard.closes[closed_at],
            features=self._ledger.inputs(self._run, closed_at),
            forecasts={(one["instrument"], one["target"]): one["probability"] for one in said},
            prices=self.heard.prices,
            health=self.heard.health.get(closed_at, {}),
        )


def _compare_data(
    found: Differences, store: Store, origin: Origin, at: datetime, state: State
) -> None:
    """Compare what was stored when the run began, and the state that it began from."""
    market = origin.venues, origin.instruments, origin.timeframe
    months = stored_months(store, *market, at)
    for name in changes(origin.months, months):
        found.compare("stored", name, origin.months.get(name, "none"), months.get(name, "none"))
    known = store.history(*market, at).until(to_datetime64(at))
    names = [book.instrument for book in state.books]
    again = initial_state(state.run, state.config, names, state.cash)
    again = warm_up(again, bar_sets(known.bars, state.config.window_bars))
    compare_start(found, state, again)


def _compare_closes(
    found: Differences,
    store: Store,
    origin: Origin,
    state: State,
    records: _Records,
    suites: Mapping[str, Suite],
) -> None:
    timing = Timing(timeframe=state.config.timeframe, latency_s=state.config.costs.latency_s)
    told = {book.instrument for book in state.books if not book.healthy}
    universe = state.config.universe
    for span in spans(store, origin, sorted(records.heard.closes)):
        for rebuilt in rebuild(span, store, origin, records.heard.models, suites, universe):
            record = records.at(rebuilt.closed_at)
            told = compare_close(found, record, rebuilt, timing, told)
