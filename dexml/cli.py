"""The `dexml` command. Every command imports what it needs itself, so that `--help` is instant."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from dexml.errors import DexmlError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Machine learning that trades on a DEX, and honest evidence of whether it works.",
    pretty_exceptions_enable=False,
)
validate_app = typer.Typer(no_args_is_help=True, help="Judge models and strategies honestly.")
config_app = typer.Typer(no_args_is_help=True, help="Show the configuration and where it is from.")
app.add_typer(validate_app, name="validate")
app.add_typer(config_app, name="config")

Home = Annotated[Path, typer.Option(help="Where all state lives.", envvar="DEXML_HOME")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]
Seed = Annotated[int, typer.Option(help="Same seed, same decisions, to the byte.")]
BarFiles = Annotated[
    list[Path] | None, typer.Option("--bars", help="Folder or files of recorded bars.")
]
Symbols = Annotated[str, typer.Option(help="Instruments, comma separated: BTC/USDT,ETH/USDT.")]


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
    _guard_ray()
    from actors.demo import DemoOptions, run_demo

    console = Console(stderr=as_json, highlight=False)
    options = DemoOptions(
        home=home.absolute(),
        bars=tuple(bars or ()),
        symbols=_split(symbols),
        cycles=cycles,
        history=history,
        bayes_accuracy=bayes_accuracy,
        seed=seed,
        port=port,
        keep=keep,
    )
    result = run_demo(options, console)
    if as_json:
        _print_json(result)


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
        _print_json({"findings": [finding.to_dict() for finding in findings]})
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

    history = load_history(tuple(bars or ()), _split(symbols), n_bars=3_000, seed=seed)
    report = run_audit(history, labels=labels(history.bars), seed=seed)
    console = Console(stderr=as_json, highlight=False)
    for leak in report.leaks:
        console.print(
            f"[red]leak[/red]  {leak.feature}: {leak.check} at {leak.closed_at}, {leak.detail}"
        )
    console.print(f"{report.checked} features and labels checked, {len(report.leaks)} leaks.")
    if as_json:
        _print_json(
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
        _print_json({"identical": report.identical, "decisions": report.decisions})
    if not report.identical:
        raise typer.Exit(1)


@config_app.command("show")
def config_show(home: Home = Path(".dexml")) -> None:
    """Print the configuration in force."""
    from dexml.config import load_settings

    print(load_settings(_config_file(home), os.environ).model_dump_json(indent=2))  # noqa: T201


@validate_app.command("walk-forward")
def walk_forward(
    bars: BarFiles = None,
    symbols: Symbols = "",
    train: Annotated[int, typer.Option(min=500, help="Training bars.")] = 8_760,
    test: Annotated[int, typer.Option(min=24, help="Test bars, and the step.")] = 720,
    folds: Annotated[int, typer.Option(min=1, help="At most this many, the newest.")] = 4,
    seed: Seed = 0,
    predictions_out: Annotated[Path | None, typer.Option(help="Parquet of every forecast.")] = None,
    as_json: AsJson = False,
    home: Home = Path(".dexml"),
) -> None:
    """Retrain at every step as Ray Tune trials, and score what was never seen."""
    _guard_ray()
    from actors.validation import WalkForwardOptions, run_walk_forward

    console = Console(stderr=as_json, highlight=False)
    options = WalkForwardOptions(
        home=home.absolute(),
        bars=tuple(bars or ()),
        symbols=_split(symbols),
        train=train,
        test=test,
        folds=folds,
        seed=seed,
        predictions_out=predictions_out,
    )
    result = run_walk_forward(options, console)
    if as_json:
        _print_json(result)


def _guard_ray() -> None:
    """Set what Ray reads once, at its import: token authentication, no phoning home."""
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")


def _split(symbols: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in symbols.split(",") if name.strip())


def _database(home: Path) -> str:
    return f"sqlite:///{home.absolute() / 'ledger.sqlite'}"


def _config_file(home: Path) -> Path | None:
    candidates = (Path("dexml.toml"), home / "dexml.toml")
    return next((path for path in candidates if path.exists()), None)


def _print_json(result: dict[str, Any]) -> None:
    print(json.dumps(result, sort_keys=True, allow_nan=False))  # noqa: T201


if __name__ == "__main__":
    main()
