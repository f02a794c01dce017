"""The `dexml` command. Every command imports what it needs itself, so that `--help` is instant."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from dexml import __version__
from dexml.errors import EnvironmentRefused
from dexml.terminal import run as run_app
from dexml.terminal import screen

if TYPE_CHECKING:
    from dexml.config import Settings
    from dexml.ledger import Ledger

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

Home = Annotated[
    Path | None, typer.Option(help="Where all state lives.", show_default=".dexml, or dexml.toml")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=2**32 - 1,
        help="Same seed, same decisions, to the byte.",
        show_default="0, or dexml.toml",
    ),
]
BarFiles = Annotated[
    list[Path] | None, typer.Option("--bars", help="Folder or files of recorded bars.")
]
Symbols = Annotated[str, typer.Option(help="Instruments, comma separated: BTC/USDT,ETH/USDT.")]
Run = Annotated[str | None, typer.Argument(help="Name of the run.", show_default="the latest")]


def main() -> NoReturn:
    """Run the command line; every failure is one sentence and an exit code."""
    sys.exit(run_app(app))


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

    settings = _settings(home)
    refuse_unsupported(settings)
    names = _symbols(symbols, settings)
    wanted = demo_bars(tuple(bars or ()), names, history, cycles)
    place = _home(home, settings)
    check_machine(place, port)
    _guard_ray()
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
            seed=_seed(seed, settings),
            port=port,
            keep=keep,
            kernel=settings.kernel(),
        )
        shown.result = run_demo(options, shown.console)


@app.command()
def doctor(as_json: AsJson = False, home: Home = None) -> None:
    """Say what this machine has and lacks, with the fix for each."""
    from dexml.doctor import examine

    with screen(as_json) as shown:
        findings = examine(_home(home, _settings(home)))
        for finding in findings:
            shown.console.print(finding.line(), soft_wrap=True)
        shown.result = {"findings": [finding.to_dict() for finding in findings]}
    if not all(finding.ok for finding in findings):
        raise typer.Exit(3)


@app.command()
def audit(
    bars: BarFiles = None,
    symbols: Symbols = "",
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    """Prove that no feature and no label knows the future; with no bars, on the built-in market."""
    from dexml.experiments.sources import audit_history
    from dexml.features.audit import audit as run_audit
    from dexml.preflight import check_symbols
    from dexml.targets import labels

    settings = _settings(None)
    number = _seed(seed, settings)
    names = check_symbols(_symbols(symbols, settings))
    history = audit_history(tuple(bars or ()), names, seed=number)
    with screen(as_json) as shown:
        report = run_audit(history, labels=labels, seed=number)
        for leak in report.leaks:
            said = f"{leak.feature}: {leak.check} at {leak.closed_at}, {leak.detail}"
            shown.console.print(f"[red]leak[/red]  {said}", soft_wrap=True)
        shown.console.print(
            f"{report.checked} features and labels checked, {len(report.leaks)} leaks."
        )
        shown.result = {"checked": report.checked, "leaks": list(report.names)}
    if report.leaks:
        raise typer.Exit(1)


@app.command()
def replay(run: Run = None, as_json: AsJson = False, home: Home = None) -> None:
    """Decide a recorded run again from its events and compare every byte."""
    from dexml.experiments.replay import replay_run

    with _ledger(home) as ledger, screen(as_json) as shown:
        name = run or _latest(ledger)
        report = replay_run(ledger, name)
        said = "identical" if report.identical else f"first difference: {report.first_difference}"
        shown.console.print(f"{name}: {report.decisions} decisions, {said}.", soft_wrap=True)
        figures = {"identical": report.identical, "decisions": report.decisions}
        shown.result = {"run": name, **figures}
    if not report.identical:
        raise typer.Exit(1)


@app.command()
def status(run: Run = None, as_json: AsJson = False, home: Home = None) -> None:
    """Say what a run stands at: mode, equity, positions, alerts; works with Ray dead."""
    from dexml.status import status_lines, status_of

    with _ledger(home) as ledger, screen(as_json) as shown:
        shown.result = status_of(ledger, run or _latest(ledger))
        for line in status_lines(shown.result):
            shown.console.print(line, soft_wrap=True, markup=False)


@config_app.command("show")
def config_show(as_json: AsJson = False, home: Home = None) -> None:
    """Print the configuration in force, and who gave each value."""
    from dexml.config_show import in_force

    with screen(as_json) as shown:
        found = in_force(_config_file(home), os.environ)
        width = max(len(one.name) for one in found)
        for one in found:
            value = ", ".join(one.value) if isinstance(one.value, list) else one.value
            shown.console.print(
                f"{one.name:<{width}}  {value}  [dim]({one.source})[/dim]", soft_wrap=True
            )
        shown.result = {
            "settings": {one.name: one.value for one in found},
            "sources": {one.name: one.source for one in found},
        }


@validate_app.command("walk-forward")
def walk_forward(
    bars: BarFiles = None,
    symbols: Symbols = "",
    train: Annotated[int, typer.Option(min=500, help="Training bars.")] = 8_760,
    test: Annotated[int, typer.Option(min=24, help="Test bars, and the step.")] = 720,
    folds: Annotated[int, typer.Option(min=1, help="At most this many, the newest.")] = 4,
    seed: Seed = None,
    predictions_out: Annotated[Path | None, typer.Option(help="Parquet of every forecast.")] = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Retrain at every step as Ray Tune trials, and score what was never seen."""
    _guard_ray()
    with screen(as_json) as shown:
        from actors.validation import WalkForwardOptions, run_walk_forward

        settings = _settings(home)
        options = WalkForwardOptions(
            home=_home(home, settings),
            bars=tuple(bars or ()),
            symbols=_split(symbols),
            train=train,
            test=test,
            folds=folds,
            seed=_seed(seed, settings),
            predictions_out=predictions_out,
        )
        shown.result = run_walk_forward(options, shown.console)


def _guard_ray() -> None:
    """Set what Ray reads once, at its import: token authentication, no phoning home."""
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")


def _split(symbols: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in symbols.split(",") if name.strip())


def _symbols(symbols: str, settings: Settings) -> tuple[str, ...]:
    # what was named here, else what the configuration names, else none: all there are
    chosen = "instruments" in settings.data.model_fields_set
    return _split(symbols) or (settings.data.instruments if chosen else ())


def _seed(seed: int | None, settings: Settings) -> int:
    return settings.models.seed if seed is None else seed


def _settings(home: Path | None) -> Settings:
    from dexml.config import load_settings

    return load_settings(_config_file(home), os.environ)


def _config_file(home: Path | None) -> Path | None:
    candidates = (Path("dexml.toml"), (home or Path(".dexml")) / "dexml.toml")
    return next((path for path in candidates if path.exists()), None)


def _home(home: Path | None, settings: Settings) -> Path:
    return (home or settings.home).absolute()


def _ledger(home: Path | None) -> Ledger:
    from dexml.ledger import Ledger

    settings = _settings(home)
    if home is not None:
        settings = settings.model_copy(update={"home": home})
    path = settings.home.absolute() / "ledger.sqlite"
    if settings.database_url is None and not path.is_file():
        fix = "Run dexml demo first, or name the folder of its state with --home."
        raise EnvironmentRefused(f"ledger {path}", "must exist", "missing", fix)
    return Ledger.open(settings.ledger_url)


def _latest(ledger: Ledger) -> str:
    latest = ledger.latest_run()
    if latest is None:
        raise EnvironmentRefused("ledger", "must hold a run", "empty", "Run dexml demo first.")
    return str(latest["run"])


if __name__ == "__main__":
    main()
