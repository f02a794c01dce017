"""How long the ledger was away, as the one who asked it saw it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Outage"]

LEAST_S = 5.0  # a ledger that is away for less was only slow


@dataclass(slots=True)
class Outage:
    """From the first question left unanswered until an answer, in seconds of one clock.

    Examples
    --------
    >>> outage = Outage()
    >>> outage.unanswered(10.0), outage.unanswered(20.0), outage.answered(31.0)
    (None, None, None)
    >>> outage.ended(40.0)
    (10.0, 31.0)
    """

    since: float | None = None
    until: float | None = None

    def unanswered(self, asked_s: float) -> None:
        """Hear that what was asked then got no answer."""
        self.since = asked_s if self.since is None else self.since
        self.until = None

    def answered(self, now_s: float) -> None:
        """Hear that the ledger answers."""
        if self.since is not None and self.until is None:
            self.until = now_s

    def ended(self, now_s: float) -> tuple[float, float] | None:
        """Return from when to when it was away; None unless that was long enough to be told."""
        if self.since is None:
            return None
        until = now_s if self.until is None else self.until
        return (self.since, until) if until - self.since >= LEAST_S else None
