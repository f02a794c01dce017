"""`dexml chain`: what a chain on this machine needs."""

from __future__ import annotations

from typing import Annotated

import typer

from dexml.cli_options import AsJson
from dexml.terminal import screen

__all__ = ["chain_app"]

chain_app = typer.Typer(no_args_is_help=True, help="A real chain on this machine, to trade on.")


@chain_app.callback()
def _chain() -> None:
    pass


@chain_app.command()
def fetch(
    compiler: Annotated[
        bool, typer.Option("--compiler", help="Also what our own test tokens are compiled with.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Get anvil and the Uniswap contracts with npm, check them, and keep them in your cache."""
    from dexml.simulation.chain.packages import COMPILER, PACKAGES, cache_folder, fetch

    folder = cache_folder()
    with screen(as_json) as shown:
        got = fetch(folder, (*PACKAGES, COMPILER) if compiler else PACKAGES)
        shown.console.print(f"{', '.join(got) or 'nothing was missing'}: all in {folder}")
        shown.result = {"folder": str(folder), "fetched": got}
