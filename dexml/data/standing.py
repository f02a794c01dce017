"""How far the bars of a store can be trusted, instrument by instrument, for people to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from dexml.data.health import LOOK_BACK, health_at, reasons
from dexml.data.storage.consolidation import closes_by_venue, consolidate
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
    refused = {step: _refused(store, venues, step) for step in {step for _, step in venues}}
    return [
        _standing(store, found, name, step, at, refused[step])
        for (name, step), found in sorted(venues.items())
    ]


def _refused(
    store: Store, venues: Mapping[tuple[str, Timeframe], list[str]], timeframe: Timeframe
) -> pd.DataFrame:
    everywhere = {venue for found in venues.values() for venue in found}
    return store.refused(sorted(everywhere), {name for name, _ in venues}, timeframe)


def _standing(
    store: Store,
    venues: list[str],
    name: str,
    timeframe: Timeframe,
    at: datetime | None,
    refused: pd.DataFrame,
) -> Standing:
    found = {one: store.recent(one, name, timeframe, LOOK_BACK, at) for one in venues}
    parts = {venue: bars for venue, bars in found.items() if len(bars)}
    close = max(bars.closed_at[-1] for bars in parts.values()) if at is None else to_datetime64(at)
    mine = refused[refused["instrument"] == name]
    several = closes_by_venue(parts) if len(parts) > 1 else None
    bars = consolidate(parts) if parts else next(iter(found.values()))
    health = health_at(bars, close, reasons(mine, name), several)
    return Standing(
        instrument=name,
        timeframe=str(timeframe),
        venues=tuple(venues),
        closed_at=to_datetime(close),
        health=health.score,
        in_quarantine=health.quarantined,
        reason=health.reason,
        bars_in_quarantine=len(mine),
    )
