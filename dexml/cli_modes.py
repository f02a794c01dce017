"""`dexml halt`, `resume` and `close`: what a person asks of a run; they need nothing but SQL."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dexml.cli_ledger import Run, latest_run, opened_ledger
from dexml.cli_options import AsJson, Home
from dexml.terminal import screen

if TYPE_CHECKING:
    from dexml.events import Request

__all__ = ["add_mode_commands"]

Asked = Callable[[datetime, str], "Request"]


def add_mode_commands(app: typer.Typer) -> None:
    """Add the commands of this module to `dexml`."""
    for command in (halt, resume, close):
        app.command()(command)


def halt(
    run: Run = None,
    reducing: Annotated[
        bool, typer.Option("--reducing", help="Go on sending orders that only reduce.")
    ] = False,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Send no order from now on, even with Ray dead, until dexml resume or close."""
    from dexml.domain import Mode
    from dexml.events import ModeRequested

    mode = Mode.REDUCING if reducing else Mode.HALTED
    said = "only orders that reduce pass from its next bar on" if reducing else "no order is sent"
    _ask(lambda at, by: ModeRequested(at=at, mode=mode, by=by), said, run, as_json, home)


def resume(run: Run = None, as_json: AsJson = False, home: Home = None) -> None:
    """Let a run trade again, if its ledger is sound: chains, replay, positions and fills."""
    from dexml.domain import Mode
    from dexml.events import ModeRequested

    said = "its ledger is sound, it trades again from its next bar on"
    _ask(lambda at, by: ModeRequested(at=at, mode=Mode.ACTIVE, by=by), said, run, as_json, home)


def close(run: Run = None, as_json: AsJson = False, home: Home = None) -> None:
    """Sell all that is held at the next bar's prices, halted or not; buy nothing more."""
    from dexml.events import CloseRequested

    said = "what is held is sold at its next bar, nothing is bought"
    _ask(lambda at, by: CloseRequested(at=at, by=by), said, run, as_json, home)


def _ask(asked: Asked, said: str, run: str | None, as_json: bool, home: Path | None) -> None:
    from dexml.clock import SystemClock
    from dexml.requests import record_request

    with opened_ledger(home) as ledger, screen(as_json) as shown:
        name = run or latest_run(ledger)
        request = asked(SystemClock().now(), getpass.getuser())
        wanted = record_request(ledger, name, request)
        shown.console.print(f"{name}: {said}.", soft_wrap=True)
        shown.result = {"run": name, "wanted": wanted, "by": request.by}
