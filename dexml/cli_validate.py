"""`dexml validate ...`: every way to judge models and strategies honestly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dexml.cli_options import (
    AsJson,
    BarFiles,
    Home,
    Seed,
    Symbols,
    extended_settings_of,
    guard_ray,
    seed_of,
    split_names,
    symbols_of,
)
from dexml.terminal import screen

if TYPE_CHECKING:
    from dexml.config import Settings

__all__ = ["validate_app"]

validate_app = typer.Typer(no_args_is_help=True, help="Judge models and strategies honestly.")

Targets = Annotated[str, typer.Option(help="Comma separated; names as in `dexml demo`'s table.")]
PredictionsOut = Annotated[
    Path | None,
    typer.Option(help="Parquet of every forecast: symbol, closed_at, target, fold, y, p."),
]
ReportOut = Annotated[Path | None, typer.Option(help="Write it all as one offline HTML file.")]
Budget = Annotated[str, typer.Option(help="Most time to take, as 45m; less is done for less.")]
BarCount = Annotated[int, typer.Option(min=1_000, help="Bars of each instrument, the newest.")]


def _checked(symbols: str, home: Path | None) -> tuple[Settings, tuple[str, ...]]:
    """Return the settings and the named instruments, or refuse before anything is started."""
    from dexml.doctor import require_place
    from dexml.preflight import check_symbols, refuse_unsupported

    settings = extended_settings_of(home)
    refuse_unsupported(settings, ("policy.horizon",))
    require_place("home", settings.home.absolute())
    return settings, check_symbols(symbols_of(symbols, settings))


@validate_app.command("walk-forward")
def walk_forward(
    bars: BarFiles = None,
    symbols: Symbols = "",
    targets: Targets = "direction,volatility,volume",
    train: Annotated[int, typer.Option(min=500, help="Training bars.")] = 8_760,
    test: Annotated[int, typer.Option(min=24, help="Test bars, and the step.")] = 720,
    folds: Annotated[int, typer.Option(min=1, help="At most this many, the newest.")] = 4,
    workers: Annotated[int, typer.Option(min=0, help="Folds at a time; 0: one a CPU.")] = 0,
    budget: Budget = "",
    seed: Seed = None,
    predictions_out: PredictionsOut = None,
    report_out: ReportOut = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Retrain at every step as Ray Tune trials, and score what was never seen."""
    settings, names = _checked(symbols, home)
    guard_ray()
    from actors.cost import budget_s
    from actors.validation import WalkForwardOptions, run_walk_forward

    options = WalkForwardOptions(
        home=settings.home.absolute(),
        bars=tuple(bars or ()),
        symbols=names,
        targets=split_names(targets),
        train=train,
        test=test,
        folds=folds,
        workers=workers,
        budget=budget_s(budget),
        seed=seed_of(seed, settings),
        predictions_out=predictions_out,
        kernel=settings.kernel(),
        recipe=settings.models.recipe(),
    )
    with screen(as_json) as shown:
        shown.result = run_walk_forward(options, shown.console)
        _write_report(report_out, shown.result, "walk-forward")


@validate_app.command()
def cpcv(
    bars: BarFiles = None,
    symbols: Symbols = "",
    targets: Targets = "direction,volatility,volume",
    history: BarCount = 3_000,
    groups: Annotated[int, typer.Option(min=3, max=20, help="Parts of the history.")] = 6,
    test_groups: Annotated[int, typer.Option(min=1, max=5, help="Parts judged at a time.")] = 2,
    workers: Annotated[int, typer.Option(min=0, help="Splits at a time; 0: one a CPU.")] = 0,
    budget: Budget = "",
    seed: Seed = None,
    predictions_out: PredictionsOut = None,
    report_out: ReportOut = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Judge on every choice of test groups, purged, stitched into many whole histories."""
    settings, names = _checked(symbols, home)
    guard_ray()
    from actors.cost import budget_s
    from actors.cpcv import CpcvOptions, run_cpcv

    options = CpcvOptions(
        home=settings.home.absolute(),
        bars=tuple(bars or ()),
        symbols=names,
        targets=split_names(targets),
        history=history,
        groups=groups,
        test_groups=test_groups,
        workers=workers,
        budget=budget_s(budget),
        seed=seed_of(seed, settings),
        predictions_out=predictions_out,
        kernel=settings.kernel(),
        recipe=settings.models.recipe(),
    )
    with screen(as_json) as shown:
        shown.result = run_cpcv(options, shown.console)
        _write_report(report_out, shown.result, "cpcv")


@validate_app.command("monte-carlo")
def monte_carlo(
    bars: BarFiles = None,
    symbols: Symbols = "",
    targets: Targets = "direction",
    history: BarCount = 3_000,
    simulations: Annotated[int, typer.Option(min=100, help="Histories that are drawn.")] = 1_000,
    ahead: Annotated[int, typer.Option(min=2, help="Bars of a GARCH price path.")] = 720,
    seed: Seed = None,
    predictions_out: PredictionsOut = None,
    report_out: ReportOut = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Fit once, trade the newer bars, and say how else it could have gone."""
    settings, names = _checked(symbols, home)
    from actors.holdout import HoldoutOptions, run_holdout

    options = HoldoutOptions(
        home=settings.home.absolute(),
        bars=tuple(bars or ()),
        symbols=names,
        targets=split_names(targets),
        history=history,
        simulations=simulations,
        ahead=ahead,
        seed=seed_of(seed, settings),
        predictions_out=predictions_out,
        kernel=settings.kernel(),
        recipe=settings.models.recipe(),
    )
    with screen(as_json) as shown:
        shown.result = run_holdout(options, shown.console)
        _write_report(report_out, shown.result, "monte-carlo")


@validate_app.command()
def backtest(
    bars: BarFiles = None,
    symbols: Symbols = "",
    targets: Targets = "direction,volatility,volume",
    history: BarCount = 3_000,
    seed: Seed = None,
    predictions_out: PredictionsOut = None,
    report_out: ReportOut = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Fit once on the older bars, and trade the newer ones with all costs."""
    settings, names = _checked(symbols, home)
    from actors.holdout import HoldoutOptions, run_holdout

    options = HoldoutOptions(
        home=settings.home.absolute(),
        bars=tuple(bars or ()),
        symbols=names,
        targets=split_names(targets),
        history=history,
        seed=seed_of(seed, settings),
        predictions_out=predictions_out,
        kernel=settings.kernel(),
        recipe=settings.models.recipe(),
    )
    with screen(as_json) as shown:
        shown.result = run_holdout(options, shown.console)
        _write_report(report_out, shown.result, "backtest")


@validate_app.command()
def planted(
    symbols: Symbols = "",
    targets: Targets = "direction,volatility,volume,sentiment,macro",
    bayes_accuracy: Annotated[
        float | None,
        typer.Option(
            min=0.5,
            max=0.86,
            help="Best possible accuracy of the market.",
            show_default="0.70, or with --seeds 0.59",
        ),
    ] = None,
    null: Annotated[bool, typer.Option("--null", help="A market without any edge.")] = False,
    seeds: Annotated[
        int, typer.Option(min=0, help="Judge so many null and planted markets; 0: one market.")
    ] = 0,
    budget: Budget = "",
    history: BarCount = 3_000,
    seed: Seed = None,
    predictions_out: PredictionsOut = None,
    report_out: ReportOut = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Fit a market whose best possible forecast is known, and say what share was reached."""
    settings, names = _checked(symbols, home)
    if seeds:
        _rates(settings, seeds, seed_of(seed, settings), bayes_accuracy, budget, as_json)
        return
    from actors.holdout import HoldoutOptions, run_holdout

    options = HoldoutOptions(
        home=settings.home.absolute(),
        symbols=names,
        targets=split_names(targets),
        history=history,
        bayes_accuracy=0.5 if null else bayes_accuracy or 0.70,
        seed=seed_of(seed, settings),
        predictions_out=predictions_out,
        kernel=settings.kernel(),
        recipe=settings.models.recipe(),
    )
    with screen(as_json) as shown:
        shown.result = run_holdout(options, shown.console)
        _write_report(report_out, shown.result, "planted")


def _rates(
    settings: Settings,
    seeds: int,
    seed: int,
    bayes_accuracy: float | None,
    budget: str,
    as_json: bool,
) -> None:
    from actors.cost import budget_s
    from actors.rates import RateOptions, run_rates

    options = RateOptions(
        home=settings.home.absolute(),
        seeds=seeds,
        seed=seed,
        bayes_accuracy=bayes_accuracy or 0.59,
        budget=budget_s(budget),
        kernel=settings.kernel(),
    )
    with screen(as_json) as shown:
        shown.result = run_rates(options, shown.console)


def _write_report(path: Path | None, result: dict[str, Any], name: str) -> None:
    if path is None:
        return
    from dexml.folders import write_durably
    from dexml.report import render_report

    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    html = render_report(result | {"run": f"validate {name}"})
    write_durably(path.absolute(), html.encode())
    result["report"] = str(path)
