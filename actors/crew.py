"""All actors of one local run, where they keep things, and how each begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from actors import runtime
from actors.execution import ExecutionActor
from actors.feed import ContextActor, FeedActor
from actors.forecast import ForecastActor
from actors.monitor import MonitorActor
from actors.risk import RiskActor
from actors.supervisor import Member, Supervisor
from actors.trainer import TrainerActor
from actors.watching import Watch
from dexml.clock import Clock
from dexml.cycle import Timing
from dexml.data.reference import TIME_OF, stated_time
from dexml.data.storage.store import Store
from dexml.domain import Bar, Bars, History, Timeframe
from dexml.execution.paper import PaperBroker
from dexml.experiments.origin import Origin
from dexml.ledger import Ledger
from dexml.models.registry import Registry
from dexml.records import encode
from dexml.state import KernelConfig, State

__all__ = ["Crew", "Place"]

WARM_BARS = 32  # bars that the monitor needs to know the label of the newest


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run keeps things: the ledger and the models are shared by all runs of a home.

    Attributes
    ----------
    ledger_url : str
        SQLAlchemy URL; "": SQLite in the home.
    registry_uri: str
        Address of the model versions; "": in the home.
    """

    home: Path
    run: str
    ledger_url: str = ""
    registry_uri: str = ""

    @property
    def folder(self) -> Path:
        return self.home / "runs" / self.run

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def database_url(self) -> str:
        return self.ledger_url or f"sqlite:///{self.home / 'ledger.sqlite'}"

    @property
    def registry(self) -> Registry:
        return Registry.of(self.home, self.registry_uri)


class Crew:
    """Starts the actors of a run, which die with this process, and hands out the supervisor.

    Parameters
    ----------
    urls : mapping of name to URL
        Of each exchange, the preferred one first, and of "news" and "macro" where there are any.
    series : tuple of str
        Names of macro series.
    clock : Clock, optional
        What the loop lives by, and its exchanges where they are simulated; the wall clock unless
        given.
    """

    def __init__(
        self,
        place: Place,
        instruments: tuple[str, ...],
        urls: Mapping[str, str],
        series: tuple[str, ...],
        clock: Clock | None = None,
    ) -> None:
        self.place = place
        self.instruments = instruments
        self.venues = tuple(name for name in urls if name not in ("news", "macro"))
        self.ledger = Ledger.open(place.database_url)
        self.store = Store(place.store)
        self._urls, self._series = urls, series
        self.supervisor = Supervisor(place.run, self.ledger, watch=self.watch(clock))

    def watch(self, clock: Clock | None = None) -> Watch:
        """Return what measures the world of this run; its exchanges say what time it is."""
        witnesses = {
            name: partial(stated_time, self._urls[name] or TIME_OF[name]) for name in self.venues
        }
        return Watch(self.place.home, witnesses, clock)

    def start_feeds(self) -> None:
        """Start one actor for each exchange, and one for news and macro series."""
        for venue in self.venues:
            arguments = (venue, self._urls[venue], self.instruments, Timeframe.H1, self.place.store)
            self._add(FeedActor, f"feed:{venue}", *arguments)
        context = (self._urls.get("news"), self._urls.get("macro"), self.instruments, self._series)
        self._add(ContextActor, "context", *context, self.place.store)

    def start_trainers(self, names: tuple[str, ...]) -> None:
        """Start the owner of each member's models."""
        for name in names:
            self._add(
                TrainerActor, f"trainer:{name}", name, str(self.place.home), self.place.registry_uri
            )

    def start_traders(self, model: str, config: KernelConfig | None = None) -> None:
        """Start the owners of forecasts, book, account and outcomes, serving `model`."""
        config = config or KernelConfig()
        costs = config.costs
        self.supervisor.timing = Timing(latency_s=costs.latency_s)
        run, url = self.place.run, self.place.database_url
        self._add(
            ForecastActor,
            "forecast",
            run,
            str(self.place.home),
            str(self.place.store),
            url,
            self.venues,
            self.instruments,
            config.universe,
            self.place.registry_uri,
            begin=lambda: (model,),
        )
        self._add(RiskActor, "risk", run, url)
        self._add(ExecutionActor, "execution", run, url, PaperBroker(costs))
        self._add(MonitorActor, "monitor", run, url, begin=self._for_monitor)

    def open_run(self, at: datetime, state: State, seed: int) -> None:
        """Write the run's beginning into the ledger: the state every replay starts from.

        With it goes what the run is made from, for a replay that makes all of it again.
        """
        folder = str(self.place.store.relative_to(self.place.home))
        market = (self.venues, self.instruments, Timeframe.H1)
        origin = Origin.now(self.store, folder, *market, at)
        config = {"initial_state": encode(state), "origin": origin.to_dict()}
        self.ledger.start_run(self.place.run, at, config, seed)

    def history(self) -> History:
        """Return everything in the run's store."""
        return self.store.history(self.venues, self.instruments, Timeframe.H1)

    def _add(self, cls: type, name: str, *arguments: Any, begin: Any = tuple) -> None:
        handle = runtime.start(cls, *arguments, name=name, lifetime=None)
        self.supervisor.add(Member(name=name, handle=handle, begin=begin))

    def _for_monitor(self) -> tuple[list[Bar], Mapping[str, Bars]]:
        bars = self.history().bars
        newest = [series.bar(row) for series in bars.values() for row in range(-WARM_BARS, 0)]
        return newest, bars
