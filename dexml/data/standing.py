"""How far the bars of a store can be trusted, instrument by instrument, for people to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from dexml.data.health import health_at
from dexml.data.storage.store import Store
from dexml.domain import Timeframe, to_datetime, to_datetime64

__all__ = ["Standing", "standings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of an instrument's data at a close.

    Attributes
    ----------
    closed_at : datetime
        The close at which it is judged, UTC.
    health : float
        Share of the last closes with a sound bar, as `health_at` has it.
    in_quarantine : bool
        No new risk may be taken on the instrument.
    reason : str
        Why `health` is below 1; empty if it is not.
    bars_in_quarantine : int
        Bars of any of its exchanges that were not believed, from the first on.
    """

    instrument: str
    timeframe: str
    venues: tuple[str, ...]
    closed_at: datetime
    health: float
    in_quarantine: bool
    reason: str
    bars_in_quarantine: int

    def row(self) -> dict[str, Any]:
        """Return the fields as JSON-able values."""
        return {**asdict(self), "closed_at": self.closed_at.isoformat()}


def standings(
    store: Store, at: datetime | None = None, instruments: Sequence[str] | None = None
) -> list[Standing]:
    """Judge the instruments of a store by all exchanges that have bars of them, sorted by name.

    Parameters
    ----------
    at : datetime, optional
        The close at which to judge; each instrument's newest one unless given.
    instruments : sequence of str, optional
        Only these.
    """
    venues: dict[tuple[str, Timeframe], list[str]] = {}
    for venue, name, timeframe in store.series():
        if instruments is None or name in instruments:
            venues.setdefault((name, timeframe), []).append(venue)
    return [_standing(store, found, *key, at) for key, found in sorted(venues.items())]


def _standing(
    store: Store, venues: list[str], name: str, timeframe: Timeframe, at: datetime | None
) -> Standing:
    history = store.history(venues, (name,), timeframe)
    close = history.bars[name].closed_at[-1] if at is None else to_datetime64(at)
    known = history.until(close)
    refused = store.refused(venues, name, timeframe)
    health = health_at(known.bars[name], close, refused, known.venue_closes.get(name))
    return Standing(
        instrument=name,
        timeframe=str(timeframe),
        venues=tuple(venues),
        closed_at=to_datetime(close),
        health=health.score,
        in_quarantine=health.quarantined,
        reason=health.reason,
        bars_in_quarantine=sum(len(store.quarantine(one, name, timeframe)) for one in venues),
    )
