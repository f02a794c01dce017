"""`dexml train`: every target and their ensemble, fitted and left in the registry, signed."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from actors.material import Market, Material, prepare
from actors.sandbox import MemoryWatch, sandbox
from actors.stages import Stages
from actors.tables import print_leaderboard
from dexml.clock import SystemClock
from dexml.domain import History, Timeframe
from dexml.errors import UsageError
from dexml.experiments.audited import of_store
from dexml.experiments.member_fits import FitOutcome, Run, estimated_wall_s, fit_members
from dexml.experiments.sources import newest_closes, plant_market, recorded_market
from dexml.experiments.specifications import specifications
from dexml.experiments.suite_training import Trained, assemble, publish
from dexml.ledger import Ledger
from dexml.models.fits import FitLimits, run_fit
from dexml.models.local_signer import LocalSigner
from dexml.models.recipe import Recipe
from dexml.models.registry import Registry
from dexml.models.stages import SUITE
from dexml.promotions import promote
from dexml.state import KernelConfig
from dexml.targets import TARGETS

__all__ = ["TrainOptions", "run_training"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """What the user asked for.

    Attributes
    ----------
    storage : str
        The store, from which bars are taken unless `bars` names some or `planted` is set; an empty
        one stands for the built-in market, too.
    targets : tuple of str
        Only these, each as a version of its own; none: all, and the suite of them.
    history : int
        Bars of each instrument, the newest.
    workers : int
        Fits at a time; 0: one a CPU.
    limits : FitLimits or None
        Where each fit is killed; None: what suits it.
    ledger_url : str
        Its register of models follows a promotion; "": there is none.
    """

    home: Path
    storage: str
    bars: tuple[Path, ...] = ()
    symbols: tuple[str, ...] = ()
    planted: bool = False
    bayes_accuracy: float = 0.70
    history: int = 9_000
    timeframe: Timeframe = Timeframe.H1
    targets: tuple[str, ...] = ()
    seed: int = 0
    workers: int = 0
    limits: FitLimits | None = None
    promote: bool = False
    ledger_url: str = ""
    registry_uri: str = ""
    kernel: KernelConfig = field(default_factory=KernelConfig)
    recipe: Recipe = field(default_factory=Recipe)


def run_training(options: TrainOptions, console: Console) -> dict[str, Any]:
    """Fit, judge out of fold, publish, and return the JSON object of `dexml train --json`.

    A fit that fails is named in `failed`; the others are published, and no champion changes.

    Raises
    ------
    UsageError
        If a target is unknown, or none of them has inputs.
    LeakFound
        If a feature or a label knows the future; nothing is fitted then.
    """
    began = time.perf_counter()
    wanted = _targets(options.targets)
    with ExitStack() as stack:
        folder = stack.enter_context(sandbox(options.home))
        stages = Stages(console, stack.enter_context(MemoryWatch()))
        recipe = options.recipe
        material = prepare(
            lambda: _market(options), stages, options.seed, options.kernel.universe, recipe.horizon
        )
        columns = tuple(material.panel.columns)
        specs = specifications(columns, options.seed, wanted, recipe)
        if options.targets:
            specs = {name: spec for name, spec in specs.items() if name in wanted}
        _refuse_nothing(specs, wanted)
        place, run = stack.enter_context(_place(options.home, folder))
        workers = options.workers or max(1, min(_n_cpus(), len(specs)))
        estimate = estimated_wall_s(specs, len(material.panel), workers)
        _say_plan(console, specs, material, workers, estimate, recipe)
        with stages.stage("fits", total=len(specs)) as step:
            outcomes = fit_members(
                material.panel,
                material.labels,
                specs,
                place,
                workers=workers,
                limits=options.limits,
                run=run,
                ended=lambda name, one: step.advance(1, _how(name, one)),
            )
        with stages.stage("ensemble"):
            truth = material.truth if recipe.horizon == 1 else None  # it is of the next bar
            trained = assemble(outcomes, material.panel, material.labels, recipe, truth)
        with stages.stage("registry"):
            result = _published(trained, options)
    result |= _facts(trained, material, options) | {
        "degraded": sorted(set(wanted) - set(specs)),
        "estimated_seconds": estimate,
        "stages": stages.to_dict(),
        "peak_rss_mb": stages.peak_mb(),
        "seconds": time.perf_counter() - began,
    }
    print_leaderboard(console, trained.board, result)
    return result


def _targets(names: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        rule, was = f"must be among {', '.join(TARGETS)}", ", ".join(unknown)
        raise UsageError("--target", rule, was, "Name one of them.")
    return tuple(name for name in TARGETS if name in names or not names)


def _market(options: TrainOptions) -> Market:
    if options.bars:
        recorded = recorded_market(options.bars, options.symbols)
        return History(bars=newest_closes(recorded, options.history)), None
    stored = None
    if not options.planted:
        stored = of_store(options.storage, options.symbols, options.timeframe, options.history)
    if stored is not None:
        return stored.history, None
    market = plant_market(
        options.symbols,
        n_bars=options.history,
        seed=options.seed,
        bayes_accuracy=options.bayes_accuracy,
    )
    return market.history, market.truth


# A submitted job finds Ray's address in its environment; without one there is nothing to gain.
@contextmanager
def _place(home: Path, temp_dir: Path) -> Iterator[tuple[Path, Run]]:
    if not os.environ.get("RAY_ADDRESS"):
        yield temp_dir / "models", run_fit
        return
    from actors.cluster_fits import fit_on_cluster, joined

    with joined(home / "fits" / f"train-{os.getpid()}", temp_dir) as shared:
        yield shared, fit_on_cluster


def _n_cpus() -> int:
    if not os.environ.get("RAY_ADDRESS"):
        return len(os.sched_getaffinity(0))
    import ray

    return int(ray.cluster_resources().get("CPU", 1))


def _how(name: str, outcome: FitOutcome) -> str:
    return f"{name} {'failed' if outcome.reason else 'fitted'}"


def _refuse_nothing(specs: dict[str, Any], wanted: tuple[str, ...]) -> None:
    if not specs:
        fix = "Import or backfill what they are made from, or name another target."
        raise UsageError("--target", "must have inputs", ", ".join(wanted), fix)


def _say_plan(
    console: Console,
    specs: dict[str, Any],
    material: Material,
    workers: int,
    seconds: float,
    recipe: Recipe,
) -> None:
    said = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    console.print(
        f"Fits: {', '.join(specs)}; profile {recipe.profile}, {len(material.panel):,} rows, "
        f"{workers} at a time; estimated time: {said}.",
        soft_wrap=True,
    )


def _published(trained: Trained, options: TrainOptions) -> dict[str, Any]:
    registry = Registry.of(options.home, options.registry_uri)
    at = SystemClock().now()
    alone = bool(options.targets)
    digests = publish(trained, registry, LocalSigner(options.home), at, alone=alone)
    offered = digests if alone else {SUITE: digests[SUITE]} if SUITE in digests else {}
    changes = {}
    if options.promote and not trained.failed:
        champions = {slot: registry.stages.read().champion(slot) for slot in offered}
        for slot, digest in offered.items():
            if champions[slot] != digest:
                changes[slot] = _promote(registry, digest, options)
    standing = registry.stages.read()
    return {
        "digests": digests,
        "stages_of": {slot: str(standing.stage(slot, digest)) for slot, digest in offered.items()},
        "promoted": sorted(changes),
        "champions": {slot: standing.champion(slot) for slot in standing.slots()},
    }


def _promote(registry: Registry, digest: str, options: TrainOptions) -> object:
    ledger = Ledger.open(options.ledger_url) if options.ledger_url else None
    why = "promoted by dexml train"
    at, by = SystemClock().now(), getpass.getuser()
    return promote(registry, digest, at=at, by=by, why=why, ledger=ledger)


def _facts(trained: Trained, material: Material, options: TrainOptions) -> dict[str, Any]:
    ensemble = None
    if trained.suite is not None and not options.targets:
        chosen = trained.suite.ensemble
        ensemble = {**trained.scores, "kind": chosen.combiner.kind, "losses": dict(chosen.losses)}
    bars = material.history.bars
    return {
        "targets": {name: _summary(name, trained) for name in trained.folders},
        "ensemble": ensemble,
        "failed": trained.failed,
        "leaderboard": _rows(trained.board),
        "profile": options.recipe.profile,
        "horizon": options.recipe.horizon,
        "seed": options.seed,
        "audit": {"checked": material.n_checked, "leaks": []},
        "instruments": sorted(bars),
        "rows": len(material.panel),
        "bayes_accuracy": None if material.truth is None else options.bayes_accuracy,
    }


def _summary(name: str, trained: Trained) -> dict[str, Any]:
    board, outcome = trained.board, trained.outcomes[name]
    report = outcome.report
    row = board[(board["target"] == name) & (board["model"] == "forecaster")].iloc[0]
    figures = ("accuracy", "log_loss", "baseline", "gain", "t", "edge_reached", "gap_reached", "n")
    cost = {} if report is None else {"seconds": report.seconds, "peak_rss_mb": report.peak_rss_mb}
    return _plain({one: row[one] for one in figures}) | cost


def _rows(board: pd.DataFrame) -> list[dict[str, Any]]:
    return [_plain(dict(row)) for row in board.to_dict("records")]


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    return {
        str(key): None if pd.isna(value) else value if isinstance(value, str) else float(value)
        for key, value in row.items()
    }
