"""`dexml models`: which versions there are, who vouches for them, and which one serves."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dexml.cli_ledger import has_ledger, opened_ledger
from dexml.cli_options import AsJson, Home, extended_settings_of, settings_of
from dexml.terminal import screen

if TYPE_CHECKING:
    from rich.console import Console

    from dexml.config import Settings
    from dexml.ledger import Ledger
    from dexml.models.registry import Registry
    from dexml.models.stages import Change

__all__ = ["models_app"]

models_app = typer.Typer(
    no_args_is_help=True, help="Model versions: list, verify, promote, roll back, trust, prune."
)

Digest = Annotated[str, typer.Argument(help="Digest of a version, or its first digits.")]
Slot = Annotated[str, typer.Option(help="What is served: suite, or a single target.")]
Why = Annotated[str, typer.Option(help="The reason, for the history.")]
SHORT = 12


@models_app.command("list")
def list_(
    all_: Annotated[
        bool, typer.Option("--all", help="Also the models that suites were made from.")
    ] = False,
    history: Annotated[
        bool, typer.Option("--history", help="Also every promotion and rollback.")
    ] = False,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """List the versions: stage, targets, data, scores out of fold, signature, age."""
    from dexml.clock import SystemClock
    from dexml.models.listing import rows_of

    registry = _registry(settings_of(home))
    with screen(as_json) as shown:
        standing = registry.stages.read()
        rows = rows_of(registry, standing, SystemClock().now(), everything=all_)
        _print_versions(shown.console, rows)
        changes = [_change_row(change) for change in standing.changes]
        for row in changes if history else ():
            shown.console.print(_told(row), soft_wrap=True, markup=False)
        champions = {slot: standing.champion(slot) for slot in standing.slots()}
        shown.result = {"models": rows, "champions": champions, "changes": changes}


@models_app.command()
def promote(digest: Digest, why: Why = "", as_json: AsJson = False, home: Home = None) -> None:
    """Make a version the champion; it is verified first, and the one before it retires."""
    from dexml.clock import SystemClock
    from dexml.promotions import promote as promoted
    from dexml.promotions import resolve

    settings = extended_settings_of(home)
    registry = _registry(settings)
    with screen(as_json) as shown:
        change = promoted(
            registry,
            resolve(registry, digest),
            at=SystemClock().now(),
            by=getpass.getuser(),
            why=why,
            ledger=_ledger(settings, home),
        )
        shown.result = _say(shown.console, change)


@models_app.command()
def rollback(
    slot: Slot = "suite", why: Why = "", as_json: AsJson = False, home: Home = None
) -> None:
    """Make the previous champion the champion again."""
    from dexml.clock import SystemClock
    from dexml.promotions import roll_back

    settings = extended_settings_of(home)
    registry = _registry(settings)
    with screen(as_json) as shown:
        change = roll_back(
            registry,
            slot,
            at=SystemClock().now(),
            by=getpass.getuser(),
            why=why,
            ledger=_ledger(settings, home),
        )
        shown.result = _say(shown.console, change)


@models_app.command()
def verify(
    digest: Annotated[
        str, typer.Argument(help="Digest, or its first digits.", show_default="all")
    ] = "",
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Check signature and every byte of versions where they are kept, and that they load here."""
    from dexml.models.listing import verdicts
    from dexml.promotions import resolve

    registry = _registry(extended_settings_of(home))
    chosen = (resolve(registry, digest),) if digest else registry.versions()
    with screen(as_json) as shown:
        found = verdicts(registry, chosen)
        for row in found:
            said = "sound" if row["sound"] else row["fault"]
            shown.console.print(f"{row['digest'][:SHORT]}  {said}", soft_wrap=True, markup=False)
        n_bad = sum(not row["sound"] for row in found)
        shown.console.print(f"{len(found)} versions verified, {n_bad} refused.")
        shown.result = {"verified": len(found), "refused": n_bad, "models": found}
    if n_bad:
        raise typer.Exit(1)


@models_app.command()
def sign(digest: Digest, as_json: AsJson = False, home: Home = None) -> None:
    """Vouch for a version with the key of this home, for one of which you know the origin."""
    from dexml.clock import SystemClock
    from dexml.models.local_signer import LocalSigner
    from dexml.promotions import resolve

    settings = settings_of(home)
    registry = _registry(settings)
    with screen(as_json) as shown:
        name = resolve(registry, digest)
        signer = LocalSigner(settings.home.absolute())
        registry.sign(name, signer, SystemClock().now())
        shown.console.print(f"{name[:SHORT]} is signed by {signer.public_key[:SHORT]}.")
        shown.result = {"digest": name, "signed_by": signer.public_key}


@models_app.command()
def trust(
    key: Annotated[
        str, typer.Argument(help="Public key, 64 hexadecimal digits.", show_default="list them")
    ] = "",
    name: Annotated[str, typer.Option(help="Whose key it is.")] = "",
    remove: Annotated[
        bool, typer.Option("--remove", help="Trust it no longer; what it signed is refused.")
    ] = False,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """List the keys whose signature counts in this home, or change them."""
    registry = _registry(settings_of(home), must_exist=False)
    with screen(as_json) as shown:
        if key and remove:
            registry.trust.remove(key)
        elif key:
            registry.trust.add(key, name)
        trusted = dict(sorted(registry.trust.trusted().items()))
        for public, whose in trusted.items():
            shown.console.print(f"{public}  {whose}", soft_wrap=True, markup=False)
        if not trusted:
            shown.console.print("No key is trusted yet: no model will be loaded.")
        shown.result = {"trusted": trusted}


@models_app.command()
def prune(
    keep: Annotated[int, typer.Option(min=1, help="How many of the newest stay.")] = 5,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say which would be removed.")
    ] = False,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Remove versions that neither serve, nor served last, nor are needed to replay a run."""
    from dexml.clock import SystemClock
    from dexml.models.retention import expendable
    from dexml.models.retention import prune as pruned

    registry = _registry(settings_of(home))
    with opened_ledger(home) as ledger, screen(as_json) as shown:
        used = ledger.models_used()
        if dry_run:
            gone = expendable(registry, used, keep)
        else:
            gone = pruned(registry, used, keep, SystemClock().now())
        for digest in gone:
            shown.console.print(digest)
        n_left = len(registry.versions()) - (len(gone) if dry_run else 0)
        said = "would be removed" if dry_run else "removed"
        shown.console.print(f"{len(gone)} versions {said}, {n_left} stay.")
        shown.result = {"removed": list(gone), "stay": n_left, "dry_run": dry_run}


def _registry(settings: Settings, *, must_exist: bool = True) -> Registry:
    from dexml.errors import EnvironmentRefused
    from dexml.models.registry import Registry

    registry = Registry.of(settings.home.absolute(), settings.registry_uri)
    if must_exist and not registry.versions():
        fix = "Run dexml demo first, or name the folder of its state with --home."
        raise EnvironmentRefused(f"registry {registry}", "must hold a model", "empty", fix)
    return registry


def _ledger(settings: Settings, home: Path | None) -> Ledger | None:
    return opened_ledger(home) if has_ledger(settings) else None


def _say(console: Console, change: Change) -> dict[str, Any]:
    row = _change_row(change)
    console.print(_told(row), soft_wrap=True, markup=False)
    return row


def _change_row(change: Change) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(change)


def _told(row: dict[str, Any]) -> str:
    before = f" in place of {row['was'][:SHORT]}" if row["was"] else ""
    why = f": {row['why']}" if row["why"] else ""
    return (
        f"{row['at'][:19]}  {row['kind']}: {row['model'][:SHORT]} is champion of {row['slot']}"
        f"{before}, by {row['by']}{why}"
    )


def _print_versions(console: Console, rows: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("digest", "stage", "trained\nfrom and to", "out of fold:\nlog-loss (base rate)"):
        table.add_column(name, no_wrap=True)
    table.add_column("signed by")
    table.add_column("age", no_wrap=True)
    for row in rows:
        trained = "\n".join(str(end)[:10] for end in row["trained_on"] if end)
        by = f"[red]{escape(row['fault'])}[/red]" if row["fault"] else escape(row["signed_by"])
        cells = (row["digest"][:SHORT], row["stage"], trained, "\n".join(_scores(row)))
        table.add_row(*cells, by, row["age"])
    console.print(table)


def _scores(row: dict[str, Any]) -> list[str]:
    scores = row["scores"]
    named = sorted({*row["targets"], *scores}, key=lambda name: (name == "ensemble", name))
    return [
        f"{name} {scores[name]['log_loss']:.4f} ({scores[name]['base_rate_log_loss']:.4f})"
        if name in scores
        else name
        for name in named
    ]
