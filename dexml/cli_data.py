"""`dexml import` and `dexml backfill`: what brings bars, headlines and series into the store."""

from __future__ import annotations

import os
from collections.abc import Sequence
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
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Take recorded bars, headlines and series into the store; say what was not understood."""
    from dexml.cli_backfill import progress
    from dexml.clock import SystemClock
    from dexml.data.recorded.importing import ImportOptions, files_under, import_files
    from dexml.data.sources.scorers import scorer_named
    from dexml.data.storage.store import Store
    from dexml.domain import check_instrument

    settings = extended_settings_of(home)
    options = ImportOptions(
        now=SystemClock().now(),
        instruments=settings.data.instruments,
        venue=venue or None,
        instrument=check_instrument(instrument) if instrument else None,
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
        _print_reports(shown.console, reports)
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
        str, typer.Option(help="Where series are that Yahoo has not.")
    ] = "https://api.alternative.me",
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
        macro_url=macro_url,
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


def _print_reports(console: Console, reports: Sequence[FileReport]) -> None:
    from rich.table import Table

    table = Table("file", "understood as", "rows", "new", "refused", box=None, pad_edge=False)
    for report in reports:
        said = report.understood_as or f"[red]refused[/red] {_escaped(report)}"
        noted = report.understood_as and report.reason
        told = f"{said}\n[dim]{_escaped(report)}[/dim]" if noted else said
        numbers = (report.rows, report.stored, report.refused)
        table.add_row(Path(report.file).name, told, *map(str, numbers))
    console.print(table)
    n_taken = sum(bool(report.understood_as) for report in reports)
    n_new = sum(report.stored for report in reports)
    console.print(
        f"{n_taken} of {len(reports)} files understood, {n_new} new rows stored, "
        f"{len(reports) - n_taken} files refused."
    )


def _escaped(report: FileReport) -> str:
    from rich.markup import escape

    return escape(report.reason.replace(f"file {report.file} ", ""))


def _import_result(reports: Sequence[FileReport], store: str) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "files": [asdict(report) for report in reports],
        "understood": sum(bool(report.understood_as) for report in reports),
        "rows": sum(report.rows for report in reports),
        "stored": sum(report.stored for report in reports),
        "refused": sum(report.refused for report in reports),
        "store": store,
    }
