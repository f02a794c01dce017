"""What the commands of `dexml` share: their common options, and how JSON is printed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = [
    "AsJson",
    "BarFiles",
    "Home",
    "Seed",
    "Symbols",
    "guard_ray",
    "print_json",
    "split_names",
]

Home = Annotated[Path, typer.Option(help="Where all state lives.", envvar="DEXML_HOME")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same decisions, to the byte.")]
BarFiles = Annotated[
    list[Path] | None, typer.Option("--bars", help="Folder or files of recorded bars.")
]
Symbols = Annotated[str, typer.Option(help="Instruments, comma separated: BTC/USDT,ETH/USDT.")]


def guard_ray() -> None:
    """Set what Ray reads once, at its import: token authentication, no phoning home, patience."""
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # On a busy machine the parts of the dashboard need longer than Ray's 30 s, and it gives up.
    os.environ.setdefault("RAY_DASHBOARD_SUBPROCESS_MODULE_WAIT_READY_TIMEOUT", "120")


def split_names(text: str) -> tuple[str, ...]:
    """Return the names of a comma-separated list.

    Examples
    --------
    >>> split_names("BTC/USDT, ETH/USDT,")
    ('BTC/USDT', 'ETH/USDT')
    """
    return tuple(name.strip() for name in text.split(",") if name.strip())


def print_json(result: dict[str, Any]) -> None:
    """Print one JSON object on one line."""
    print(json.dumps(result, sort_keys=True, allow_nan=False))  # noqa: T201
