"""`dexml demo`: the whole system on this machine, from an empty folder to a verdict."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import ray
from pydantic import TypeAdapter
from ray import serve
from rich.console import Console

import serve_app
from actors import cluster
from actors.closing import closing_words
from actors.crew import Crew, Place
from actors.fitting import Trained, train
from actors.sandbox import MemoryWatch, sandbox
from actors.stages import Stages
from actors.verdict import Evidence, live, score
from dexml.access import new_token
from dexml.clock import SimulatedClock
from dexml.data.feeds.rows import SETTLE_S
from dexml.data.feeds.venues import VENUES
from dexml.doctor import require_place
from dexml.domain import Bars, History, to_datetime
from dexml.errors import EnvironmentRefused
from dexml.experiments.sources import bar_sets, plant_market, recorded_bars
from dexml.experiments.training import split_in_time
from dexml.features.audit import audit
from dexml.features.panel import build_panel
from dexml.models.recipe import Recipe
from dexml.simulation.exchanges import ExchangeServers
from dexml.state import KernelConfig
from dexml.system import initial_state, warm_up
from dexml.targets import labels

__all__ = ["DemoOptions", "run_demo"]

PLANTED_BARS, RECORDED_BARS = 3_000, 8_000
DEFAULT_PORT = 8_000
HEARTBEAT_S = 2
START_CASH = Decimal(10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the user asked for; `history` 0 means what suits the source, `port` None likewise.

    Attributes
    ----------
    recorded : mapping of instrument to Bars, or None
        The content of `bars` where it was read before.
    exchanges : tuple of str
        Those that are simulated, the preferred one first.
    ledger_url : str
        SQLAlchemy URL; "": SQLite in the home.
    registry_uri : str
        Address of the model versions; "": in the home.
    kernel : KernelConfig
        Everything that can change a decision.
    recipe : Recipe
        What the user chose of how models are made.
    """

    home: Path
    bars: tuple[Path, ...] = ()
    symbols: tuple[str, ...] = ()
    cycles: int = 50
    history: int = 0
    bayes_accuracy: float = 0.70
    seed: int = 0
    port: int | None = None
    keep: bool = False
    recorded: Mapping[str, Bars] | None = None
    exchanges: tuple[str, ...] = tuple(VENUES)
    ledger_url: str = ""
    registry_uri: str = ""
    kernel: KernelConfig = field(default_factory=KernelConfig)
    recipe: Recipe = field(default_factory=Recipe)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """The market that will be shown bar by bar, and the truth about it where it is known."""

    history: History
    truth: pd.DataFrame | None
    n_history: int

    def instants(self) -> list[datetime]:
        """Return every close, oldest first."""
        first: Bars = next(iter(self.history.bars.values()))
        return [to_datetime(stamp) for stamp in first.closed_at]

    def series(self) -> tuple[str, ...]:
        """Return the names of the macro series."""
        return tuple(sorted(self.history.macro["series"].unique()))


def run_demo(options: DemoOptions, console: Console) -> dict[str, Any]:
    """Run the demo and return what it found: the JSON object of `dexml demo --json`."""
    began = time.perf_counter()
    port = _page_port(options.port)
    require_place("home", options.home)
    with ExitStack() as stack:
        temp_dir = stack.enter_context(sandbox(options.home))
        stages = Stages(console, stack.enter_context(MemoryWatch()))
        with stages.stage("market"):
            source = _source(options)
        result, crew = _run(options, source, stages, temp_dir, stack, port)
        result |= {"stages": stages.to_dict(), "peak_rss_mb": stages.peak_mb()}
        result["seconds"] = time.perf_counter() - began
        closing_words(console, result, crew.place, keep=options.keep)
        if options.keep:
            _stay(console, crew)
    return result


def _run(
    options: DemoOptions,
    source: Source,
    stages: Stages,
    temp_dir: Path,
    stack: ExitStack,
    port: int,
) -> tuple[dict[str, Any], Crew]:
    instants = source.instants()
    clock = SimulatedClock(_acting_at(instants[source.n_history - 1], options))
    with stages.stage("Ray"):
        dashboard = cluster.start_local(temp_dir)
        stack.callback(ray.shutdown)
    servers = stack.enter_context(ExchangeServers(source.history, clock))
    place = _place(options)
    stack.enter_context(_log_in(place.folder / "log.txt"))
    urls = {name: servers.urls[name] for name in (*options.exchanges, "news", "macro")}
    crew = Crew(place, tuple(sorted(source.history.bars)), urls, source.series(), clock)
    _backfill(crew, stages, instants[: source.n_history])
    known = crew.history()
    with stages.stage("leak audit") as step:
        report = audit(known, labels=labels, seed=options.seed)
        report.raise_if_leaking()
        step.say(f"{report.checked} checked, 0 leaks")
    split = split_in_time(build_panel(known))
    extra = options.recipe.sequence.enabled
    with stages.stage("training", total=6 + extra) as step:
        trained = train(crew, step, split, labels(known.bars), options.seed, options.recipe)
    evidence = Evidence(
        crew=crew,
        trained=trained,
        split=split,
        truth=source.truth,
        seed=options.seed,
        kernel=options.kernel,
        recipe=options.recipe,
    )
    with stages.stage("out-of-sample scores"):
        result = score(evidence)
    _open_book(crew, options, known, instants[source.n_history - 1], trained)
    with stages.stage("serving") as step:
        url, token = _serve(crew, port)
        step.say(url)
    with stages.stage("live", total=options.cycles) as step:
        for closed_at in instants[source.n_history :][: options.cycles]:
            clock.advance(_acting_at(closed_at, options) - clock.now())
            crew.supervisor.cycle(closed_at)
            step.advance(1, f"{closed_at:%Y-%m-%d %H:%M}")
    with stages.stage("replay and backtest"):
        result |= live(evidence)
        decided = len(crew.ledger.equity(place.run))
        result["cycles"] = {"asked": options.cycles, "decided": decided}
    result |= {
        "run": place.run,
        "config": TypeAdapter(KernelConfig).dump_python(options.kernel, mode="json")
        | {"exchanges": list(options.exchanges), "bars": [str(path) for path in options.bars]},
        "audit": {"checked": report.checked, "leaks": []},
        "url": f"{url}/#token={token}",
        "ray_dashboard": dashboard,
    }
    return result, crew


# An order meets the market after its latency; before a bar has settled no exchange calls it closed.
def _acting_at(closed_at: datetime, options: DemoOptions) -> datetime:
    return closed_at + timedelta(seconds=max(options.kernel.costs.latency_s, SETTLE_S))


def _source(options: DemoOptions) -> Source:
    spare = options.cycles + 1
    if options.bars:
        n_history = options.history or RECORDED_BARS
        bars = options.recorded or recorded_bars(
            options.bars, options.symbols, n_bars=n_history + spare
        )
        return Source(history=History(bars=bars), truth=None, n_history=n_history)
    n_history = options.history or PLANTED_BARS
    market = plant_market(
        options.symbols,
        n_bars=n_history + spare,
        seed=options.seed,
        bayes_accuracy=options.bayes_accuracy,
    )
    return Source(history=market.history, truth=market.truth, n_history=n_history)


def _place(options: DemoOptions) -> Place:
    started = datetime.now(UTC)  # a door: the name of the run tells when it began
    run = f"demo-{started:%Y%m%d-%H%M%S}-{os.getpid()}"
    place = Place(
        home=options.home,
        run=run,
        ledger_url=options.ledger_url,
        registry_uri=options.registry_uri,
    )
    place.folder.mkdir(parents=True)
    return place


def _backfill(crew: Crew, stages: Stages, instants: list[datetime]) -> None:
    since = instants[0] - timedelta(hours=1)
    with stages.stage("backfill", total=len(crew.venues) + 1) as step:
        crew.start_feeds()
        step.advance(1, "news and macro")
        crew.supervisor.ask("context", "poll", timeout_s=60)
        for venue in crew.venues:
            feed = f"feed:{venue}"
            report = crew.supervisor.ask(feed, "backfill", since, instants[-1], timeout_s=300)
            step.advance(1, f"{venue}: {report.n_new:,} bars")


def _open_book(
    crew: Crew, options: DemoOptions, known: History, at: datetime, trained: Trained
) -> None:
    config = options.kernel
    # the label, not the run, is part of every id: the same seed gives the same bytes
    state = initial_state(f"demo:{options.seed}", config, crew.instruments, START_CASH)
    crew.open_run(at, warm_up(state, bar_sets(known.bars, config.window_bars)), options.seed)
    crew.start_traders(trained.suite.digest, config)


def _serve(crew: Crew, port: int) -> tuple[str, str]:
    token, record = new_token(("read",), datetime.now(UTC), timedelta(days=1))
    crew.ledger.add_token(record.token_id, record.sha256, record.scopes, record.expires_at)
    args = serve_app.ServeArgs(
        run=crew.place.run,
        database_url=crew.place.database_url,
        instruments=crew.instruments,
        storage_uri=str(crew.place.store),
        venues=crew.venues,
        simulated=True,
    )
    serve.start(http_options=serve_app.http_options(port=port))
    serve.run(serve_app.build(args), name="dexml", route_prefix="/")
    return f"http://127.0.0.1:{port}", token


@contextmanager
def _log_in(file: Path) -> Iterator[None]:
    """Write what the loop has to tell, with tracebacks, into a file and not on the screen."""
    handler = logging.FileHandler(file, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    loggers = [logging.getLogger(name) for name in ("actors", "dexml")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True
        handler.close()


def _page_port(wanted: int | None) -> int:
    if wanted is not None:
        return cluster.free_port(wanted)
    try:
        return cluster.free_port(DEFAULT_PORT)
    except EnvironmentRefused:
        return cluster.free_port()


def _stay(console: Console, crew: Crew) -> None:
    console.print("Serving until Ctrl-C.")
    while True:
        crew.supervisor.tend()
        time.sleep(HEARTBEAT_S)
