"""The parts before the kernel: rows of a venue, checked by the real rules, made into bar sets."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pandas as pd

from dexml.data.feeds.hearing import Row
from dexml.data.feeds.rows import bars_of, checked, split
from dexml.data.health import health_at
from dexml.data.quality import suspects
from dexml.data.storage.bar_series import BarSeries
from dexml.data.storage.revisions import without
from dexml.domain import Bar, Bars, Signal, Timeframe, to_datetime64
from dexml.errors import DataError
from dexml.simulation.faults.kinds import Fault
from dexml.simulation.faults.market import HOUR_S, Market
from dexml.simulation.faults.spoil import SPOILING, WireRow, usable, wire

__all__ = ["Feed", "Forecasts", "Moment", "Polled"]

_OVERLAP = 3  # bars read again at each visit
_REVISED = 1.003  # how far a revision moves a close
_KNOWN_BARS = 96  # bars looked at for the health of an instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """What a visit brought: prices of the open bars, and what could not be read."""

    prices: dict[str, float]
    failed: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecasts:
    """The bars of a close, what is forecast from them, and the instruments in quarantine."""

    bars: tuple[Bar, ...]
    signals: tuple[Signal, ...]
    unwell: tuple[tuple[str, str], ...] = ()


class Moment(NamedTuple):
    """An instant between two closes: minutes into the hour, and the price as a share of its range.

    The share is 0 at the hour's low and 1 at its high.
    """

    minute: int
    height: float


class Feed:
    """A venue's rows, spoiled as told, and the bars that come of them by the product's rules.

    Attributes
    ----------
    hour : int
        The hour that has just closed.
    moment : Moment or None
        How far the next hour is lived; None: it has just begun.
    spoiled : dict of instrument to Fault
        What is done to the newest row of an instrument at the next visit.
    legit : dict of (instrument, close) to set of rows
        Every version of a bar that the venue ever meant; nothing else may be heard.
    """

    def __init__(self, market: Market, rng: random.Random) -> None:
        self._market, self._rng = market, rng
        self.hour = 0
        self.moment: Moment | None = None
        self.spoiled: dict[str, Fault] = {}
        self.done: list[Fault] = []
        self.legit: dict[tuple[str, int], set[Row]] = {}
        self._gone: set[tuple[str, int]] = set()
        self._revised: dict[tuple[str, int], Row] = {}
        self._series: dict[str, BarSeries] = {}
        self._refused: dict[str, dict[Any, str]] = {name: {} for name in market.rows}
        self._said: dict[tuple[str, int], float | None] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._market.rows)

    def lived(self, hour: int) -> list[Fault]:
        """Return what the market did in an hour that counts as a fault."""
        return self._market.seen.get(hour, [])

    @property
    def closed_at(self) -> datetime:
        return datetime.fromtimestamp(self._market.start_s + (self.hour + 1) * HOUR_S, UTC)

    @property
    def now(self) -> datetime:
        return self.closed_at + timedelta(minutes=self.moment.minute if self.moment else 0)

    def begin(self, hour: int, n_known: int) -> list[tuple[Bar, ...]]:
        """Forget what was stored, read `n_known` bars up to `hour`, and return them as sets."""
        self.hour = hour
        self.spoiled = {}
        self._series = {name: BarSeries(name, Timeframe.H1) for name in self._market.rows}
        self._refused = {name: {} for name in self._market.rows}
        for name in self._market.rows:
            rows = [self._row(name, one) for one in range(hour - n_known + 1, hour + 1)]
            self._keep(name, [row for row in rows if row is not None])
        sets: dict[datetime, list[Bar]] = {}
        for _, series in sorted(self._series.items()):
            bars = series.bars()
            for place in range(len(bars)):
                sets.setdefault(bars.bar(place).closed_at, []).append(bars.bar(place))
        return [tuple(sets[close]) for close in sorted(sets)]

    def start(self, epoch: int) -> None:
        """Begin under an epoch; what is known stays known."""

    def observe(self, bars: list[Bar]) -> None:
        """Hear what was decided on; nothing is made of it."""

    def poll(self, _at: datetime | None = None) -> Polled:
        """Visit the venue: keep what is sound, quarantine the rest, tell the open prices."""
        prices: dict[str, float] = {}
        for name in self._market.rows:
            fetched = self._fetched(name)
            now_s = self._now_s()
            found = checked(fetched, HOUR_S, self._first_s(), now_s, now_s)
            closed, still_open = split(found.rows, HOUR_S, now_s)
            if still_open is not None:
                prices[name] = still_open.close
            self._keep(name, closed)
        return Polled(prices=prices, failed={})

    def forecast(self, closed_at: datetime) -> Forecasts:
        """Return the bars that closed at an instant, with signals that know a little."""
        at = to_datetime64(closed_at)
        bars = [one for series in self._series.values() for one in _newest(series.bars(), at)]
        if not bars:
            raise DataError("forecast", "must have bars", closed_at, "Ask once they have closed.")
        bars.sort(key=lambda bar: bar.instrument)
        unwell = {
            name: health.reason
            for name, series in sorted(self._series.items())
            if (
                health := health_at(_recent(series.bars(), at), at, self._refused[name])
            ).quarantined
        }
        return Forecasts(
            bars=tuple(bars),
            signals=tuple(self._signal(bar) for bar in bars),
            unwell=tuple(unwell.items()),
        )

    def _now_s(self) -> int:
        return int(self.now.timestamp()) + 5

    def _first_s(self) -> int:
        return self._market.start_s + (self.hour - _OVERLAP + 1) * HOUR_S

    def _row(self, name: str, hour: int) -> Row | None:
        row = self._market.row(name, hour)
        if row is None:
            return None
        revised = self._revised.get((name, hour))
        self.legit.setdefault((name, row.opened_s + HOUR_S), {row}).update(
            () if revised is None else {revised}
        )
        return revised or row

    def _fetched(self, name: str) -> list[WireRow]:
        hours = range(self.hour - _OVERLAP + 1, self.hour + 1)
        rows = [self._row(name, hour) for hour in hours if (name, hour) not in self._gone]
        fetched = [wire(row) for row in rows if row is not None]
        coming = self._market.row(name, self.hour + 1)
        if coming is not None:
            fetched.append(self._so_far(name, coming))
        return self._spoilt(name, fetched)

    def _so_far(self, name: str, coming: Row) -> WireRow:
        price = first = coming.open
        if self.moment is not None:
            price = coming.low + (coming.high - coming.low) * self.moment.height
            self._row(name, self.hour + 1)  # an order that meets it is judged by the whole hour
        high, low = max(first, price), min(first, price)
        return [coming.opened_s * 1_000, first, high, low, price, 0.0]

    def _spoilt(self, name: str, rows: list[WireRow]) -> list[WireRow]:
        fault = self.spoiled.get(name)
        fresh = usable(rows) and rows[-2][0] == self._newest_ms()
        if fault is None or not fresh or self._market.row(name, self.hour + 1) is None:
            return rows
        del self.spoiled[name]
        self.done.append(fault)
        if fault is Fault.ROW_MISSING:
            self._gone.add((name, self.hour))
        if fault is Fault.ROW_REVISED:
            self._revise(name)
            return rows
        return SPOILING[fault](rows, self._rng)

    def _newest_ms(self) -> int:
        return (self._market.start_s + self.hour * HOUR_S) * 1_000

    def _revise(self, name: str) -> None:
        row = self._market.row(name, self.hour)
        assert row is not None
        close = min(row.high, row.close * _REVISED)
        self._revised[name, self.hour] = row._replace(close=close)  # told from the next visit on

    def _keep(self, name: str, rows: Sequence[Row]) -> None:
        if not rows:
            return
        bars = bars_of(name, Timeframe.H1, rows)
        series = self._series[name]
        wrong = suspects(series.before(bars), bars)
        fresh = series.fresh(without(bars, wrong), pd.Timestamp(bars.closed_at[-1], tz="UTC"))
        series.add(fresh)
        for place, rule in wrong.items():
            self._refused[name].setdefault(bars.closed_at[place], str(rule))

    def _signal(self, bar: Bar) -> Signal:
        hour = (int(bar.closed_at.timestamp()) - self._market.start_s) // HOUR_S - 1
        key = bar.instrument, hour
        if key not in self._said:  # a repeated question has the same answer
            self._said[key] = self._drawn(*key)
        return Signal(
            instrument=bar.instrument, closed_at=bar.closed_at, probability=self._said[key]
        )

    def _drawn(self, name: str, hour: int) -> float | None:
        luck = self._rng.random()
        if luck < 0.03:
            return None
        knows = self._market.rises(name, hour) == (luck < 0.8)
        return self._rng.uniform(0.6, 0.95) if knows else self._rng.uniform(0.05, 0.45)


def _newest(bars: Bars, at: Any) -> list[Bar]:
    known = bars.until(at)
    return [known.bar(-1)] if len(known) and known.closed_at[-1] == at else []


def _recent(bars: Bars, at: Any) -> Bars:
    known = bars.until(at)
    return known.take(slice(max(0, len(known) - _KNOWN_BARS), len(known)))
