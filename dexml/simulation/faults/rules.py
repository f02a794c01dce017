"""The limits that are promised, looked at from outside: at the decision and at the venue."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from dexml.domain import Intent, Side
from dexml.simulation.faults.books import Books
from dexml.simulation.faults.venue import Venue
from dexml.state import KernelConfig

__all__ = ["Rules"]

_TINY = Decimal("1.000001")  # sizes come from floats
_DRIFT = Decimal("1.02")  # prices move, and fees are paid, between the decision and the venue


class Rules:
    """What may be decided and sent.

    Attributes
    ----------
    mode : str
        As heard: by persons, and by the marks of the book.
    unfit : set of str
        Instruments that take no new risk.
    """

    def __init__(self, config: KernelConfig, books: Books) -> None:
        self._books = books
        self._weight = Decimal(repr(config.limits.weight))
        self._orders = config.orders
        self._most_skew_s = config.trips.clock_skew_s
        self.mode = "active"
        self.unfit: set[str] = set()
        self._sent: deque[datetime] = deque(maxlen=2_000)
        self._reserved: dict[str, Decimal] = {}

    def heard(self, event: dict[str, Any], commands: list[dict[str, Any]]) -> Iterator[str]:
        """Yield the limits that the commands of an event pass."""
        self._hear(event)
        for command in commands:
            if command["kind"] == "equity":
                self.mode = command["mode"]
        for command in commands:
            if command["kind"] == "trade":
                yield from self._decided(event, command["intent"])

    def at_the_venue(self, intent: Intent, price: Decimal, venue: Venue) -> Iterator[str]:
        """Yield the limits that an order passes on the venue's own books."""
        held = venue.held(intent.instrument)
        if intent.side is Side.SELL:
            if intent.amount_in > held:
                yield f"sells {intent.amount_in} of {held}: it crosses zero"
            return
        if intent.amount_in > venue.cash:
            yield f"spends {intent.amount_in} of {venue.cash}"
        marks = self._books.closes | {intent.instrument: price}
        equity = Books(venue.cash, venue.base).worth(marks)
        if held * price + intent.amount_in > self._weight * equity * _DRIFT:
            yield f"leads to {held * price + intent.amount_in} of {equity}, limit {self._weight}"

    def _hear(self, event: dict[str, Any]) -> None:
        match event["kind"]:
            case "mode_requested":
                self.mode = event["mode"]
            case "close_requested":
                self.mode = "reducing"
            case "vitals_seen":
                if (event["clock_skew_s"] or 0.0) > self._most_skew_s and self.mode == "active":
                    self.mode = "reducing"
            case "health_changed":
                change = self.unfit.discard if event["healthy"] else self.unfit.add
                change(event["instrument"])
            case "filled":
                self._reserved.pop(event["fill"]["intent_id"], None)
            case "order_failed":
                self._reserved.pop(event["intent_id"], None)

    def _decided(self, event: dict[str, Any], intent: dict[str, Any]) -> Iterator[str]:
        amount, name = Decimal(intent["amount_in"]), intent["instrument"]
        if self.mode == "halted":
            yield f"orders {intent['side']} while halted"
        if intent["side"] == "sell":
            if amount > self._books.held(name):
                yield f"sells {amount} of {self._books.held(name)}: it crosses zero"
            return
        if self.mode != "active":
            yield f"adds risk while {self.mode}"
        yield from self._sized(name, amount, datetime.fromisoformat(event["at"]))
        self._reserved[intent["intent_id"]] = amount

    def _sized(self, name: str, amount: Decimal, at: datetime) -> Iterator[str]:
        equity, value = self._books.equity, self._books.value(name)
        if value + amount > self._weight * equity * _TINY:
            yield f"wants {value + amount} of {equity}, limit {self._weight}"
        if amount + sum(self._reserved.values()) > self._books.cash:
            yield f"reserves more than the cash of {self._books.cash}"
        self._sent.append(at)
        yield from self._counted(amount, value, at)

    def _counted(self, amount: Decimal, value: Decimal, at: datetime) -> Iterator[str]:
        limits = self._orders
        gross = sum((self._books.value(name) for name in self._books.base), Decimal(0))
        gross += amount + sum(self._reserved.values())
        found = {
            "order_notional": amount,
            "instrument_notional": value + amount,
            "gross_notional": gross,
            "orders_per_minute": sum(one > at - timedelta(minutes=1) for one in self._sent),
            "orders_per_day": sum(one > at - timedelta(days=1) for one in self._sent),
            "open_intents": len(self._reserved) + 1,
        }
        for name, was in found.items():
            if was > getattr(limits, name) * _TINY:
                yield f"has {name} {was}, limit {getattr(limits, name)}"
