"""`dexml train`: fit every target and their ensemble, and leave a signed version of all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from dexml.cli_ledger import has_ledger
from dexml.cli_options import (
    AsJson,
    BarFiles,
    Home,
    Seed,
    Symbols,
    extended_settings_of,
    guard_ray,
    seed_of,
    split_names,
    symbols_of,
)
from dexml.terminal import screen

if TYPE_CHECKING:
    from dexml.config import Settings
    from dexml.models.fits import FitLimits
    from dexml.models.recipe import Recipe

__all__ = ["add_train_command"]


def add_train_command(app: typer.Typer) -> None:
    """Add `train` to `dexml`."""
    app.command()(train)


def train(
    bars: BarFiles = None,
    symbols: Symbols = "",
    target: Annotated[
        str,
        typer.Option(help="Only these, comma separated, each a version of its own; else all."),
    ] = "",
    profile: Annotated[
        str, typer.Option(help="light, fast, standard or best.", show_default="fast, or dexml.toml")
    ] = "",
    history: Annotated[
        int, typer.Option(min=1_000, max=1_000_000, help="Bars of each instrument, the newest.")
    ] = 9_000,
    planted: Annotated[
        bool, typer.Option("--planted", help="The built-in market, whatever is stored.")
    ] = False,
    bayes_accuracy: Annotated[
        float, typer.Option(min=0.5, max=0.86, help="Best possible accuracy of that market.")
    ] = 0.70,
    workers: Annotated[int, typer.Option(min=0, help="Fits at a time; 0: one a CPU.")] = 0,
    limit: Annotated[
        float, typer.Option(min=0, help="Seconds after which a fit is killed; 0: what suits it.")
    ] = 0.0,
    promote: Annotated[
        bool, typer.Option("--promote", help="Make it champion, if every fit ended well.")
    ] = False,
    seed: Seed = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Fit on recorded bars, else on the store, else on the built-in market; sign and register.

    What is fitted stands in the registry as a challenger until it is promoted. A fit that fails is
    named, and leaves the others and the champion as they are; the command then ends with 1.
    """
    from dexml.doctor import require_place
    from dexml.preflight import check_symbols, refuse_unsupported

    settings = extended_settings_of(home)
    refuse_unsupported(settings, ("data.timeframe",))
    recipe = _recipe(settings, profile)
    names = check_symbols(symbols_of(symbols, settings))
    place = settings.home.absolute()
    require_place("home", place)
    guard_ray()
    from actors.training import TrainOptions, run_training

    options = TrainOptions(
        home=place,
        storage=settings.storage_path,
        bars=tuple(bars or ()),
        symbols=names,
        planted=planted,
        bayes_accuracy=bayes_accuracy,
        history=history,
        timeframe=settings.data.timeframe,
        targets=split_names(target),
        seed=seed_of(seed, settings),
        workers=workers,
        limits=_limits(limit),
        promote=promote,
        ledger_url=settings.ledger_url if has_ledger(settings) else "",
        registry_uri=settings.registry_uri or "",
        kernel=settings.kernel(),
        recipe=recipe,
    )
    with screen(as_json) as shown:
        shown.result = run_training(options, shown.console)
    if shown.result["failed"]:
        raise typer.Exit(1)


def _recipe(settings: Settings, profile: str) -> Recipe:
    from dexml.errors import UsageError
    from dexml.models.profiles import PROFILES

    wanted = profile or settings.models.profile
    if wanted not in PROFILES:
        known = ", ".join(PROFILES)
        raise UsageError("--profile", f"must be one of {known}", wanted, "Name one of them.")
    return replace(settings.models.recipe(), profile=wanted, horizon=settings.policy.horizon)


def _limits(seconds: float) -> FitLimits | None:
    from dexml.models.fits import FitLimits

    return FitLimits(wall_s=seconds) if seconds else None
