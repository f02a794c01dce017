"""Two instruments and a kernel that knows them, for tests of `step`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from dexml.domain import Bar, Fill, Intent, Signal
from dexml.events import (
    BarsClosed,
    Command,
    Decision,
    Event,
    Filled,
    Trade,
)
from dexml.execution.paper import PaperBroker
from dexml.state import KernelConfig, State
from dexml.system import initial_state, step, warm_up

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NAMES = ("BTC/USDT", "ETH/USDT")


def bar(name: str, at: datetime, close: float, spread: float = 0.01) -> Bar:
    return Bar(
        instrument=name,
        closed_at=at,
        open=close,
        high=close * (1 + spread),
        low=close * (1 - spread),
        close=close,
        volume=1.0,
    )


def close_of(
    hour: int,
    p: float | None,
    price: float | None = None,
    names: Sequence[str] = NAMES,
    said: Mapping[str, float] | None = None,
) -> BarsClosed:
    at = START + hour * HOUR
    close = price or (100.0 if hour % 2 else 101.0)
    return BarsClosed(
        at=at,
        bars=tuple(bar(name, at, close) for name in names),
        signals=tuple(
            Signal(instrument=n, closed_at=at, probability=(said or {}).get(n, p)) for n in names
        ),
    )


def warmed(config: KernelConfig | None = None, n_bars: int = 40) -> State:
    state = initial_state("run", config or KernelConfig(), NAMES, Decimal(10_000))
    return warm_up(state, [close_of(hour, None).bars for hour in range(n_bars)])


def trades(commands: list[Command]) -> list[Intent]:
    return [command.intent for command in commands if isinstance(command, Trade)]


def decisions(commands: list[Command]) -> dict[str, Decision]:
    return {item.instrument: item for item in commands if isinstance(item, Decision)}


def filled(intent: Intent, price: float | None = None, at: datetime | None = None) -> Event:
    broker = PaperBroker(KernelConfig().costs)
    when = at or intent.decided_at
    market = intent.reference_price if price is None else Decimal(repr(price))
    result = broker.execute(intent, market, when)
    assert isinstance(result, Fill)
    return Filled(at=when, fill=result)


def invested() -> State:
    state, commands = step(warmed(), close_of(40, 0.8))
    for intent in trades(commands):
        state, _ = step(state, filled(intent))
    assert all(book.position is not None for book in state.books)
    return state
