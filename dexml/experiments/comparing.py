"""A recorded close beside the same close made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal

import pandas as pd

from dexml.cycle import Timing, run_bar
from dexml.domain import PRICE_COLUMNS, Bar, Intent, Signal
from dexml.events import BarsClosed, Command, Event, Filled, OrderFailed, PricesSeen
from dexml.experiments.causes import NOTHING, Differences
from dexml.experiments.rebuild import Rebuilt
from dexml.records import encode
from dexml.state import State

__all__ = ["CloseRecord", "compare_close", "compare_start"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRecord:
    """What the ledger holds of a close.

    Attributes
    ----------
    features : mapping of instrument to str
        Digests.
    forecasts : mapping of (instrument, target) to float or None
    prices : mapping of event id to str
        Records of all prices that were heard, of other closes too.
    health : mapping of instrument to str
        Which went into quarantine at this close, with the reason, or came out of it ("").
    """

    event: BarsClosed
    features: Mapping[str, str]
    forecasts: Mapping[tuple[str, str], float | None]
    prices: Mapping[str, str]
    health: Mapping[str, str]


def compare_start(found: Differences, then: State, now: State) -> None:
    """Compare the state that a run began from with the one its data lead to."""
    if encode(then) == encode(now):
        return
    for one, other in zip(then.books, now.books, strict=True):
        for field in fields(one):
            values = getattr(one, field.name), getattr(other, field.name)
            subject = f"warm-up of {one.instrument}, {field.name}"
            found.compare("start", subject, *_apart(*values))
    if "start" not in found.first:
        found.compare("start", "warm-up", "one state", "another")


def compare_close(
    found: Differences, record: CloseRecord, rebuilt: Rebuilt, timing: Timing, told: set[str]
) -> set[str]:
    """Compare a close in all that was recorded of it.

    Parameters
    ----------
    told : set of str
        Instruments that were in quarantine before.

    Returns
    -------
    set of str
        Those that are in quarantine from now on.
    """
    at = f"closed at {rebuilt.closed_at:%Y-%m-%d %H:%M}"
    _compare_features(found, record, rebuilt, at)
    _compare_forecasts(found, record, rebuilt, at)
    _compare_events(found, record, rebuilt, timing, at)
    now = set(rebuilt.unwell)
    health = {name: rebuilt.unwell.get(name, "") for name in sorted(told ^ now)}
    found.compare("health", f"instruments {at}", dict(sorted(record.health.items())), health)
    return now


def _compare_features(found: Differences, record: CloseRecord, rebuilt: Rebuilt, at: str) -> None:
    for name in sorted({*record.features, *rebuilt.features}):
        then, now = record.features.get(name, NOTHING), rebuilt.features.get(name, NOTHING)
        found.compare("features", f"{name} {at}", then, now)


def _compare_forecasts(found: Differences, record: CloseRecord, rebuilt: Rebuilt, at: str) -> None:
    if rebuilt.forecasts is None:
        return
    now = {
        (str(name), str(target)): None if pd.isna(value) else float(value)
        for name, row in rebuilt.forecasts.iterrows()
        for target, value in row.items()
    }
    for key in sorted({*record.forecasts, *now}):
        said = record.forecasts.get(key, NOTHING), now.get(key, NOTHING)
        found.compare("forecast", f"{key[1]} of {key[0]} {at}", *said)


def _compare_events(
    found: Differences, record: CloseRecord, rebuilt: Rebuilt, timing: Timing, at: str
) -> None:
    bars = {bar.instrument: bar for bar in record.event.bars}
    for name in sorted({*bars, *rebuilt.bars}):
        found.compare("bar", f"{name} {at}", *_bars_apart(bars.get(name), rebuilt.bars.get(name)))
    signals = record.event.signals if rebuilt.forecasts is None else rebuilt.signals
    for event in _events(tuple(rebuilt.bars.values()), signals, timing):
        if isinstance(event, PricesSeen):
            then = record.prices.get(event.id, NOTHING)
            found.compare("prices", event.id, then, encode(event))
        elif isinstance(event, BarsClosed):
            _compare_signals(found, record.event, event, at)


def _compare_signals(found: Differences, then: BarsClosed, now: BarsClosed, at: str) -> None:
    one, other = ({s.instrument: s for s in event.signals} for event in (then, now))
    for name in sorted({*one, *other}):
        said = _said(one.get(name)), _said(other.get(name))
        found.compare("signal", f"{name} {at}", *said)


class _Listener:
    """Hears the events of a bar set, and wants nothing."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def decide(self, event: Event) -> list[Command]:
        self.heard.append(event)
        return []

    def execute(
        self, intents: Sequence[Intent], prices: Mapping[str, Decimal] | None, at: datetime
    ) -> list[Filled | OrderFailed]:
        return []


def _events(bars: tuple[Bar, ...], signals: tuple[Signal, ...], timing: Timing) -> list[Event]:
    listener = _Listener()
    if bars:
        run_bar(listener, bars, signals, {}, timing)
    return listener.heard


def _bars_apart(one: Bar | None, other: Bar | None) -> tuple[str, str]:
    if one is None or other is None:
        return _presence(one), _presence(other)
    apart = [name for name in PRICE_COLUMNS if getattr(one, name) != getattr(other, name)]
    return _fields(one, apart), _fields(other, apart)


def _presence(bar: Bar | None) -> str:
    return NOTHING if bar is None else "a bar"


def _fields(bar: Bar, names: Sequence[str]) -> str:
    return ", ".join(f"{name} {getattr(bar, name)!r}" for name in names)


def _said(signal: Signal | None) -> str:
    if signal is None:
        return NOTHING
    members = ", ".join(f"{name} {value!r}" for name, value in signal.members)
    return f"{signal.probability!r} ({members})"


def _apart(one: object, other: object) -> tuple[object, object]:
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        for values in zip(one, other, strict=True):
            if values[0] != values[1]:
                return values
    return one, other
