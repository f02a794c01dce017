"""`dexml validate walk-forward`: retrain at every step on Ray, judge what was never seen."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import ray
from rich.console import Console

from actors import cluster
from actors.cost import fit_seconds, most_within, spoken
from actors.material import Market, Material, parse_targets, prepare, write_predictions
from actors.sandbox import MemoryWatch, sandbox
from actors.stages import Stages
from actors.tables import print_verdict
from actors.tuning import Choice, FoldPlan, Window, refuse_unshared, run_folds, windows_of
from dexml.domain import History
from dexml.errors import UsageError
from dexml.experiments.evidence import Judged, judge_forecasts
from dexml.experiments.folds import FoldSpec
from dexml.experiments.identity import code_digest, configuration_digest
from dexml.experiments.sources import plant_market, recorded_market
from dexml.experiments.specifications import specifications
from dexml.features.panel import WARM_UP
from dexml.models.profiles import FitSpec
from dexml.models.recipe import Recipe
from dexml.state import KernelConfig
from dexml.validation.splits import Split, bar_step, walk_forward

__all__ = [
    "EMBARGO",
    "PURGE",
    "WalkForwardOptions",
    "cost_of",
    "fold_configuration",
    "n_workers",
    "plan_of",
    "run_walk_forward",
    "say_budget",
    "say_cost",
    "splits_of",
]

HORIZON, LABEL_LOOK_BACK = 1, 20  # the 20-bar deviation is the label that looks back farthest
PURGE, EMBARGO = HORIZON + LABEL_LOOK_BACK, 24


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkForwardOptions:
    """What the user asked for.

    Attributes
    ----------
    bars, symbols : tuple
        Recorded bars; without any, the built-in market.
    train, test : int
        Bars learnt from, and judged; the step is `test`.
    folds : int
        At most so many, the newest.
    workers : int
        Folds at a time; 0: as many as there are CPUs.
    budget : float, optional
        Seconds; fewer folds, the newest, if the estimate is above.
    """

    home: Path
    bars: tuple[Path, ...] = ()
    symbols: tuple[str, ...] = ()
    targets: tuple[str, ...] = ("direction", "volatility", "volume")
    train: int = 8_760
    test: int = 720
    folds: int = 4
    seed: int = 0
    workers: int = 0
    budget: float | None = None
    predictions_out: Path | None = None
    kernel: KernelConfig = field(default_factory=KernelConfig)
    recipe: Recipe = field(default_factory=Recipe)

    @property
    def n_bars(self) -> int:
        """Bars that all folds need, warm-up included."""
        return WARM_UP + self.train + PURGE + EMBARGO + self.folds * self.test


def run_walk_forward(options: WalkForwardOptions, console: Console) -> dict[str, Any]:
    """Run the folds and return the JSON object of `dexml validate walk-forward --json`.

    Folds that ended are kept under `home` until the whole run has, so a run that was stopped goes
    on where it was.

    Raises
    ------
    UsageError
        If a target is unknown or the history is too short for one fold.
    LeakFound
        If a feature or a label knows the future; nothing is fitted then.
    """
    began = time.perf_counter()
    spec = FoldSpec(
        targets=parse_targets(options.targets), seed=options.seed, recipe=options.recipe
    )
    with ExitStack() as stack:
        temp_dir = stack.enter_context(sandbox())
        stages = Stages(console, stack.enter_context(MemoryWatch()))
        material = prepare(lambda: _market(options), stages, options.seed, options.kernel.universe)
        splits = splits_of(material.closed_at, options)
        with stages.stage("Ray"):
            cluster.join_or_start(temp_dir, num_cpus=options.workers or None)
            stack.callback(ray.shutdown)
        columns = tuple(material.panel.columns)
        specs = specifications(columns, spec.seed, spec.targets, spec.recipe).values()
        workers = n_workers(options.workers)
        paid = most_within(
            options.budget,
            len(splits),
            1,
            lambda n: cost_of(splits[-n:], specs, workers),
            "fold",
        )
        say_budget(console, options.budget, len(splits), paid, "folds, the newest")
        splits = splits[-paid:]
        estimate = say_cost(console, splits, specs, workers)
        windows = windows_of(splits, material.closed_at)
        configuration = fold_configuration(spec, windows)
        plan = plan_of(options.home, material, spec, windows, configuration)
        with stages.stage("fits", total=len(splits)) as step:
            forecasts = run_folds(
                plan, options.workers, lambda fold: step.advance(1, f"fold {fold + 1} ended")
            )
        with stages.stage("judging"):
            result = judge_forecasts(
                Judged(
                    forecasts=forecasts,
                    bars=material.history.bars,
                    truth=material.truth,
                    trials=material.place(options.home) / "trials",
                    configuration=configuration,
                    kernel=options.kernel,
                )
            )
        write_predictions(options.predictions_out, forecasts)
        shutil.rmtree(plan.folder)
    result |= {
        "seed": options.seed,
        "audit": {"checked": material.n_checked, "leaks": []},
        "fits": len(splits) * len(specs),
        "estimated_seconds": estimate,
        "folds": [window.to_dict() for window in windows],
        "stages": stages.to_dict(),
        "peak_rss_mb": stages.peak_mb(),
        "seconds": time.perf_counter() - began,
    }
    print_verdict(console, result)
    return result


def _market(options: WalkForwardOptions) -> Market:
    if options.bars:
        return History(bars=recorded_market(options.bars, options.symbols)), None
    market = plant_market(
        options.symbols, n_bars=options.n_bars, seed=options.seed, bayes_accuracy=0.70
    )
    return market.history, market.truth


def splits_of(closed_at: pd.DatetimeIndex, options: WalkForwardOptions) -> list[Split]:
    """Return the newest folds that fit, oldest first; the last ends with the newest row.

    Parameters
    ----------
    closed_at : DatetimeIndex, shape (n_rows,)
        Close of each row of the panel, ascending.

    Raises
    ------
    UsageError
        If not even one fold fits.
    """
    step = bar_step(closed_at)
    train, test, lost = step * options.train, step * options.test, step * (PURGE + EMBARGO)
    end = closed_at.max() + step
    n_folds = min(options.folds, int((end - closed_at.min() - train - lost) // test))
    if n_folds < 1:
        raise UsageError(
            "history",
            f"must have {WARM_UP + options.train + PURGE + EMBARGO + options.test} bars for a fold",
            WARM_UP + closed_at.nunique(),
            "Give longer files with --bars, or a shorter --train or --test.",
        )
    offset = int((closed_at < end - train - lost - n_folds * test).sum())
    splits = walk_forward(
        closed_at[offset:], train, test, purge=step * PURGE, embargo=step * EMBARGO
    )
    return [Split(train=one.train + offset, test=one.test + offset) for one in splits]


def n_workers(wanted: int) -> int:
    """Return how many folds run at a time; 0 wants as many as there are CPUs."""
    cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
    return min(wanted or cpus, cpus)


def cost_of(splits: list[Split], specs: Collection[FitSpec], workers: int) -> float:
    """Return the seconds that the folds take; the last round of workers may be half empty."""
    work = fit_seconds(specs, *(len(one.train) for one in splits))
    return work / len(splits) * -(-len(splits) // min(workers, len(splits)))


def say_cost(
    console: Console, splits: list[Split], specs: Collection[FitSpec], workers: int
) -> float:
    """Print how many fits there are and how long they take; return the seconds."""
    n_fits, seconds = len(splits) * len(specs), cost_of(splits, specs, workers)
    rows = sum(len(split.train) for split in splits) / len(splits)
    console.print(
        f"Folds: {len(splits)}, {min(workers, len(splits))} at a time; fits: {n_fits}, of about "
        f"{rows:,.0f} rows each; estimated time: {spoken(seconds)}."
    )
    return seconds


def say_budget(console: Console, budget: float | None, wanted: int, paid: int, what: str) -> None:
    """Print what a budget left of what was asked for."""
    if budget is not None:
        console.print(f"The budget of {spoken(budget)} pays {paid} of {wanted} {what}.")


def fold_configuration(spec: FoldSpec, windows: tuple[Window | Choice, ...]) -> str:
    """Return the digest of all that decides the forecasts of folds."""
    return configuration_digest(
        {
            "code": code_digest(),
            "spec": asdict(spec),
            "windows": [window.to_dict() for window in windows],
        }
    )


def plan_of(
    home: Path,
    material: Material,
    spec: FoldSpec,
    windows: tuple[Window | Choice, ...],
    configuration: str,
) -> FoldPlan:
    """Put on disk what the folds share, in a folder of their configuration."""
    folder = material.place(home) / configuration[:16]
    folder.mkdir(parents=True, exist_ok=True)
    refuse_unshared(folder)
    panel, known = folder / "panel.parquet", folder / "labels.parquet"
    material.panel.to_parquet(panel)
    material.labels.to_parquet(known)
    return FoldPlan(
        panel=str(panel), labels=str(known), folder=str(folder), windows=windows, spec=spec
    )
