"""How far the bars of a store can be trusted, instrument by instrument, for people to read.

Two figures: at the data's own end, by which a backtest or a recorded store is judged; and at the
present, by which live use is judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from dexml.data.feeds.venues import is_untested
from dexml.data.health import LOOK_BACK, Health, health_at, reasons
from dexml.data.storage.bar_rows import ARRIVAL_S
from dexml.data.storage.consolidation import closes_by_venue, consolidate
from dexml.data.storage.quarantine import seen_late
from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe, to_datetime, to_datetime64
from dexml.universe import Universe, UniverseConfig

__all__ = ["Present", "Standing", "standings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """The same data for live use.

    Attributes
    ----------
    closed_at : datetime
        The newest close whose bar is due, UTC.
    age_s : float or None
        Since the newest believed bar closed; None without one.
    health, in_quarantine, reason, outside
        As in `Standing`, at that close.
    """

    closed_at: datetime
    age_s: float | None
    health: float
    in_quarantine: bool
    reason: str
    outside: str = ""


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
    outside : str
        Why the instrument is no member of the universe; empty if it is, or nobody asked.
    newest_at : datetime or None
        When the newest believed bar closed; None without one.
    bars_in_quarantine : int
        Rows of any of its exchanges that were not believed, from the first on.
    refused : dict of str to int
        How many of them for which reason, the commonest first.
    untested : tuple of str
        Those of the exchanges that dexml is not tested with.
    torn : tuple of str
        Files under the store of which a crash left a part, and that told of the instrument.
    live : Present or None
        At the present instant, if that was given.
    """

    instrument: str
    timeframe: str
    venues: tuple[str, ...]
    closed_at: datetime
    health: float
    in_quarantine: bool
    reason: str
    newest_at: datetime | None
    bars_in_quarantine: int
    refused: dict[str, int]
    outside: str = ""
    untested: tuple[str, ...] = ()
    torn: tuple[str, ...] = ()
    live: Present | None = None

    def row(self) -> dict[str, Any]:
        """Return the fields as JSON-able values."""
        row: dict[str, Any] = _jsonable(asdict(self))
        return row


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _jsonable(one) for name, one in value.items()}
    return value.isoformat() if isinstance(value, datetime) else value


def standings(
    store: Store,
    at: datetime | None = None,
    instruments: Sequence[str] | None = None,
    now: datetime | None = None,
    universe: UniverseConfig | None = None,
) -> list[Standing]:
    """Judge the instruments of a store by all exchanges that told of them, sorted by name.

    Parameters
    ----------
    at : datetime, optional
        The close at which to judge; unless given, each instrument's newest one of which an exchange
        sent a bar, believed or not.
    instruments : sequence of str, optional
        Only these.
    now : datetime, optional
        The present instant; without it nothing is said of live use.
    universe : UniverseConfig, optional
        Also tell who is no member of it.
    """
    venues: dict[tuple[str, Timeframe], list[str]] = {}
    for venue, name, timeframe in sorted({*store.series(), *store.series(refused=True)}):
        if instruments is None or name in instruments:
            venues.setdefault((name, timeframe), []).append(venue)
    torn = store.torn() if venues else []
    refused = {step: _refused(store, venues, step) for step in {step for _, step in venues}}
    found = []
    for (name, step), here in sorted(venues.items()):
        window = 0 if universe is None else int(universe.window / step.step) + 1
        n_bars = max(LOOK_BACK, window)
        series = _Series(
            name=name,
            timeframe=step,
            parts={one: store.recent(one, name, step, n_bars, at) for one in here},
            universe=universe,
            refused=refused[step][refused[step]["instrument"] == name],
        )
        standing = _standing(series, at, now)
        found.append(replace(standing, torn=_torn_of(torn, here, name, step)))
    return found


def _refused(
    store: Store, venues: Mapping[tuple[str, Timeframe], list[str]], timeframe: Timeframe
) -> pd.DataFrame:
    everywhere = {venue for found in venues.values() for venue in found}
    return store.refused(sorted(everywhere), {name for name, _ in venues}, timeframe)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Series:
    name: str
    timeframe: Timeframe
    parts: Mapping[str, Bars]
    refused: pd.DataFrame
    universe: UniverseConfig | None

    @property
    def _there(self) -> dict[str, Bars]:
        return {venue: bars for venue, bars in self.parts.items() if len(bars)}

    @property
    def _bars(self) -> Bars:
        parts = self._there
        return consolidate(parts) if parts else next(iter(self.parts.values()))

    def at(self, close: np.datetime64) -> Health:
        parts = self._there
        several = closes_by_venue(parts) if len(parts) > 1 else None
        return health_at(self._bars, close, reasons(seen_late(self.refused), self.name), several)

    def outside(self, close: np.datetime64) -> str:
        if self.universe is None:
            return ""
        members = Universe(bars={self.name: self._bars}, config=self.universe)
        return members.outside(to_datetime(close)).get(self.name, "")

    @property
    def newest(self) -> np.datetime64 | None:
        return max((bars.closed_at[-1] for bars in self.parts.values() if len(bars)), default=None)

    # A refused bar after the last believed one is the newest close; but a stamp far beyond it is
    # no close of a market that ended.
    @property
    def end(self) -> np.datetime64:
        newest, step = self.newest, np.timedelta64(self.timeframe.seconds, "s")
        told = pd.DatetimeIndex(seen_late(self.refused)["closed_at"]).asi8.view("M8[ns]")
        if newest is None:
            newest = told.max() if len(told) else np.datetime64(0, "ns")
        ahead = told - newest
        near = (ahead > 0) & (ahead <= LOOK_BACK * step) & (ahead % step == np.timedelta64(0))
        return max((newest, *told[near]))


def _standing(series: _Series, at: datetime | None, now: datetime | None) -> Standing:
    close = series.end if at is None else to_datetime64(at)
    health, newest = series.at(close), series.newest
    newest_at = None if newest is None else to_datetime(newest)
    return Standing(
        instrument=series.name,
        timeframe=str(series.timeframe),
        venues=tuple(series.parts),
        outside=series.outside(close),
        untested=tuple(venue for venue in series.parts if is_untested(venue)),
        closed_at=to_datetime(close),
        health=health.score,
        in_quarantine=health.quarantined,
        reason=health.reason,
        newest_at=newest_at,
        bars_in_quarantine=len(series.refused),
        refused={str(why): int(n) for why, n in series.refused["reason"].value_counts().items()},
        live=None if now is None else _present(series, newest_at, now),
    )


def _present(series: _Series, newest_at: datetime | None, now: datetime) -> Present:
    step = series.timeframe.seconds
    due = datetime.fromtimestamp((now.timestamp() - ARRIVAL_S) // step * step, UTC)
    health = series.at(to_datetime64(due))
    return Present(
        outside=series.outside(to_datetime64(due)),
        closed_at=due,
        age_s=None if newest_at is None else (now - newest_at).total_seconds(),
        health=health.score,
        in_quarantine=health.quarantined,
        reason=health.reason,
    )


# Bars that arrive lie together for an exchange and timeframe; headlines and series tell of all.
def _torn_of(
    torn: Sequence[str], venues: Sequence[str], name: str, timeframe: Timeframe
) -> tuple[str, ...]:
    folders = {f"arrivals/{venue}/{timeframe}" for venue in venues} | {"news", "macro"}
    for kind in ("bars", "quarantine"):
        folders |= {f"{kind}/{venue}/{name.replace('/', '-')}/{timeframe}" for venue in venues}
    return tuple(file for file in torn if file.rpartition("/")[0] in folders)
