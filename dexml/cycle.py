"""How a recorded bar set is heard: worst prices, best prices, close; the one way for all hosts.

An intent decided at a close is filled at the opening price of the next bar, after the latency: an
order is never filled at the price it was decided on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, Protocol

from dexml.domain import Bar, Intent, Signal, Timeframe
from dexml.errors import DataError
from dexml.events import (
    BarsClosed,
    Command,
    Event,
    Filled,
    OrderFailed,
    PricesSeen,
    Trade,
    event_order,
)

__all__ = ["Host", "Timing", "exact", "live_through", "run_bar"]

Outcome = Filled | OrderFailed
_PHASES: tuple[tuple[Literal["worst", "best"], int], ...] = (("worst", 1), ("best", 2))


class Host(Protocol):
    """Who decides and who trades: objects in one process, or actors."""

    def decide(self, event: Event) -> list[Command]:
        """Let the kernel hear `event`; return its commands."""
        ...

    def execute(
        self, intents: Sequence[Intent], prices: Mapping[str, Decimal] | None, at: datetime
    ) -> list[Outcome]:
        """Carry out intents at `prices`, or at their reference prices if there are none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Length of a bar, and seconds from a decision at the close to its fill."""

    timeframe: Timeframe = Timeframe.H1
    latency_s: int = 12

    def within(self, closed_at: datetime, thirds: int) -> datetime:
        """Return the instant `thirds` thirds into the bar."""
        return closed_at - self.timeframe.step + self.timeframe.step * thirds / 3


def run_bar(
    host: Host,
    bars: tuple[Bar, ...],
    signals: tuple[Signal, ...],
    next_prices: Mapping[str, float],
    timing: Timing | None = None,
) -> list[Command]:
    """Let `host` live through one bar set and return every command in order.

    Parameters
    ----------
    host : Host
        Decides and executes.
    bars : tuple of Bar
        All closed at the same instant.
    signals : tuple of Signal
        Made from these bars.
    next_prices : mapping of instrument to float
        Opening prices of the next bars. An order without one has certainly not happened.
    timing : Timing, optional
        Default: hourly bars, 12 seconds.

    Raises
    ------
    DataError
        If the bars do not close together.
    """
    timing = timing or Timing()
    bars = tuple(sorted(bars, key=lambda bar: bar.instrument))
    closed_at = _common_close(bars)
    commands: list[Command] = []
    for phase, thirds in _PHASES:
        at = timing.within(closed_at, thirds)
        seen = PricesSeen(at=at, phase=phase, prices=_extremes(bars, phase))
        commands += live_through(host, seen, None, at)
    signals = tuple(sorted(signals, key=lambda signal: signal.instrument))
    filled_at = closed_at + timedelta(seconds=timing.latency_s)
    close = BarsClosed(at=closed_at, bars=bars, signals=signals)
    return commands + live_through(host, close, exact(next_prices), filled_at)


def _common_close(bars: tuple[Bar, ...]) -> datetime:
    closes = {bar.closed_at for bar in bars}
    if len(closes) != 1:
        raise DataError(
            "bar set", "must close at one instant", sorted(closes), "Group bars by closed_at."
        )
    return closes.pop()


def _extremes(bars: tuple[Bar, ...], phase: str) -> tuple[tuple[str, float], ...]:
    # Positions are long: the low is what hurts.
    return tuple((bar.instrument, bar.low if phase == "worst" else bar.high) for bar in bars)


def exact(prices: Mapping[str, float]) -> dict[str, Decimal]:
    """Return prices as decimals that read as the floats do.

    Examples
    --------
    >>> exact({"BTC/USDT": 0.1})
    {'BTC/USDT': Decimal('0.1')}
    """
    return {name: Decimal(repr(float(price))) for name, price in prices.items()}


def live_through(
    host: Host, event: Event, prices: Mapping[str, Decimal] | None, at: datetime
) -> list[Command]:
    """Let `host` hear an event, carry out what it decides, and hear what became of it.

    Parameters
    ----------
    prices : mapping of instrument to Decimal, or None
        The market that the orders meet `at`; None: the prices they were decided at.
    """
    commands = host.decide(event)
    intents = [command.intent for command in commands if isinstance(command, Trade)]
    if not intents:
        return commands
    ready = [intent for intent in intents if prices is None or intent.instrument in prices]
    outcomes = host.execute(ready, prices, at) if ready else []
    outcomes += [_unpriced(intent, at) for intent in intents if intent not in ready]
    for outcome in sorted(outcomes, key=event_order):
        commands = commands + host.decide(outcome)
    return commands


def _unpriced(intent: Intent, at: datetime) -> OrderFailed:
    return OrderFailed(at=at, intent_id=intent.intent_id, reason="no price to fill at")
