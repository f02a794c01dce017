"""The ledger of a home, for the commands that read or write it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dexml.cli_options import settings_of
from dexml.errors import EnvironmentRefused

if TYPE_CHECKING:
    from dexml.config import Settings
    from dexml.ledger import Ledger

__all__ = ["Run", "has_ledger", "latest_run", "opened_ledger"]

Run = Annotated[str | None, typer.Argument(help="Name of the run.", show_default="the latest")]


def opened_ledger(home: Path | None) -> Ledger:
    """Open the ledger in force; none is made where there is none."""
    from dexml.ledger import Ledger

    settings = settings_of(home)
    if not has_ledger(settings):
        fix = "Run dexml demo first, or name the folder of its state with --home."
        raise EnvironmentRefused(f"ledger {_file(settings)}", "must exist", "missing", fix)
    return Ledger.open(settings.ledger_url)


def has_ledger(settings: Settings) -> bool:
    """Tell whether there is a ledger to open."""
    return settings.database_url is not None or _file(settings).is_file()


def _file(settings: Settings) -> Path:
    return settings.home.absolute() / "ledger.sqlite"


def latest_run(ledger: Ledger) -> str:
    """Return the name of the run that was started last."""
    latest = ledger.latest_run()
    if latest is None:
        raise EnvironmentRefused("ledger", "must hold a run", "empty", "Run dexml demo first.")
    return str(latest["run"])
