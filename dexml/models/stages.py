"""Which model versions are champions: one small file for each change, and nobody loses one.

The changes are numbered files that are never rewritten. Each names the one before it, so that a
file that was changed, or taken out of the middle, is noticed; what the champions are follows from
all of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

from dexml.errors import ModelError
from dexml.folders import Folder
from dexml.models.sealing import canonical

__all__ = ["SUITE", "Change", "Stage", "Stages", "Standing", "slot_of"]

SUITE = "suite"
_ENDING = ".json"


class Stage(StrEnum):
    """Where a version stands among those of its slot."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A version became the champion of its slot.

    Attributes
    ----------
    slot : str
        "suite", or the target of a model that stands alone.
    model : str
        Digest of the champion from now on.
    was : str or None
        Digest of the champion before it.
    at : str
        Instant, ISO 8601, UTC.
    by, why : str
        Who wanted it, and the reason given.
    """

    kind: Literal["promotion", "rollback"]
    slot: str
    model: str
    was: str | None
    at: str
    by: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All changes until now.

    Attributes
    ----------
    changes : tuple of Change
        Oldest first.
    head : str
        Name of the newest one's file; "" if there is none.

    Examples
    --------
    >>> rest = {"slot": "suite", "at": "2024-01-01T00:00:00+00:00", "by": "ada"}
    >>> first = Change(kind="promotion", model="a", was=None, **rest)
    >>> second = Change(kind="promotion", model="b", was="a", **rest)
    >>> standing = Standing(changes=(first, second))
    >>> standing.champion("suite"), standing.earlier("suite"), str(standing.stage("suite", "a"))
    ('b', 'a', 'retired')
    """

    changes: tuple[Change, ...] = ()
    head: str = field(default="")

    def champion(self, slot: str) -> str | None:
        """Return the digest of a slot's champion."""
        line = self._line(slot)
        return line[-1] if line else None

    def earlier(self, slot: str) -> str | None:
        """Return the champion that a rollback returns to."""
        line = self._line(slot)
        return line[-2] if len(line) > 1 else None

    def slots(self) -> tuple[str, ...]:
        """Return the slots that have a champion, sorted."""
        return tuple(sorted({change.slot for change in self.changes}))

    def stage(self, slot: str, digest: str) -> Stage:
        """Return where a version stands; it retires when another takes its place."""
        if digest == self.champion(slot):
            return Stage.CHAMPION
        served = {change.model for change in self.changes if change.slot == slot}
        return Stage.RETIRED if digest in served else Stage.CHALLENGER

    # A rollback takes the newest back: the next goes further, and never to what was rolled back.
    def _line(self, slot: str) -> list[str]:
        line: list[str] = []
        for change in self.changes:
            if change.slot == slot and change.kind == "promotion":
                line.append(change.model)
            elif change.slot == slot:
                line = line[:-1]
        return line


class Stages:
    """The changes of a registry, in a folder of their own.

    Notes
    -----
    Locally one of two writers waits for the other and is then told. A bucket knows no lock: of two
    that write within one round trip every reader takes the same one, by the name of its file, and
    the other is told if it was there to be seen.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def read(self) -> Standing:
        """Return all changes.

        Raises
        ------
        ModelError
            If one was changed, added between others or taken away.
        """
        head, changes = "", []
        for number, name in enumerate(self._names(), 1):
            changes.append(self._read(name, number, head))
            head = name
        return Standing(changes=tuple(changes), head=head)

    def append(self, seen: Standing, change: Change) -> None:
        """Write a change that was decided on what was `seen`.

        Raises
        ------
        ModelError
            If someone else has changed a stage since; nothing is changed then.
        """
        values = {**asdict(change), "number": len(seen.changes) + 1, "after": seen.head}
        content = canonical(values)
        name = f"{values['number']:08d}-{_short(content)}{_ENDING}"
        with self.held():
            self._refuse_late(seen)
            self._folder.write(name, content)
            if name not in self._names():  # in a bucket both may have written
                self._folder.remove(name)
                self._refuse_late(seen)

    def held(self) -> AbstractContextManager[None]:
        """Keep everybody else from changing a stage, where that can be done."""
        context: AbstractContextManager[None] = self._folder.locked()
        return context

    def _refuse_late(self, seen: Standing) -> None:
        now = self.read()
        if now.head != seen.head:
            newest = now.changes[-1]
            said = f"{newest.model[:12]} became champion of {newest.slot} by {newest.by}"
            rule = "must be as they were when this was decided"
            raise ModelError(
                "stages of models", rule, f"changed meanwhile: {said}", "See dexml models list."
            )

    def _names(self) -> list[str]:
        named: dict[str, str] = {}
        for name in sorted(self._folder.names(), reverse=True):
            if name.endswith(_ENDING) and not name.startswith("."):
                named[name.partition("-")[0]] = name  # of one number the first counts
        return [named[number] for number in sorted(named)]

    def _read(self, name: str, number: int, after: str) -> Change:
        try:
            content = self._folder.read(name)
            values: dict[str, Any] = json.loads(content)
            placed = (values.pop("number"), values.pop("after")) == (number, after)
            change = Change(**values)
        except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
            raise _touched(name) from error
        if not placed or name != f"{number:08d}-{_short(content)}{_ENDING}":
            raise _touched(name)
        return change


def slot_of(manifest: Mapping[str, Any]) -> str:
    """Return the slot that a version stands for.

    Examples
    --------
    >>> slot_of({"kind": "suite", "members": {}}), slot_of({"target": "volume"})
    ('suite', 'volume')
    """
    return SUITE if manifest.get("kind") == SUITE else str(manifest.get("target", "model"))


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _touched(name: str) -> ModelError:
    fix = "Restore the folder of stages from a backup, or remove it and promote again."
    return ModelError(f"stage change {name}", "must be as it was written", "changed", fix)
