"""`dexml validate ...`: every way to judge models and strategies honestly."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dexml.cli_options import (
    AsJson,
    BarFiles,
    Home,
    Seed,
    Symbols,
    guard_ray,
    home_of,
    seed_of,
    settings_of,
    split_names,
)
from dexml.terminal import screen

__all__ = ["validate_app"]

validate_app = typer.Typer(no_args_is_help=True, help="Judge models and strategies honestly.")

Targets = Annotated[str, typer.Option(help="Comma separated; names as in `dexml demo`'s table.")]
PredictionsOut = Annotated[
    Path | None,
    typer.Option(help="Parquet of every forecast: symbol, closed_at, target, fold, y, p."),
]
BarCount = Annotated[int, typer.Option(min=1_000, help="Bars of each instrument, the newest.")]


@validate_app.command("walk-forward")
def walk_forward(
    bars: BarFiles = None,
    symbols: Symbols = "",
    targets: Targets = "direction,volatility,volume",
    train: Annotated[int, typer.Option(min=500, help="Training bars.")] = 8_760,
    test: Annotated[int, typer.Option(min=24, help="Test bars, and the step.")] = 720,
    folds: Annotated[int, typer.Option(min=1, help="At most this many, the newest.")] = 4,
    workers: Annotated[int, typer.Option(min=0, help="Folds at a time; 0: one a CPU.")] = 0,
    seed: Seed = None,
    predictions_out: PredictionsOut = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Retrain at every step as Ray Tune trials, and score what was never seen."""
    guard_ray()
    from actors.validation import WalkForwardOptions, run_walk_forward

    options = WalkForwardOptions(
        home=home_of(home),
        bars=tuple(bars or ()),
        symbols=split_names(symbols),
        targets=split_names(targets),
        train=train,
        test=test,
        folds=folds,
        workers=workers,
        seed=seed_of(seed, settings_of(home)),
        predictions_out=predictions_out,
    )
    with screen(as_json) as shown:
        shown.result = run_walk_forward(options, shown.console)


@validate_app.command()
def backtest(
    bars: BarFiles = None,
    symbols: Symbols = "",
    targets: Targets = "direction,volatility,volume",
    history: BarCount = 3_000,
    seed: Seed = None,
    predictions_out: PredictionsOut = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Fit once on the older bars, and trade the newer ones with all costs."""
    from actors.holdout import HoldoutOptions, run_holdout

    options = HoldoutOptions(
        home=home_of(home),
        bars=tuple(bars or ()),
        symbols=split_names(symbols),
        targets=split_names(targets),
        history=history,
        seed=seed_of(seed, settings_of(home)),
        predictions_out=predictions_out,
    )
    with screen(as_json) as shown:
        shown.result = run_holdout(options, shown.console)


@validate_app.command()
def planted(
    symbols: Symbols = "",
    targets: Targets = "direction,volatility,volume,sentiment,macro",
    bayes_accuracy: Annotated[
        float, typer.Option(min=0.5, max=0.86, help="Best possible accuracy of the market.")
    ] = 0.70,
    null: Annotated[bool, typer.Option("--null", help="A market without any edge.")] = False,
    history: BarCount = 3_000,
    seed: Seed = None,
    predictions_out: PredictionsOut = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Fit a market whose best possible forecast is known, and say what share was reached."""
    from actors.holdout import HoldoutOptions, run_holdout

    options = HoldoutOptions(
        home=home_of(home),
        symbols=split_names(symbols),
        targets=split_names(targets),
        history=history,
        bayes_accuracy=0.5 if null else bayes_accuracy,
        seed=seed_of(seed, settings_of(home)),
        predictions_out=predictions_out,
    )
    with screen(as_json) as shown:
        shown.result = run_holdout(options, shown.console)
