"""Time as an argument: a protocol, the wall clock for the doors, a clock that tests move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from dexml.errors import DataError

__all__ = ["Clock", "SimulatedClock", "SystemClock", "utc"]


class Clock(Protocol):
    """Whatever can say what time it is, in UTC."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...


class SystemClock:
    """The wall clock. Only the doors (command line, actors) make one."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SimulatedClock:
    """A clock that stands still until it is advanced, and never goes back.

    Examples
    --------
    >>> clock = SimulatedClock(datetime(2024, 1, 1, tzinfo=UTC))
    >>> clock.advance(timedelta(hours=1)).isoformat()
    '2024-01-01T01:00:00+00:00'
    """

    def __init__(self, start: datetime) -> None:
        self._now = utc(start)

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """Move the clock forward and return the new time."""
        if by < timedelta(0):
            raise DataError("clock step", "must not go back", by, "Advance by zero or more.")
        self._now += by
        return self._now


def utc(instant: datetime) -> datetime:
    """Return `instant` in UTC; naive instants are refused because their zone is a guess."""
    if instant.tzinfo is None:
        raise DataError("instant", "must carry a time zone", instant, "Attach UTC at the border.")
    return instant.astimezone(UTC)
