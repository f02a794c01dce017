"""`dexml audit`: the leak audit over a store, recorded files or the built-in market."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dexml.cli_options import (
    AsJson,
    BarFiles,
    Home,
    Seed,
    Symbols,
    extended_settings_of,
    seed_of,
    symbols_of,
)
from dexml.terminal import screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dexml.config import Settings
    from dexml.experiments.audited import Audited

__all__ = ["add_audit_command"]


def add_audit_command(app: typer.Typer) -> None:
    """Add `audit` to `dexml`."""
    app.command()(audit)


def audit(
    bars: BarFiles = None,
    symbols: Symbols = "",
    history: Annotated[
        int, typer.Option(min=500, max=1_000_000, help="Closes of each instrument, the newest.")
    ] = 3_000,
    seed: Seed = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Prove that no feature and no label knows the future.

    On recorded bars if any are named, else on all that the store holds, else on the built-in
    market, which has of everything that features are made from.
    """
    from dexml.experiments.audited import not_audited
    from dexml.experiments.consolidation_audit import audit_consolidation
    from dexml.features.audit import audit as run_audit
    from dexml.targets import labels

    settings = extended_settings_of(home)
    number = seed_of(seed, settings)
    with screen(as_json) as shown:
        audited = _audited(tuple(bars or ()), symbols, history, settings, number)
        report = run_audit(audited.history, labels=labels, seed=number)
        leaks = [*report.leaks, *audit_consolidation(audited.parts, number)]
        for leak in leaks:
            said = f"{leak.feature}: {leak.check} at {leak.closed_at}, {leak.detail}"
            shown.console.print(f"[red]leak[/red]  {said}", soft_wrap=True)
        shown.result = {
            "checked": report.checked,
            "features": len(report.features),
            "raw": len(report.raw),
            "labels": len(report.labels),
            "leaks": sorted({leak.feature for leak in leaks}),
            "data": audited.facts(),
            "not_audited": not_audited(audited, report.empty),
        }
        for line in _lines(shown.result):
            shown.console.print(line, soft_wrap=True, markup=False)
    if leaks:
        raise typer.Exit(1)


def _audited(
    paths: tuple[Path, ...], symbols: str, n_bars: int, settings: Settings, seed: int
) -> Audited:
    from dexml.experiments.audited import built_in_market, of_files, of_store
    from dexml.preflight import check_symbols

    names = check_symbols(symbols_of(symbols, settings))
    if paths:
        return of_files(paths, names, n_bars)
    stored = of_store(settings.storage_path, names, settings.data.timeframe, n_bars)
    return stored or built_in_market(names, seed=seed, n_bars=n_bars)


def _lines(result: dict[str, Any]) -> Iterator[str]:
    data = result["data"]
    venues = f" at {', '.join(data['exchanges'])}" if data["exchanges"] else ""
    yield (
        f"{data['source']}: {data['bars']:,} bars ({data['timeframe']}) of "
        f"{len(data['instruments'])} instruments{venues}, {data['first']} to {data['last']}, "
        f"{data['headlines']:,} headlines, {len(data['series'])} series, "
        f"{data['refused_bars']} refused bars."
    )
    yield (
        f"{result['features']} features, {result['raw']} raw columns and {result['labels']} labels "
        f"checked, {len(result['leaks'])} leaks."
    )
    for name, reason in result["not_audited"].items():
        yield f"Not audited: {name}, {reason}."
