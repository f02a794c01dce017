"""What a failed call comes to in the words of an alert."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from math import inf

from dexml.errors import EnvironmentRefused, LedgerAway
from dexml.redaction import redacted

__all__ = ["Rests", "first_line", "gone", "shortfall"]


def shortfall(answer: object) -> tuple[str, object] | None:
    """Return the first thing that a feed's answer says it could not read, and why."""
    failed: Mapping[str, str] = getattr(answer, "failed", {})
    return next(iter(failed.items()), None)


def first_line(failure: object) -> str:
    """Return the first line of what an actor raised, without Ray's traceback and without keys."""
    cause = getattr(failure, "cause", None) or failure
    return redacted(next(iter(str(cause).splitlines()), type(cause).__name__))


def gone(name: str, error: Exception) -> Exception:
    """Return what is raised after an actor stayed away; a ledger that is away is called that."""
    if isinstance(error, LedgerAway):
        return error
    return EnvironmentRefused(
        f"actor {name}", "must answer", error, "See its log under the Ray dashboard."
    )


class Rests:
    """Which parts are left alone after they failed, for so long on the loop's clock.

    Who answers with an error may be asked at the next bar of a simulated year; who does not answer
    is not waited for at each of them, so it also rests for so long on a clock that never goes back.
    """

    def __init__(self, length_s: float, now: Callable[[], float]) -> None:
        self._length_s, self._now = length_s, now
        self._until: dict[str, tuple[datetime, float]] = {}

    def begin(self, name: str, at: datetime, error: Exception) -> None:
        """Leave a part alone from now on."""
        was_gone = isinstance(error, EnvironmentRefused)
        awake_s = self._now() + (self._length_s if was_gone else 0.0)
        self._until[name] = at + timedelta(seconds=self._length_s), awake_s

    def lasts(self, name: str, at: datetime) -> bool:
        """Tell whether a part is still to be left alone."""
        until, awake_s = self._until.get(name, (at, -inf))
        return at < until or self._now() < awake_s

    def known(self, name: str) -> bool:
        """Tell whether a part was left alone and has not been asked since."""
        return name in self._until

    def ended(self, name: str) -> bool:
        """Tell whether a part comes from a rest, which is then over."""
        return self._until.pop(name, None) is not None
