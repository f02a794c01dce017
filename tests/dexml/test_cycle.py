from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from dexml.cycle import run_bar
from dexml.domain import Bar, Intent, Side
from dexml.errors import DataError
from dexml.events import Command, Event, Filled, OrderFailed, Trade

AT = datetime(2024, 1, 1, 1, tzinfo=UTC)


def bar(name: str, at: datetime = AT) -> Bar:
    return Bar(instrument=name, closed_at=at, open=10.0, high=12.0, low=9.0, close=11.0, volume=1.0)


class Listener:
    """A host that orders one buy of each instrument at the close and fails every order."""

    def __init__(self, orders: tuple[str, ...] = ()) -> None:
        self.orders, self.heard = orders, list[Event]()
        self.executed: list[tuple[str, Mapping[str, Decimal] | None, datetime]] = []

    def decide(self, event: Event) -> list[Command]:
        self.heard.append(event)
        if event.kind != "bars_closed":
            return []
        return [Trade(intent=intent(name)) for name in self.orders]

    def execute(
        self, intents: Sequence[Intent], prices: Mapping[str, Decimal] | None, at: datetime
    ) -> list[Filled | OrderFailed]:
        self.executed += [(item.instrument, prices, at) for item in intents]
        return [OrderFailed(at=at, intent_id=i.intent_id, reason="refused") for i in intents]


def intent(name: str) -> Intent:
    return Intent(
        intent_id=name,
        instrument=name,
        side=Side.BUY,
        amount_in=Decimal(1),
        minimum_out=Decimal("0.01"),
        reference_price=Decimal(11),
        reason="enter",
        decided_at=AT,
    )


def test_a_bar_is_heard_as_its_worst_prices_its_best_prices_and_its_close() -> None:
    host = Listener()
    run_bar(host, (bar("ETH/USDT"), bar("BTC/USDT")), (), {})
    assert [event.id for event in host.heard] == [
        "prices_seen:2024-01-01T00:20:00+00:00:worst",
        "prices_seen:2024-01-01T00:40:00+00:00:best",
        "bars_closed:2024-01-01T01:00:00+00:00",
    ]
    worst, best = host.heard[:2]
    assert worst.prices == (("BTC/USDT", 9.0), ("ETH/USDT", 9.0))  # type: ignore[union-attr]
    assert best.prices == (("BTC/USDT", 12.0), ("ETH/USDT", 12.0))  # type: ignore[union-attr]


def test_an_order_of_the_close_is_executed_at_the_next_opening_price() -> None:
    host = Listener(orders=("BTC/USDT",))
    run_bar(host, (bar("BTC/USDT"),), (), {"BTC/USDT": 11.5})
    at = AT + timedelta(seconds=12)
    assert host.executed == [("BTC/USDT", {"BTC/USDT": Decimal("11.5")}, at)]
    assert host.heard[-1].id == "order_failed:BTC/USDT"


def test_an_order_without_a_next_price_certainly_did_not_happen() -> None:
    host = Listener(orders=("BTC/USDT",))
    run_bar(host, (bar("BTC/USDT"),), (), {})
    assert host.executed == []
    (failed,) = [event for event in host.heard if isinstance(event, OrderFailed)]
    assert failed.reason == "no price to fill at"


def test_outcomes_are_heard_in_the_order_of_their_ids() -> None:
    names = ("ETH/USDT", "BTC/USDT")
    host = Listener(orders=names)
    run_bar(host, tuple(bar(name) for name in names), (), dict.fromkeys(names, 11.0))
    assert [e.id for e in host.heard[3:]] == ["order_failed:BTC/USDT", "order_failed:ETH/USDT"]


def test_bars_that_close_apart_are_refused() -> None:
    with pytest.raises(DataError, match="bar set must close at one instant"):
        run_bar(Listener(), (bar("BTC/USDT"), bar("ETH/USDT", AT + timedelta(hours=1))), (), {})
