"""`dexml validate backtest` and `planted`: one fit without Ray, judged on the newest rows."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from actors.cost import fit_seconds, spoken
from actors.material import Market, Material, parse_targets, prepare, write_predictions
from actors.sandbox import MemoryWatch, sandbox
from actors.stages import Stages
from actors.tables import print_verdict
from dexml.domain import History, Target
from dexml.experiments.evidence import Judged, judge_forecasts
from dexml.experiments.folds import FoldSpec, forecast_fold
from dexml.experiments.identity import code_digest, configuration_digest
from dexml.experiments.simulating import simulate_prices
from dexml.experiments.sources import plant_market, recorded_market
from dexml.experiments.specifications import specifications
from dexml.experiments.training import TimeSplit, split_in_time
from dexml.models.recipe import Recipe
from dexml.state import KernelConfig

__all__ = ["HoldoutOptions", "run_holdout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutOptions:
    """What the user asked for.

    Attributes
    ----------
    bars, symbols : tuple
        Recorded bars; without any, the built-in market of `bayes_accuracy`.
    history : int
        Bars of each instrument, the newest; the last 28% of their rows are judged.
    simulations, ahead : int
        Of the Monte Carlo, and how many bars GARCH price paths look ahead; 0: none.
    """

    home: Path
    bars: tuple[Path, ...] = ()
    symbols: tuple[str, ...] = ()
    targets: tuple[str, ...] = tuple(str(target) for target in Target)
    history: int = 3_000
    bayes_accuracy: float = 0.70
    seed: int = 0
    simulations: int = 1_000
    ahead: int = 0
    predictions_out: Path | None = None
    kernel: KernelConfig = field(default_factory=KernelConfig)
    recipe: Recipe = field(default_factory=Recipe)


def run_holdout(options: HoldoutOptions, console: Console) -> dict[str, Any]:
    """Fit once on the older rows, judge the newer, and return the JSON object of the command.

    Raises
    ------
    UsageError
        If a target is unknown or the history is too short.
    LeakFound
        If a feature or a label knows the future; nothing is fitted then.
    """
    began = time.perf_counter()
    spec = FoldSpec(
        targets=parse_targets(options.targets), seed=options.seed, recipe=options.recipe
    )
    with ExitStack() as stack:
        folder = stack.enter_context(sandbox())
        stages = Stages(console, stack.enter_context(MemoryWatch()))
        material = prepare(lambda: _market(options), stages, options.seed, options.kernel.universe)
        split = split_in_time(material.panel)
        columns = tuple(split.train.columns)
        specs = specifications(columns, spec.seed, spec.targets, spec.recipe).values()
        n_fits, estimate = len(specs), fit_seconds(specs, len(split.train))
        console.print(
            f"{n_fits} fits of {len(split.train):,} rows; estimated time: {spoken(estimate)}."
        )
        with stages.stage("fits", total=n_fits) as step:
            forecasts = forecast_fold(
                split.train,
                split.test,
                material.labels,
                spec,
                folder / "models",
                lambda name: step.advance(1, f"{name} ended"),
                past=material.panel,
            ).assign(fold=0)
        with stages.stage("judging"):
            result = judge_forecasts(
                Judged(
                    forecasts=forecasts,
                    bars=material.history.bars,
                    truth=material.truth,
                    trials=material.place(options.home) / "trials",
                    configuration=_configuration(spec, split),
                    kernel=options.kernel,
                    simulations=options.simulations,
                    seed=options.seed,
                )
            )
        result |= _prices(options, material, stages)
        write_predictions(options.predictions_out, forecasts)
    result |= {
        "seed": options.seed,
        "audit": {"checked": material.n_checked, "leaks": []},
        "fits": n_fits,
        "estimated_seconds": estimate,
        "bayes_accuracy": None if options.bars else options.bayes_accuracy,
        "stages": stages.to_dict(),
        "peak_rss_mb": stages.peak_mb(),
        "seconds": time.perf_counter() - began,
    }
    print_verdict(console, result)
    _say_share(console, material, result)
    return result


def _prices(options: HoldoutOptions, material: Material, stages: Stages) -> dict[str, Any]:
    if not options.ahead:
        return {}
    with stages.stage("price paths"):
        found = simulate_prices(
            material.history.bars, options.ahead, options.simulations, options.seed
        )
    return {"prices": found}


def _market(options: HoldoutOptions) -> Market:
    if options.bars:
        bars = recorded_market(options.bars, options.symbols, options.history)
        return History(bars=bars), None
    market = plant_market(
        options.symbols,
        n_bars=options.history,
        seed=options.seed,
        bayes_accuracy=options.bayes_accuracy,
    )
    return market.history, market.truth


def _configuration(spec: FoldSpec, split: TimeSplit) -> str:
    first = split.test.index.get_level_values("closed_at").min()
    return configuration_digest(
        {"code": code_digest(), "spec": asdict(spec), "first_test": first.isoformat()}
    )


def _say_share(console: Console, material: Material, result: dict[str, Any]) -> None:
    if material.truth is None or result["ensemble"] is None:
        return
    share = result["ensemble"]["edge_reached"]
    if share is None:
        console.print("Nothing can be known about the next move here: no edge could be reached.")
    else:
        console.print(f"Share of the edge that was reached: {share:.1%}.")
