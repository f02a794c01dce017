"""Which model versions may go: none that serves, served last, is among the newest or is needed."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from datetime import datetime, timedelta

from dexml.errors import ModelError, UsageError
from dexml.models.registry import Registry
from dexml.models.stages import SUITE, slot_of

__all__ = ["expendable", "prune"]

_ABANDONED = timedelta(days=1)  # no publication runs that long


def expendable(registry: Registry, referred: Collection[str], keep: int) -> tuple[str, ...]:
    """Return the digests of versions that may be removed, sorted.

    Parameters
    ----------
    referred : collection of str
        Digests that a recorded run names: `dexml replay --deep` needs them.
    keep : int
        How many of the newest of each slot stay, whatever their stage; at least 1.

    Raises
    ------
    UsageError
        If `keep` is not positive.

    Notes
    -----
    Of each slot the champion and the one before it stay too, and of every suite that stays the
    models it was made from. A version that cannot be read stays: somebody must look at it.
    """
    if keep < 1:
        raise UsageError("--keep", "must be at least 1", keep, "Keep the newest at least.")
    standing, known = registry.stages.read(), _described(registry)
    stays = set(referred)
    for slot in standing.slots():
        stays |= {standing.champion(slot) or "", standing.earlier(slot) or ""}
    by_slot: dict[str, list[str]] = {}
    for digest in sorted(known, key=lambda one: (known[one][2], one), reverse=True):
        by_slot.setdefault(known[digest][0], []).append(digest)
    parts = {part for _, members, _ in known.values() for part in members}
    for slot, digests in by_slot.items():
        whole = [one for one in digests if slot == SUITE or one not in parts]
        stays |= set(whole[:keep])
    stays |= {part for one in stays & known.keys() for part in known[one][1]}
    return tuple(sorted(known.keys() - stays))


def prune(
    registry: Registry, referred: Collection[str], keep: int, now: datetime
) -> tuple[str, ...]:
    """Remove what is `expendable` and what crashes left behind; return the digests removed.

    Notes
    -----
    Nobody can promote meanwhile, where the registry can be locked.
    """
    with registry.stages.held():
        gone = expendable(registry, referred, keep)
        for digest in gone:
            registry.remove(digest)
    for folder in registry.leftovers():
        if now.timestamp() - folder.stat().st_mtime > _ABANDONED.total_seconds():
            shutil.rmtree(folder, ignore_errors=True)
    return gone


def _described(registry: Registry) -> dict[str, tuple[str, tuple[str, ...], str]]:
    """Return slot, parts and instant of each version that can be read."""
    found = {}
    for digest in registry.versions():
        try:
            manifest, seal = registry.describe(digest)
        except ModelError:
            continue
        parts = tuple(map(str, dict(manifest.get("members", {})).values()))
        found[digest] = (slot_of(manifest), parts, str(seal.facts.get("signed_at", "")))
    return found
