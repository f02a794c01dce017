"""The `dexml` command. Every command imports what it needs itself, so that `--help` is instant."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from dexml.cli_options import (
    AsJson,
    BarFiles,
    Home,
    Seed,
    Symbols,
    guard_ray,
    print_json,
    split_names,
)
from dexml.cli_validate import validate_app
from dexml.errors import DexmlError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Machine learning that trades on a DEX, and honest evidence of whether it works.",
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(no_args_is_help=True, help="Show the configuration and where it is from.")
app.add_typer(validate_app, name="validate")
app.add_typer(config_app, name="config")


def main() -> NoReturn:
    """Run the command line; every failure is one sentence and an exit code."""
    try:
        app(standalone_mode=True)
    except DexmlError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("Stopped. Nothing is left running.", 130)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        place = error.filename or "the disk"
        _fail(f"{place} cannot be written: {error.strerror}. Free space or give another --home.", 3)
    sys.exit(0)


def _fail(sentence: str, code: int) -> NoReturn:
    Console(stderr=True, highlight=False).print(sentence, markup=False, soft_wrap=True)
    sys.exit(code)


@app.command()
def demo(
    bars: BarFiles = None,
    symbols: Symbols = "",
    cycles: Annotated[int, typer.Option(min=1, help="Bars to live through.")] = 50,
    history: Annotated[int, typer.Option(min=0, help="Bars of history; 0: what suits.")] = 0,
    bayes_accuracy: Annotated[
        float, typer.Option(min=0.5, max=0.86, help="Best possible accuracy of the planted market.")
    ] = 0.70,
    seed: Seed = 0,
    port: Annotated[int | None, typer.Option(help="Port of the page; 0: any free one.")] = None,
    keep: Annotated[bool, typer.Option(help="Stay up until Ctrl-C.")] = False,
    as_json: AsJson = False,
    home: Home = Path(".dexml"),
) -> None:
    """Run the whole system here: exchanges, training, serving, trading on paper, a report."""
    guard_ray()
    from actors.demo import DemoOptions, run_demo

    console = Console(stderr=as_json, highlight=False)
    options = DemoOptions(
        home=home.absolute(),
        bars=tuple(bars or ()),
        symbols=split_names(symbols),
        cycles=cycles,
        history=history,
        bayes_accuracy=bayes_accuracy,
        seed=seed,
        port=port,
        keep=keep,
    )
    result = run_demo(options, console)
    if as_json:
        print_json(result)


@app.command()
def doctor(as_json: AsJson = False, home: Home = Path(".dexml")) -> None:
    """Say what this machine has and lacks, with the fix for each."""
    from dexml.doctor import examine

    findings = examine(home.absolute())
    console = Console(stderr=as_json, highlight=False)
    for finding in findings:
        mark = "[green]ok[/green]     " if finding.ok else "[red]missing[/red]"
        console.print(f"{mark}  {finding.what}: {finding.seen}")
        if not finding.ok:
            console.print(f"         {finding.fix}")
    if as_json:
        print_json({"findings": [finding.to_dict() for finding in findings]})
    if not all(finding.ok for finding in findings):
        raise typer.Exit(3)


@app.command()
def audit(
    bars: BarFiles = None,
    symbols: Symbols = "",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Prove that no feature and no label knows the future; with no bars, on the built-in market."""
    from dexml.experiments.sources import load_history
    from dexml.features.audit import audit as run_audit
    from dexml.targets import labels

    history = load_history(tuple(bars or ()), split_names(symbols), n_bars=3_000, seed=seed)
    report = run_audit(history, labels=labels(history.bars), seed=seed)
    console = Console(stderr=as_json, highlight=False)
    for leak in report.leaks:
        console.print(
            f"[red]leak[/red]  {leak.feature}: {leak.check} at {leak.closed_at}, {leak.detail}"
        )
    console.print(f"{report.checked} features and labels checked, {len(report.leaks)} leaks.")
    if as_json:
        print_json(
            {"checked": report.checked, "leaks": [str(leak.feature) for leak in report.leaks]}
        )
    if report.leaks:
        raise typer.Exit(1)


@app.command()
def replay(run: str, as_json: AsJson = False, home: Home = Path(".dexml")) -> None:
    """Decide a recorded run again from its events and compare every byte."""
    from dexml.experiments.replay import replay_run
    from dexml.ledger import Ledger

    report = replay_run(Ledger.open(_database(home)), run)
    console = Console(stderr=as_json, highlight=False)
    said = "identical" if report.identical else f"first difference: {report.first_difference}"
    console.print(f"{report.decisions} decisions, {said}.")
    if as_json:
        print_json({"identical": report.identical, "decisions": report.decisions})
    if not report.identical:
        raise typer.Exit(1)


@config_app.command("show")
def config_show(home: Home = Path(".dexml")) -> None:
    """Print the configuration in force."""
    from dexml.config import load_settings

    print(load_settings(_config_file(home), os.environ).model_dump_json(indent=2))  # noqa: T201


def _database(home: Path) -> str:
    return f"sqlite:///{home.absolute() / 'ledger.sqlite'}"


def _config_file(home: Path) -> Path | None:
    candidates = (Path("dexml.toml"), home / "dexml.toml")
    return next((path for path in candidates if path.exists()), None)


if __name__ == "__main__":
    main()
