"""The doors through which a model version becomes champion, forwards and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dexml.errors import ModelError, UsageError
from dexml.ledger import Ledger
from dexml.models.registry import Registry
from dexml.models.stages import SUITE, Change, Stage, slot_of

__all__ = ["promote", "resolve", "roll_back"]

_ENSEMBLE = "ensemble"  # the ledger's name of what a suite says as a whole
_SHORTEST = 6  # digits of a digest that may stand for all


def resolve(registry: Registry, name: str) -> str:
    """Return the digest that a name stands for: all of it, or its first digits.

    Raises
    ------
    UsageError
        If no version begins so, or several do.
    """
    found = [one for one in registry.versions() if one.startswith(name)]
    if len(name) < _SHORTEST:
        rule = f"must have at least {_SHORTEST} digits"
        raise UsageError("digest of a model", rule, name, "See dexml models list.")
    if len(found) != 1:
        rule = f"must name one version in {registry}"
        was = f"{name}, which names {len(found) or 'none'}"
        raise UsageError("digest of a model", rule, was, "See dexml models list.")
    return found[0]


def promote(
    registry: Registry, digest: str, *, at: datetime, by: str, why: str, ledger: Ledger | None
) -> Change:
    """Make a version the champion of its slot; the one before it retires.

    Parameters
    ----------
    ledger : Ledger, optional
        Its register of models follows.

    Raises
    ------
    UsageError
        If it is the champion already.
    ModelError
        If it may not be loaded, or someone else changed a stage meanwhile; nothing changes then.
    """
    standing = registry.stages.read()
    _, manifest = registry.open(digest)
    slot = slot_of(manifest)
    was = standing.champion(slot)
    if was == digest:
        fix = "Promote another, or go back with dexml models rollback."
        raise UsageError(
            f"model {digest[:12]}", f"must not be champion of {slot} already", was, fix
        )
    change = Change(
        kind="promotion", slot=slot, model=digest, was=was, at=at.isoformat(), by=by, why=why
    )
    registry.stages.append(standing, change)
    _record(registry, ledger, change)
    return change


def roll_back(
    registry: Registry, slot: str, *, at: datetime, by: str, why: str, ledger: Ledger | None
) -> Change:
    """Make the previous champion of a slot the champion again.

    Raises
    ------
    UsageError
        If there is none.
    ModelError
        If it may not be loaded, or someone else changed a stage meanwhile; nothing changes then.
    """
    standing = registry.stages.read()
    earlier, was = standing.earlier(slot), standing.champion(slot)
    if earlier is None:
        rule = "must have had a champion before the present one"
        known = ", ".join(standing.slots()) or "none yet"
        fix = f"Slots with a champion: {known}; see dexml models list --history."
        raise UsageError(f"slot {slot}", rule, "the first" if was else "without any", fix)
    registry.open(earlier)
    change = Change(
        kind="rollback", slot=slot, model=earlier, was=was, at=at.isoformat(), by=by, why=why
    )
    registry.stages.append(standing, change)
    _record(registry, ledger, change)
    return change


# The stages decide who serves; the ledger tells the page, and whoever reads the book later.
def _record(registry: Registry, ledger: Ledger | None, change: Change) -> None:
    if ledger is None:
        return
    new = _rows(registry, change.model)
    old = _rows(registry, change.was) if change.was else {}
    for (digest, target), manifest in {**old, **new}.items():
        serves = (digest, target) in new
        stage = Stage.CHAMPION if serves else Stage.RETIRED
        ledger.add_model(digest, target, json.dumps(manifest), str(stage))


def _rows(registry: Registry, digest: str) -> dict[tuple[str, str], Mapping[str, Any]]:
    try:
        manifest, _ = registry.describe(digest)
    except ModelError:  # it was removed: the ledger keeps what it knew
        return {}
    scores: Mapping[str, Any] = manifest.get("scores", {})
    if slot_of(manifest) != SUITE:
        return {(digest, slot_of(manifest)): {"scores": scores}}
    members = {_ENSEMBLE: digest, **manifest.get("members", {})}
    return {(one, name): {"scores": scores.get(name, {})} for name, one in members.items()}
