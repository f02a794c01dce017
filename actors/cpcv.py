"""`dexml validate cpcv`: every choice of test groups as a trial, stitched into whole histories."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import ray
from rich.console import Console

from actors import cluster
from actors.cost import most_within
from actors.material import Market, Material, parse_targets, prepare, write_predictions
from actors.sandbox import MemoryWatch, sandbox
from actors.stages import Stages
from actors.tables import print_verdict
from actors.tuning import choices_of, run_folds
from actors.validation import (
    EMBARGO,
    PURGE,
    cost_of,
    fold_configuration,
    n_workers,
    plan_of,
    say_budget,
    say_cost,
)
from dexml.domain import History
from dexml.experiments.evidence import Judged, judge_forecasts, trade_forecasts
from dexml.experiments.folds import FoldSpec
from dexml.experiments.sources import plant_market, recorded_market
from dexml.experiments.specifications import specifications
from dexml.models.profiles import FitSpec
from dexml.models.recipe import Recipe
from dexml.models.suite import ENSEMBLE
from dexml.state import KernelConfig
from dexml.validation.combinatorial import CombinatorialSplits, combinatorial_splits
from dexml.validation.metrics import accuracy, log_loss
from dexml.validation.splits import bar_step

__all__ = ["CpcvOptions", "path_of", "run_cpcv"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CpcvOptions:
    """What the user asked for.

    Attributes
    ----------
    bars, symbols : tuple
        Recorded bars; without any, the built-in market of `bayes_accuracy`.
    history : int
        Bars of each instrument, the newest.
    groups, test_groups : int
        Parts of the history, and how many of them each split is judged on.
    budget : float, optional
        Seconds; fewer groups if the estimate is above.
    """

    home: Path
    bars: tuple[Path, ...] = ()
    symbols: tuple[str, ...] = ()
    targets: tuple[str, ...] = ("direction", "volatility", "volume")
    history: int = 3_000
    groups: int = 6
    test_groups: int = 2
    seed: int = 0
    workers: int = 0
    budget: float | None = None
    predictions_out: Path | None = None
    kernel: KernelConfig = field(default_factory=KernelConfig)
    recipe: Recipe = field(default_factory=Recipe)


def run_cpcv(options: CpcvOptions, console: Console) -> dict[str, Any]:
    """Run the splits and return the JSON object of `dexml validate cpcv --json`.

    Splits that ended are kept under `home` until the whole run has, so a run that was stopped goes
    on where it was. The tables judge the first path; `paths` has what trading each of them gave.

    Raises
    ------
    UsageError
        If a target is unknown, or the budget pays no split.
    DataError
        If the history is too short for the groups.
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
        with stages.stage("Ray"):
            cluster.join_or_start(temp_dir, num_cpus=options.workers or None)
            stack.callback(ray.shutdown)
        columns = tuple(material.panel.columns)
        specs = specifications(columns, spec.seed, spec.targets, spec.recipe).values()
        cut, estimate = _cut(material, options, specs, console)
        choices = choices_of(cut.splits, material.closed_at)
        configuration = fold_configuration(spec, choices)
        plan = plan_of(options.home, material, spec, choices, configuration)
        with stages.stage("fits", total=len(choices)) as step:
            forecasts = run_folds(
                plan, options.workers, lambda fold: step.advance(1, f"split {fold + 1} ended")
            )
        with stages.stage("judging"):
            result = _judge(forecasts, cut, material, options, configuration)
        write_predictions(options.predictions_out, forecasts)
        shutil.rmtree(plan.folder)
    result |= {
        "seed": options.seed,
        "audit": {"checked": material.n_checked, "leaks": []},
        "fits": len(choices) * len(specs),
        "estimated_seconds": estimate,
        "folds": [choice.to_dict() for choice in choices],
        "stages": stages.to_dict(),
        "peak_rss_mb": stages.peak_mb(),
        "seconds": time.perf_counter() - began,
    }
    print_verdict(console, result)
    return result


def _market(options: CpcvOptions) -> Market:
    if options.bars:
        bars = recorded_market(options.bars, options.symbols, options.history)
        return History(bars=bars), None
    market = plant_market(
        options.symbols, n_bars=options.history, seed=options.seed, bayes_accuracy=0.70
    )
    return market.history, market.truth


def _cut(
    material: Material, options: CpcvOptions, specs: Collection[FitSpec], console: Console
) -> tuple[CombinatorialSplits, float]:
    bar, workers = bar_step(material.closed_at), n_workers(options.workers)

    def cut(groups: int) -> CombinatorialSplits:
        return combinatorial_splits(
            material.closed_at,
            n_groups=groups,
            n_test=options.test_groups,
            purge=bar * PURGE,
            embargo=bar * EMBARGO,
        )

    paid = most_within(
        options.budget,
        options.groups,
        options.test_groups + 1,
        lambda n: cost_of(list(cut(n).splits), specs, workers),
        "groups",
    )
    say_budget(console, options.budget, options.groups, paid, "groups")
    found = cut(paid)
    console.print(
        f"{comb(paid, options.test_groups)} splits of {paid} groups make {len(found.paths)} paths."
    )
    return found, say_cost(console, list(found.splits), specs, workers)


def _judge(
    forecasts: pd.DataFrame,
    cut: CombinatorialSplits,
    material: Material,
    options: CpcvOptions,
    configuration: str,
) -> dict[str, Any]:
    judged = Judged(
        forecasts=path_of(forecasts, cut, material.closed_at, 0),
        bars=material.history.bars,
        truth=material.truth,
        trials=material.place(options.home) / "trials",
        configuration=configuration,
        kernel=options.kernel,
        seed=options.seed,
    )
    result = judge_forecasts(judged)
    if result["strategy"] is None:
        return result | {"paths": []}
    paths = [
        _path_figures(
            replace(judged, forecasts=path_of(forecasts, cut, material.closed_at, number))
        )
        for number in range(len(cut.paths))
    ]
    return result | {"paths": paths} | _verdict(result, paths)


def path_of(
    forecasts: pd.DataFrame, cut: CombinatorialSplits, closed_at: pd.DatetimeIndex, path: int
) -> pd.DataFrame:
    """Return the forecasts of one path, each row once.

    Parameters
    ----------
    forecasts : DataFrame
        Of all splits; `fold` is the number of the split.
    closed_at : DatetimeIndex, shape (n_rows,)
        Close of each row that was cut.
    """
    instants, first = np.unique(closed_at.asi8, return_index=True)
    groups = cut.groups[first]
    stamps = pd.DatetimeIndex(forecasts["closed_at"]).as_unit(closed_at.unit).asi8
    wanted = cut.paths[path][groups[np.searchsorted(instants, stamps)]]
    rows: pd.DataFrame = forecasts.loc[forecasts["fold"].to_numpy() == wanted]
    return rows.reset_index(drop=True)


def _path_figures(judged: Judged) -> dict[str, float]:
    metrics = trade_forecasts(judged).metrics
    said = judged.forecasts[judged.forecasts["target"] == ENSEMBLE].dropna(subset=["y", "p"])
    names = ("sharpe_ratio", "total_return", "max_drawdown", "turnover")
    return {
        **{name: metrics[name] for name in names},
        "accuracy": accuracy(said["y"], said["p"]),
        "log_loss": log_loss(said["y"], said["p"]),
    }


def _verdict(result: dict[str, Any], paths: list[dict[str, float]]) -> dict[str, Any]:
    sharpe = np.array([one["sharpe_ratio"] for one in paths])
    n_up = int((sharpe > 0).sum())
    said = (
        f"{n_up} of {len(paths)} paths have a Sharpe ratio above 0 (mean {sharpe.mean():.2f}, "
        f"deviation {sharpe.std(ddof=1) if len(sharpe) > 1 else 0.0:.2f}); models of early groups "
        "saw later ones, so this is no backtest."
    )
    return {
        "edge": bool(result["edge"] and n_up == len(paths)),
        "verdict": f"{result['verdict']} {said}",
        "path_sharpe": {"mean": float(sharpe.mean()), "low": float(sharpe.min())},
    }
