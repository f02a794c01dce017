"""Three instruments that move by 1% up and down, for tests of what is decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import sqrt

from dexml.domain import Bar, Fill, Intent, Signal
from dexml.events import (
    BarsClosed,
    Command,
    Decision,
    Filled,
    Trade,
)
from dexml.execution.paper import PaperBroker
from dexml.risk.exits import Levels
from dexml.risk.limits import LimitConfig
from dexml.risk.sizing import SizingConfig
from dexml.state import KernelConfig, Position, State
from dexml.system import initial_state, step, warm_up

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
BTC, ETH, SOL = NAMES = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
NOW = 40  # the first bar set that is decided
LOOSE = LimitConfig(value_at_risk=0.99, weight=0.99)
# one-day 95% VaR of the market below, per unit of weight: a Gaussian's of hours of about 1%
ONE_DAY_LOSS = 1.6449 * 0.00995 * sqrt(24)
BOLD = KernelConfig(limits=LOOSE, sizing=SizingConfig(kelly_cap=1.0))


def price(hour: int) -> float:
    return 100.0 if hour % 2 else 101.0


def bars(hour: int, close: float) -> tuple[Bar, ...]:
    shape = {"open": close, "high": close + 1.0, "low": close - 1.0, "close": close}
    at = START + hour * HOUR
    return tuple(Bar(instrument=name, closed_at=at, volume=1.0, **shape) for name in NAMES)


def close_of(hour: int, said: Mapping[str, float], close: float | None = None) -> BarsClosed:
    at = START + hour * HOUR
    signals = tuple(Signal(instrument=n, closed_at=at, probability=p) for n, p in said.items())
    return BarsClosed(at=at, bars=bars(hour, close or price(hour)), signals=signals)


def warmed(config: KernelConfig, cash: int = 10_000) -> State:
    """Return a state that heard every instrument move by 1% up and down, hour by hour."""
    state = initial_state("run", config, NAMES, Decimal(cash))
    return warm_up(state, [bars(hour, price(hour)) for hour in range(NOW)])


def holding(state: State, name: str, weight: float) -> State:
    """Return the state with `weight` of its equity in one instrument, bought at the last close."""
    book = state.book(name)
    assert book is not None
    paid = state.cash * Decimal(repr(weight))
    position = Position(
        quantity=paid / Decimal(repr(price(NOW - 1))),
        paid=paid,
        entered_at=START + (NOW - 1) * HOUR,
        best=price(NOW - 1),
        exits=Levels(stop=1.0, take_profit=1_000.0),
    )
    return replace(state.having(replace(book, position=position)), cash=state.cash - paid)


def decisions(commands: list[Command]) -> dict[str, Decision]:
    return {item.instrument: item for item in commands if isinstance(item, Decision)}


def orders(commands: list[Command]) -> dict[str, Intent]:
    return {item.intent.instrument: item.intent for item in commands if isinstance(item, Trade)}


def swapped(state: State, intent: Intent) -> Fill:
    broker = PaperBroker(state.config.costs)
    fill = broker.execute(intent, intent.reference_price, intent.decided_at)
    assert isinstance(fill, Fill)
    return fill


def filled(state: State, intent: Intent) -> State:
    return step(state, Filled(at=intent.decided_at, fill=swapped(state, intent)))[0]


def stop_of(state: State, name: str) -> float:
    book = state.book(name)
    assert book is not None
    assert book.position is not None
    return book.position.exits.stop
