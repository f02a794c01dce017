"""What goes wrong when: the choices of one seed, hour by hour."""

from __future__ import annotations

import random
from collections.abc import Sequence

from dexml.simulation.faults.feed import Feed
from dexml.simulation.faults.kinds import DATA, STRIKES, Fault
from dexml.simulation.faults.stage import Stage
from dexml.simulation.faults.venue import Venue

__all__ = ["Plan"]

_WISHES = (Fault.ORDER_REJECTED, Fault.ORDER_PARTIAL, Fault.MARKET_MOVED)
_HOURLY = {  # chances in an hour of what the loop's surroundings do
    Fault.HALT: 0.006,
    Fault.CLOSE: 0.004,
    Fault.CLOCK_AHEAD: 0.02,
    Fault.CLOCK_BEHIND: 0.02,
    Fault.CYCLE_REPEATED: 0.02,
    Fault.CYCLE_SKIPPED: 0.01,
    Fault.DISK_FULL: 0.01,
    Fault.ROW_CHANGED: 0.004,
    Fault.SNAPSHOT_CHANGED: 0.002,
    Fault.CLOCK_SKEWED: 0.005,
}
_RESUME, _DATA, _WISH, _ARM = 0.25, 0.6, 0.3, 1.0
_MOST_ARMED = 4
_STALE_HOURS = 12


class Plan:
    """Arms faults; everything it chooses comes from its seed.

    Parameters
    ----------
    only : sequence of Fault
        Nothing else is armed; empty: everything.
    """

    def __init__(
        self, rng: random.Random, names: Sequence[str], only: Sequence[Fault] = ()
    ) -> None:
        self._rng, self._names = rng, list(names)
        self._strikes = [one for one in STRIKES if one in only or not only]
        self._data = [one for one in DATA if one in only or not only]
        self._wishes = [one for one in _WISHES if one in only or not only]
        self._hourly = {one: _HOURLY[one] for one in _HOURLY if one in only or not only}
        self._armed_at: dict[Fault, int] = {}

    def arm(self, hour: int, stage: Stage, feed: Feed, venue: Venue) -> None:
        """Make ready what will strike in this hour, or when its occasion comes."""
        rng = self._rng
        feed.spoiled = {}
        if self._data and rng.random() < _DATA:
            feed.spoiled[rng.choice(self._names)] = rng.choice(self._data)
        if self._wishes and rng.random() < _WISH:
            venue.wish = rng.choice(self._wishes)
        stage.armed[:] = [one for one in stage.armed if hour - self._armed_at[one] < _STALE_HOURS]
        if self._strikes and len(stage.armed) < _MOST_ARMED and rng.random() < _ARM:
            fault = rng.choice(self._strikes)
            if fault not in stage.armed:
                stage.armed.append(fault)
                self._armed_at[fault] = hour

    def surroundings(self, *, active: bool) -> list[Fault]:
        """Return what persons, clocks, disks and hands do in this hour."""
        found = [fault for fault, chance in self._hourly.items() if self._rng.random() < chance]
        if not active and self._rng.random() < _RESUME:
            found.append(Fault.RESUME)
        return found
