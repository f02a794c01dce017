"""What the commands of `dexml` share: common options, and the configuration behind them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dexml.config import Settings

__all__ = [
    "AsJson",
    "BarFiles",
    "Home",
    "Seed",
    "Symbols",
    "config_file",
    "extended_settings_of",
    "guard_ray",
    "home_of",
    "seed_of",
    "settings_of",
    "split_names",
    "symbols_of",
]

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


def config_file(home: Path | None) -> Path | None:
    """Return the `dexml.toml` of the current folder, else that of `home`, else None."""
    candidates = (Path("dexml.toml"), (home or Path(".dexml")) / "dexml.toml")
    return next((path for path in candidates if path.exists()), None)


def settings_of(home: Path | None) -> Settings:
    """Return the settings in force; a home that was given on the command line is in them."""
    from dexml.config import load_settings

    settings = load_settings(config_file(home), os.environ)
    return settings if home is None else settings.model_copy(update={"home": home})


def extended_settings_of(home: Path | None) -> Settings:
    """Return the settings in force; modules that they name are imported, here and in children."""
    from dexml.extensions import share_extensions

    settings = settings_of(home)
    share_extensions(settings.extensions, os.environ)
    return settings


def home_of(home: Path | None) -> Path:
    """Return the absolute folder of all state."""
    return settings_of(home).home.absolute()


def seed_of(seed: int | None, settings: Settings) -> int:
    """Return the seed that was given, else the configured one."""
    return settings.models.seed if seed is None else seed


def symbols_of(symbols: str, settings: Settings) -> tuple[str, ...]:
    """Return what was named, else what the configuration names, else none: all there are."""
    chosen = "instruments" in settings.data.model_fields_set
    return split_names(symbols) or (settings.data.instruments if chosen else ())
