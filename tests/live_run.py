"""A run recorded by real owners, from exchange servers to fills, in one process and without Ray."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from actors.crew import Crew, Place
from actors.supervisor import Member, Supervisor
from dexml.clock import SimulatedClock
from dexml.data.feeds.rows import SETTLE_S
from dexml.domain import to_datetime
from dexml.experiments.sources import bar_sets
from dexml.features.panel import build_panel, view
from dexml.simulation.exchanges import ExchangeServers, Switchboard
from dexml.simulation.market import MarketConfig, plant
from dexml.state import KernelConfig
from dexml.system import initial_state, warm_up
from dexml.targets import labels
from tests.direction_suite import publish_direction

RUN = "demo-20240101-000000-1"
NAMES = ("BTC/USDT", "ETH/USDT")
VENUES = ("binance", "coinbaseexchange")
N_HISTORY, N_CYCLES = 900, 10
MARKET = plant(MarketConfig(instruments=NAMES, n_bars=1_000, bayes_accuracy=0.8))
INSTANTS = [to_datetime(stamp) for stamp in MARKET.history.bars[NAMES[0]].closed_at]
CLOSES = INSTANTS[N_HISTORY:][:N_CYCLES]
_SETTLED = timedelta(seconds=SETTLE_S)

Meanwhile = Callable[[Crew, Switchboard, datetime], None]


class PlainCrew(Crew):
    """A crew whose actors are plain objects in this process: a call is a call."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.supervisor = Supervisor(
            self.place.run, self.ledger, send=_send, watch=self.watch(arguments[-1])
        )

    def _add(self, cls: type, name: str, *arguments: Any, begin: Any = tuple) -> None:
        self.supervisor.add(Member(name=name, handle=cls(*arguments), begin=begin))


def _send(handle: Any, method: str, *args: Any) -> Any:
    return lambda _timeout_s: getattr(handle, method)(*args)


def record_live_run(home: Path, meanwhile: Meanwhile | None = None) -> str:
    """Live through `N_CYCLES` bars with a fitted model, and return the name of the run.

    Parameters
    ----------
    meanwhile : callable, optional
        Called with the crew, what may go wrong with its exchanges, and the close after each cycle.
    """
    model = publish_suite(home)
    clock = SimulatedClock(INSTANTS[N_HISTORY - 1] + _SETTLED)
    with ExchangeServers(MARKET.history, clock) as servers:
        urls = {name: servers.urls[name] for name in (*VENUES, "news", "macro")}
        crew = PlainCrew(Place(home=home, run=RUN), NAMES, urls, ("vix",), clock)
        crew.place.folder.mkdir(parents=True)
        _begin(crew, model)
        for closed_at in CLOSES:
            clock.advance(closed_at + _SETTLED - clock.now())
            crew.supervisor.cycle(closed_at)
            if meanwhile is not None:
                meanwhile(crew, servers.faults, closed_at)
        crew.ledger.close()
    return RUN


def publish_suite(home: Path) -> str:
    """Fit `direction` on the bars before the loop begins and publish it alone."""
    panel = build_panel(MARKET.history.until(MARKET.history.bars[NAMES[0]].closed_at[N_HISTORY]))
    panel = panel.iloc[: -2 * len(NAMES)]
    columns = view("direction", panel.columns)
    return publish_direction(home, panel, columns, labels(MARKET.history.bars), INSTANTS[N_HISTORY])


def _begin(crew: Crew, model: str) -> None:
    crew.start_feeds()
    crew.supervisor.ask("context", "poll")
    until = INSTANTS[N_HISTORY - 1]
    for venue in crew.venues:
        crew.supervisor.ask(f"feed:{venue}", "backfill", INSTANTS[0] - timedelta(hours=1), until)
    config = KernelConfig()
    state = initial_state("live", config, NAMES, Decimal(10_000))
    sets = bar_sets(crew.history().bars, config.window_bars)
    crew.open_run(until, warm_up(state, sets), 0)
    crew.start_traders(model, config)
