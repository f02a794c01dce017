"""What was known at one close, in plain lists: all that an oracle may look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import pandas as pd

from dexml.domain import History
from tests.dexml.features.oracles.chart import Chart, Series
from tests.dexml.features.oracles.technical import DEFINITIONS


@dataclass(frozen=True)
class Headline:
    known_at: float
    title: str
    names: frozenset[str]
    score: float


@dataclass(frozen=True)
class Release:
    known_at: float
    period_at: float
    value: float


@dataclass(frozen=True)
class Refusal:
    name: str
    closed_at: float
    known_at: float


class Market:
    """A history as plain values; instants are seconds since the epoch."""

    def __init__(self, history: History) -> None:
        self.charts = {name: Chart(bars) for name, bars in history.bars.items()}
        self.venues = {name: _closes(table) for name, table in history.venue_closes.items()}
        self.headlines = _headlines(history.news)
        self.releases = _releases(history.macro)
        rows = history.refused.itertuples()
        self.refused = [Refusal(r.instrument, _s(r.closed_at), _s(r.known_at)) for r in rows]
        self._technical: dict[tuple[str, str], Series] = {}

    def technical(self, name: str, column: str) -> Series:
        """Return a raw technical column of an instrument by its definition."""
        if (name, column) not in self._technical:
            self._technical[name, column] = DEFINITIONS[column](self.charts[name])
        return self._technical[name, column]


@dataclass(frozen=True)
class Seen:
    """The market from the close of row `t` of instrument `name`."""

    market: Market
    name: str
    t: int

    @cached_property
    def chart(self) -> Chart:
        return self.market.charts[self.name]

    @cached_property
    def at(self) -> int:
        return self.chart.at[self.t]


Oracle: TypeAlias = Callable[[Seen], float]


def _s(instant: pd.Timestamp) -> float:
    return float(instant.value / 10**9)


def _closes(table: pd.DataFrame) -> dict[str, dict[float, float]]:
    stamps = [_s(instant) for instant in table.index]
    return {
        str(venue): {at: close for at, close in zip(stamps, closes, strict=True) if close == close}
        for venue, closes in table.items()
    }


# In the order in which they came; whatever was told less than six hours before is left out.
def _headlines(news: pd.DataFrame) -> list[Headline]:
    rows = sorted(news.itertuples(), key=lambda r: (r.known_at, r.published_at, r.title))
    told: dict[str, float] = {}
    kept = []
    for row in rows:
        story, known_at = " ".join(row.title.lower().split()), _s(row.known_at)
        if known_at - told.get(story, -(10**9)) >= 6 * 3_600:
            names = frozenset(row.instruments.split())
            kept.append(Headline(known_at, story, names, row.score))
        told[story] = known_at
    return kept


def _releases(macro: pd.DataFrame) -> Mapping[str, list[Release]]:
    found: dict[str, list[Release]] = {}
    for row in macro.sort_values(["known_at", "period_at"], kind="stable").itertuples():
        one = Release(_s(row.known_at), _s(row.period_at), row.value)
        found.setdefault(row.series, []).append(one)
    return found
