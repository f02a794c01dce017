"""Where a rebuilt run differs from the recorded one, and what most likely made it so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from dexml.experiments.origin import Names, Origin, changes, code_files, libraries

__all__ = ["NOTHING", "Difference", "Differences", "Kind", "warnings"]

Kind = Literal[
    "model",
    "stored",
    "start",
    "bar",
    "features",
    "forecast",
    "signal",
    "prices",
    "health",
    "decision",
]
_DATA = ("dexml/data/", "dexml/domain/", "dexml/clock.py")
_FORECASTS = ("dexml/models/", "dexml/ensemble/")
# the code that makes each kind of thing, and the code below it
_NEAR: dict[Kind, tuple[str, ...]] = {
    "stored": ("dexml/data/storage/", "dexml/experiments/origin.py"),
    "start": ("dexml/system.py", "dexml/state.py", "dexml/accounting.py", "dexml/risk/"),
    "bar": ("dexml/data/storage/",),
    "features": ("dexml/features/",),
    "forecast": _FORECASTS,
    "signal": _FORECASTS,
    "prices": ("dexml/cycle.py", "dexml/events.py", "dexml/commands.py", "dexml/records.py"),
    "health": ("dexml/data/health.py", "dexml/data/quality.py"),
    "decision": ("dexml/",),
}
_BELOW: dict[Kind, tuple[str, ...]] = {
    "start": ("dexml/",),
    "bar": _DATA,
    "features": _DATA,
    "forecast": (*_DATA, "dexml/features/", "dexml/validation/"),
    "signal": (*_DATA, "dexml/features/", "dexml/validation/"),
    "prices": _DATA,
    "health": _DATA,
}
# what each kind is made from
_DATA_KINDS: tuple[Kind, ...] = ("stored", "bar")
_MADE_FROM: dict[Kind, tuple[Kind, ...]] = {
    "stored": ("stored",),
    "start": _DATA_KINDS,
    "bar": _DATA_KINDS,
    "features": _DATA_KINDS,
    "forecast": (*_DATA_KINDS, "model"),
    "signal": (*_DATA_KINDS, "model"),
    "prices": _DATA_KINDS,
    "health": _DATA_KINDS,
    "decision": (),
}
NOTHING = "none"
_NAMED = 3  # files in a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first difference of a kind.

    Attributes
    ----------
    subject : str
        What differs: an instrument and a close, a month of a series, a model version.
    recorded, now : str
        What the run saw, and what is made today.
    cause : str
        Most likely what changed; several are joined by "or".
    n : int
        How many there are of this kind.
    """

    kind: Kind
    subject: str
    recorded: str
    now: str
    cause: str = ""
    n: int = 1

    def line(self) -> str:
        """Return one sentence for people."""
        more = f" ({self.n} such)" if self.n > 1 else ""
        return (
            f"{self.kind} of {self.subject}{more}: recorded {self.recorded}, now {self.now}. "
            f"Likely cause: {self.cause}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True, kw_only=True)
class Differences:
    """The first difference of each kind, as they are found."""

    first: dict[Kind, Difference] = field(default_factory=dict)

    def compare(self, kind: Kind, subject: str, recorded: object, now: object) -> None:
        """Note what differs."""
        if recorded == now:
            return
        known = self.first.get(kind)
        self.first[kind] = (
            Difference(kind=kind, subject=subject, recorded=str(recorded), now=str(now))
            if known is None
            else replace(known, n=known.n + 1)
        )

    def explained(self, origin: Origin) -> tuple[Difference, ...]:
        """Return all with their likely cause: what changed of that which they are made from."""
        code = changes(origin.code, code_files())
        versions = _changed_versions(origin.versions)
        return tuple(
            replace(one, cause=self._cause(kind, code, versions))
            for kind, one in self.first.items()
        )

    def _cause(self, kind: Kind, code: Sequence[str], versions: str) -> str:
        if kind == "model":
            return "model changed"
        if kind == "bar" and self.first[kind].recorded == NOTHING:
            return "bar came after the run had decided on its close, or was added"
        near = [file for file in code if file.startswith(_NEAR[kind])]
        if kind in _FROM_FEATURES and "features" in self.first and not near:
            return self._cause("features", code, versions)
        return self._causes_of(kind, near, code, versions)

    def _causes_of(self, kind: Kind, near: list[str], code: Sequence[str], versions: str) -> str:
        causes = [_word(self.first[one]) for one in _MADE_FROM[kind] if one in self.first]
        below = [file for file in code if file.startswith(_BELOW.get(kind, ()))]
        if not near and not causes:
            causes += _UNSEEN.get(kind, ())
        if near or below:
            causes.append(f"code changed: {listed(near or below)}")
        if versions and kind not in _DATA_KINDS:
            causes.append(f"library changed: {versions}")
        return " or ".join(dict.fromkeys(causes)) or "processor or library changed"


_FROM_FEATURES = ("forecast", "signal")
# what no other comparison would show
_UNSEEN: dict[Kind, tuple[str, ...]] = {
    "features": ("bar of one exchange, headline or macro value changed",),
    "health": ("bar or quarantine of one exchange changed",),
}


def _word(one: Difference) -> str:
    if one.kind == "model":
        return "model changed"
    series = one.subject.partition(" ")[0] if one.kind == "stored" else "bar"
    return {"news": "headline changed", "macro": "macro value changed"}.get(series, "bar changed")


def listed(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are.

    Examples
    --------
    >>> listed(["a", "b"]), listed(["a", "b", "c", "d", "e"])
    ('a, b', 'a, b, c and 2 more')
    """
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def warnings(origin: Origin) -> tuple[str, ...]:
    """Say which code and libraries are not those of the run, whether or not that shows."""
    code, versions = changes(origin.code, code_files()), _changed_versions(origin.versions)
    said = [f"the code is not the run's: {listed(code)}"] if code else []
    return tuple(said + ([f"libraries are not the run's: {versions}"] if versions else []))


def _changed_versions(then: Names) -> str:
    now = libraries()
    found = [f"{name} {now.get(name)}, was {then.get(name)}" for name in changes(then, now)]
    return "; ".join(found)
