"""The `dexml` command. Every command imports what it needs itself, so that `--help` is instant."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from dexml import __version__
from dexml.cli_audit import add_audit_command
from dexml.cli_chain import chain_app
from dexml.cli_config import config_app
from dexml.cli_data import add_data_commands
from dexml.cli_ledger import Run, has_ledger, latest_run, opened_ledger
from dexml.cli_models import models_app
from dexml.cli_modes import add_mode_commands
from dexml.cli_options import (
    AsJson,
    BarFiles,
    Home,
    Seed,
    Symbols,
    extended_settings_of,
    guard_ray,
    home_of,
    seed_of,
    settings_of,
    symbols_of,
)
from dexml.cli_report import add_report_command
from dexml.cli_train import add_train_command
from dexml.cli_validate import validate_app
from dexml.terminal import Screen, screen
from dexml.terminal import run as run_app

if TYPE_CHECKING:
    from dexml.ledger import Ledger

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Machine learning that trades on a DEX, and honest evidence of whether it works.",
    pretty_exceptions_enable=False,
)
app.add_typer(validate_app, name="validate")
add_audit_command(app)
add_data_commands(app)
add_mode_commands(app)
add_report_command(app)
add_train_command(app)
app.add_typer(chain_app, name="chain")
app.add_typer(config_app, name="config")
app.add_typer(models_app, name="models")


def main() -> NoReturn:
    """Run the command line; every failure is one sentence and an exit code."""
    code = run_app(app)
    logging.shutdown()
    with suppress(BrokenPipeError):  # whoever reads has heard enough
        sys.stdout.flush()
        sys.stderr.flush()
    # when Python ends, a thread of a library has aborted commands that had ended well
    os._exit(code)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"dexml {__version__}")  # noqa: T201
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say which it is."),
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    bars: BarFiles = None,
    symbols: Symbols = "",
    cycles: Annotated[int, typer.Option(min=1, max=20_000, help="Bars to live through.")] = 50,
    history: Annotated[
        int, typer.Option(min=0, max=100_000, help="Bars of history; 0: what suits.")
    ] = 0,
    bayes_accuracy: Annotated[
        float, typer.Option(min=0.5, max=0.86, help="Best possible accuracy of the planted market.")
    ] = 0.70,
    seed: Seed = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port of the page; 0: any free one.")
    ] = None,
    keep: Annotated[bool, typer.Option(help="Stay up until Ctrl-C.")] = False,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Run the whole system here: exchanges, training, serving, trading on paper, a report."""
    from dexml.preflight import check_machine, demo_bars, refuse_unsupported

    settings = extended_settings_of(home)
    refuse_unsupported(settings)
    names = symbols_of(symbols, settings)
    wanted = demo_bars(tuple(bars or ()), names, history, cycles)
    place = settings.home.absolute()
    if port is None and "port" in settings.serve.model_fields_set:
        port = settings.serve.port
    check_machine(settings, port)
    guard_ray()
    with screen(as_json) as shown:
        from actors.demo import DemoOptions, run_demo

        options = DemoOptions(
            home=place,
            bars=tuple(bars or ()),
            recorded=wanted.bars,
            symbols=names,
            cycles=cycles,
            history=wanted.n_history,
            bayes_accuracy=bayes_accuracy,
            seed=seed_of(seed, settings),
            port=port,
            keep=keep,
            exchanges=settings.data.exchanges,
            ledger_url=settings.ledger_url,
            registry_uri=settings.registry_uri or "",
            kernel=settings.kernel(),
            recipe=settings.models.recipe(),
        )
        shown.result = run_demo(options, shown.console)


@app.command()
def doctor(as_json: AsJson = False, home: Home = None) -> None:
    """Say what this machine has and lacks, with the fix for each."""
    from dexml.doctor import examine

    with screen(as_json) as shown:
        findings = examine(home_of(home))
        for finding in findings:
            shown.console.print(finding.line(), soft_wrap=True)
        shown.result = {"findings": [finding.to_dict() for finding in findings]}
    if not all(finding.ok for finding in findings):
        raise typer.Exit(3)


@app.command()
def replay(
    run: Run = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="From stored data and models, not from signals.")
    ] = False,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Decide a recorded run again from its events and compare every byte.

    With --deep the events themselves are made again: bars and features from the data as they were
    known then, forecasts from the models by digest. A changed bar, model byte or line of code
    shows, and is named.
    """
    from dexml.experiments.replay import replay_run

    with opened_ledger(home) as ledger, screen(as_json) as shown:
        name = run or latest_run(ledger)
        if deep:
            identical = _replay_deep(shown, ledger, name, home)
        else:
            report = replay_run(ledger, name)
            identical = report.identical
            said = "identical" if identical else f"first difference: {report.first_difference}"
            shown.console.print(f"{name}: {report.decisions} decisions, {said}.", soft_wrap=True)
            figures = {"identical": identical, "decisions": report.decisions}
            shown.result = {"run": name, **figures}
    if not identical:
        raise typer.Exit(1)


def _replay_deep(shown: Screen, ledger: Ledger, run: str, home: Path | None) -> bool:
    from dexml.experiments.deep_replay import replay_deep

    report = replay_deep(ledger, run, home_of(home), settings_of(home).registry_uri)
    said = "identical" if report.identical else "not identical"
    shown.console.print(
        f"{run}: {report.closes} closes, {report.forecasts} forecasts and {report.decisions} "
        f"decisions made again, {said}."
    )
    for warning in report.warnings:
        shown.console.print(f"Warning: {warning}.", soft_wrap=True, markup=False)
    for difference in report.differences:
        shown.console.print(difference.line(), soft_wrap=True, markup=False)
    shown.result = {"run": run, **report.to_dict()}
    return report.identical


@app.command()
def status(run: Run = None, as_json: AsJson = False, home: Home = None) -> None:
    """Say what a run stands at: mode, equity, positions, data, alerts; works with Ray dead.

    Without any run it says what the store holds, and how far that can be trusted. Exit code 1:
    a file of the store is torn.
    """
    from dexml.data.heard import heard_lines
    from dexml.status import data_lines, heard_now, status_lines, status_of, stored_data, torn_files

    settings = settings_of(home)
    data, told = [], []
    if run is None and not has_ledger(settings):
        data = stored_data(settings.storage_path, universe=settings.universe.config())
        told = heard_now(settings.storage_path)
    if data or told:
        with screen(as_json) as shown:
            shown.result = {"run": None, "data": data, "heard": told}
            for line in (*data_lines(data), *heard_lines(told)):
                shown.console.print(line, soft_wrap=True, markup=False)
    else:
        with opened_ledger(home) as ledger, screen(as_json) as shown:
            name = run or latest_run(ledger)
            store = settings.home.absolute() / "runs" / name / "store"
            shown.result = status_of(ledger, name, store=store if store.is_dir() else None)
            for line in status_lines(shown.result):
                shown.console.print(line, soft_wrap=True, markup=False)
    if torn_files(shown.result["data"]):
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
