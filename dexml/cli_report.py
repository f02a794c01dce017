"""`dexml report`: the book of a recorded run as one file, and its trades as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dexml.cli_ledger import Run, latest_run, opened_ledger
from dexml.cli_options import AsJson, Home, home_of
from dexml.errors import UsageError
from dexml.terminal import screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dexml.ledger import Ledger

__all__ = ["add_report_command"]


def add_report_command(app: typer.Typer) -> None:
    """Add the command of this module to `dexml`."""
    app.command()(report)


def report(
    run: Run = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write it.", show_default="runs/RUN/book.html in the home"),
    ] = None,
    trades: Annotated[
        Path | None, typer.Option(help="Write the fills here, as CSV.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Write the book of a run as one offline file: risk, stress, declined decisions, trades."""
    from dexml.book.reading import BookReader
    from dexml.book.recorded import recorded_result
    from dexml.report import render_report

    _check_places(out, trades)
    with opened_ledger(home) as ledger, screen(as_json) as shown:
        name = run or latest_run(ledger)
        book = _sound_book(ledger, BookReader(ledger, name))
        html = render_report(recorded_result(ledger, name, book), book)
        place = out or home_of(home) / "runs" / name / "book.html"
        place.parent.mkdir(parents=True, exist_ok=True)
        _write(place, html)
        if trades is not None:
            from dexml.book.trades import trades_csv

            _write(trades, trades_csv(ledger.trades(name)))
        for line in _lines(book):
            shown.console.print(line, soft_wrap=True, markup=False)
        wrote = {"report": str(place), "trades": None if trades is None else str(trades)}
        for what, where in wrote.items():
            if where is not None:
                shown.console.print(f"{what.capitalize():<7} {where}", soft_wrap=True, markup=False)
        shown.result = {"run": name, **wrote, "book": book}


def _check_places(out: Path | None, trades: Path | None) -> None:
    for option, path in (("--out", out), ("--trades", trades)):
        if path is None:
            continue
        if path.is_dir():
            raise UsageError(option, "must be a file", path, "Name the file to write.")
        if not path.absolute().parent.is_dir():
            raise UsageError(option, "must be in a folder that exists", path, "Make it first.")
    if out is not None and trades is not None and out.absolute() == trades.absolute():
        raise UsageError("--trades", "must be another file than --out", trades, "Name two files.")


def _sound_book(ledger: Ledger, reader: Any) -> dict[str, Any]:
    book: dict[str, Any] = reader.view()  # first: an unknown run is named before a long check
    for stream in ledger.streams():
        ledger.verify_chain(stream)
    return book


def _write(path: Path, text: str) -> None:
    from dexml.folders import write_durably

    write_durably(path.absolute(), text.encode())


def _lines(book: dict[str, Any]) -> Iterator[str]:
    now, closes, orders = book["now"], book["closes"], book["orders"]
    declined = ", ".join(f"{row['n']} {row['reason']}" for row in book["declined"]["reasons"])
    yield (
        f"{book['run']}, last bar closed {book['closed_at']}: {closes['decided']} of "
        f"{closes['asked']} bars decided"
    )
    yield (
        f"equity {float(now['equity']):,.2f}, exposure {_share(now['exposure'])}, "
        f"VaR {_share(now['value_at_risk'])}, largest drawdown {_share(now['largest_drawdown'])}, "
        f"risk score {now['risk_score']:.2f}"
    )
    yield f"declined: {declined or 'none'}"
    yield f"{orders['n']} orders, {orders['n_failed']} failed, {book['alerts']['n']} alerts"
    for row in book["stress"]["rows"][:1]:
        yield f"worst scenario: {row['scenario']}, {_share(row['total'])} of equity"


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2%}"
