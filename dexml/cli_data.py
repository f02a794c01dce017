"""`dexml import` and `dexml backfill`: what brings bars, headlines and series into the store."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dexml.cli_options import AsJson, Home, Symbols, extended_settings_of, split_names
from dexml.terminal import screen

if TYPE_CHECKING:
    from rich.console import Console

    from dexml.data.recorded.imports import FileReport

__all__ = ["add_data_commands"]

SHOWN_FILES = 5  # of those refused for one reason
Scorer = Annotated[str, typer.Option(help="Tone of headlines: vader or textblob.")]


def add_data_commands(app: typer.Typer) -> None:
    """Add the commands of this module to `dexml`."""
    app.command("import")(import_)
    app.command("backfill")(backfill)


def import_(
    paths: Annotated[list[Path], typer.Argument(help="Files, and folders with all below them.")],
    venue: Annotated[str, typer.Option(help="Exchange of the bars, as ccxt spells it.")] = "",
    instrument: Annotated[str, typer.Option(help="What the bars are of: BTC/USDT.")] = "",
    timeframe: Annotated[str, typer.Option(help="Length of the bars: 1m to 1d.")] = "",
    stamps: Annotated[str, typer.Option(help="What the time column marks: open or close.")] = "",
    quote_volume: Annotated[
        bool, typer.Option("--quote-volume", help="Volumes are money, not coins.")
    ] = False,
    series: Annotated[str, typer.Option(help="Name of a series of values.")] = "",
    lag: Annotated[
        float | None, typer.Option(min=0, help="Hours from a value's stamp to its first use.")
    ] = None,
    scorer: Scorer = "vader",
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Name every refused file with its reason.")
    ] = False,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Take recorded bars, headlines and series into the store; say what was not understood."""
    from dexml.cli_backfill import asked_instrument, progress
    from dexml.clock import SystemClock
    from dexml.data.recorded.importing import ImportOptions, files_under, import_files
    from dexml.data.sources.scorers import scorer_named
    from dexml.data.storage.store import Store

    settings = extended_settings_of(home)
    options = ImportOptions(
        now=SystemClock().now(),
        instruments=settings.data.instruments,
        venue=venue or None,
        instrument=asked_instrument("--instrument", instrument) if instrument else None,
        timeframe=_timeframe(timeframe),
        stamps=_stamps(stamps),
        volume_in_quote=quote_volume,
        series=series or None,
        lag=None if lag is None else timedelta(hours=lag),
        scorer=scorer_named(scorer),
    )
    files = files_under(paths)
    with screen(as_json) as shown:
        with progress(shown.console, "Importing", len(files)) as advance:
            store = Store(settings.storage_path)
            reports = import_files(files, store, options, lambda _file: advance())
        _print_reports(shown.console, reports, verbose)
        shown.result = _import_result(reports, settings.storage_path)
    if not _all_well(reports, paths):
        raise typer.Exit(3)


def backfill(
    exchange: Annotated[str, typer.Option(help="Exchange of the bars, as ccxt spells it.")] = "",
    symbols: Symbols = "",
    since: Annotated[str, typer.Option(help="First day, or instant, in UTC.")] = "",
    until: Annotated[str, typer.Option(help="Last instant, in UTC.", show_default="now")] = "",
    url: Annotated[str, typer.Option(help="Address of another server of the exchange.")] = "",
    trades: Annotated[
        bool,
        typer.Option(
            "--trades",
            help="Sum bars that the exchange no longer shows up from its trades: exact, and slow; "
            "how many requests it takes is said first.",
        ),
    ] = False,
    news: Annotated[str, typer.Option(help="Addresses of RSS feeds, comma separated.")] = "",
    newsapi: Annotated[
        bool, typer.Option("--newsapi", help="Headlines of NewsAPI; its key is in NEWSAPI_KEY.")
    ] = False,
    newsapi_url: Annotated[str, typer.Option(help="Address of another server of NewsAPI.")] = "",
    series: Annotated[str, typer.Option(help="Series, comma separated: fear_greed,vix.")] = "",
    macro_url: Annotated[
        str,
        typer.Option(
            help="Where series are that Yahoo has not.", show_default="https://api.alternative.me"
        ),
    ] = "",
    yahoo_url: Annotated[str, typer.Option(help="Address of another server of Yahoo.")] = "",
    scorer: Scorer = "vader",
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Fetch bars, headlines and series into the store; say what is missing."""
    from dexml.cli_backfill import BackfillOptions, run_backfill

    options = BackfillOptions(
        exchange=exchange,
        symbols=split_names(symbols),
        since=since,
        until=until,
        url=url or None,
        trades=trades,
        news=split_names(news),
        newsapi=newsapi,
        newsapi_url=newsapi_url or None,
        series=split_names(series),
        macro_url=macro_url or None,
        yahoo_url=yahoo_url or None,
        scorer=scorer,
    )
    settings = extended_settings_of(home)
    with screen(as_json) as shown:
        shown.result, sound = run_backfill(options, settings, os.environ, shown.console)
    if not sound:
        raise typer.Exit(3)


def _timeframe(text: str) -> Any:
    from dexml.domain import Timeframe
    from dexml.errors import UsageError

    if text and text not in list(Timeframe):
        raise UsageError("--timeframe", f"must be one of {', '.join(Timeframe)}", text, "Give 1h.")
    return Timeframe(text) if text else None


def _stamps(text: str) -> Literal["open", "close"] | None:
    from dexml.errors import UsageError

    found: dict[str, Literal["open", "close"]] = {"open": "open", "close": "close"}
    if text and text not in found:
        raise UsageError("--stamps", "must be open or close", text, "Leave it out if in doubt.")
    return found.get(text)


# What was named itself must be taken; a folder may hold other things beside.
def _all_well(reports: Sequence[FileReport], paths: Sequence[Path]) -> bool:
    taken = {report.file for report in reports if report.understood_as}
    named = {str(path) for path in paths if path.is_file()}
    return bool(taken) and named <= taken


def _print_reports(console: Console, reports: Sequence[FileReport], verbose: bool) -> None:
    taken = [report for report in reports if report.understood_as]
    for report in taken:
        for line in _of_file(report):
            console.print(line, soft_wrap=True, highlight=False, markup=False)
    left = [report for report in reports if not report.understood_as]
    for line in _refused(left, verbose):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    n_new = sum(report.stored for report in reports)
    console.print(
        f"{len(taken)} of {len(reports)} files understood, {n_new} new rows stored, "
        f"{len(left)} files refused."
    )


def _of_file(report: FileReport) -> Iterator[str]:
    numbers = {
        "new": report.stored,
        "there already": report.known,
        "refused": report.refused,
        "set aside": report.aside,
    }
    became = ", ".join(f"{n} {what}" for what, n in numbers.items() if n)
    yield f"{Path(report.file).name}: {report.understood_as}"
    yield f"  {report.read} rows: {became or 'none'}"
    if report.reason:
        yield f"  {report.reason}"


def _refused(reports: Sequence[FileReport], verbose: bool) -> Iterator[str]:
    alike: dict[str, list[FileReport]] = {}
    for report in reports:
        why = report.reason.removeprefix(f"file {report.file} ")
        alike.setdefault(why if verbose else why.partition(", was ")[0], []).append(report)
    for why, found in sorted(alike.items(), key=lambda one: -len(one[1])):
        shown = found if verbose else found[:SHOWN_FILES]
        names = ", ".join(Path(report.file).name for report in shown)
        more = f" and {len(found) - len(shown)} more (--verbose)" if len(found) > len(shown) else ""
        told = why if len(found) > 1 else found[0].reason.removeprefix(f"file {found[0].file} ")
        yield f"refused, {told.rstrip('.')}: {names}{more}"


def _import_result(reports: Sequence[FileReport], store: str) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "files": [asdict(report) for report in reports],
        "understood": sum(bool(report.understood_as) for report in reports),
        **{
            name: sum(getattr(report, name) for report in reports)
            for name in ("read", "rows", "stored", "known", "refused", "aside")
        },
        "store": store,
    }
