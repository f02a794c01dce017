"""Exits, what stops entries, and what is held and silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from dexml.costs import CostConfig
from dexml.cycle import run_bar
from dexml.domain import Fill, Intent, Mode, Side
from dexml.events import (
    Action,
    Command,
    Event,
    Filled,
    OrderFailed,
    PricesSeen,
    Reason,
)
from dexml.risk.exits import Levels
from dexml.risk.policy import PolicyConfig
from dexml.risk.sizing import SizingConfig
from dexml.state import KernelConfig, Position, State
from dexml.system import step
from tests.dexml.three_coins import (
    BTC,
    ETH,
    HOUR,
    NOW,
    START,
    bars,
    close_of,
    decisions,
    filled,
    holding,
    orders,
    price,
    stop_of,
    swapped,
    warmed,
)


def test_a_stop_follows_the_highest_close_two_ranges_behind_and_is_sold_there() -> None:
    state, commands = step(warmed(KernelConfig()), close_of(NOW, {BTC: 0.8}))
    state = filled(state, orders(commands)[BTC])
    first = stop_of(state, BTC)
    state, _ = step(state, close_of(NOW + 1, {BTC: 0.5}, close=105.0))
    book = state.book(BTC)
    assert book is not None
    trailed = 105.0 - 2 * book.atr
    assert stop_of(state, BTC) == pytest.approx(trailed)
    assert first < trailed - 1
    state, commands = step(state, close_of(NOW + 2, {BTC: 0.5}, close=103.0))
    assert decisions(commands)[BTC].action is Action.HOLD
    assert stop_of(state, BTC) >= trailed
    at = START + (NOW + 2) * HOUR + HOUR / 3
    seen = PricesSeen(at=at, phase="worst", prices=((BTC, trailed - 0.01),))
    _, commands = step(state, seen)
    assert orders(commands)[BTC].reason == "stop"


class Desk:
    """A host that decides and trades at once, in one process."""

    def __init__(self, state: State) -> None:
        self.state, self.sold = state, list[Intent]()

    def decide(self, event: Event) -> list[Command]:
        self.state, commands = step(self.state, event)
        return commands

    def execute(
        self, intents: Sequence[Intent], prices: Mapping[str, Decimal] | None, at: datetime
    ) -> list[Filled | OrderFailed]:
        self.sold += intents
        return [Filled(at=at, fill=swapped(self.state, intent)) for intent in intents]


def test_a_bar_that_touches_both_exits_is_sold_at_its_worst_price() -> None:
    state = holding(warmed(KernelConfig()), BTC, 0.1)
    both = replace(bars(NOW, 100.0)[0], low=90.0, high=120.0)
    exits = Levels(stop=95.0, take_profit=110.0)
    book = state.book(BTC)
    assert book is not None
    assert book.position is not None
    desk = Desk(state.having(replace(book, position=replace(book.position, exits=exits))))
    run_bar(desk, (both,), (), {})
    (sale,) = desk.sold
    assert (sale.reason, sale.reference_price) == ("stop", Decimal(90))


def test_a_drawdown_is_measured_from_the_highest_equity_at_any_close() -> None:
    state = holding(warmed(KernelConfig()), BTC, 0.5)  # 50 BTC at 100 beside 5000 in cash
    state, _ = step(state, close_of(NOW, {}, close=200.0))
    assert (state.equity, state.mode) == (15_000, Mode.ACTIVE)
    state, _ = step(state, close_of(NOW + 1, {}, close=140.0))
    assert state.equity == 12_000  # more than at the start, and a fifth below the peak
    assert state.mark is not None
    assert state.mark.drawdown == pytest.approx(0.2)
    assert state.mode is Mode.REDUCING


@pytest.mark.parametrize(
    ("hours_ago", "reason"),
    [((1,), Reason.EDGE), ((23, 1), Reason.PROTECTION), ((24, 1), Reason.EDGE)],
)
def test_too_many_stops_within_the_window_close_the_entries_of_all_instruments(
    hours_ago: tuple[int, ...], reason: Reason
) -> None:
    policy = PolicyConfig(max_stops=2, stop_window_bars=24)
    stops = tuple(START + (NOW - ago) * HOUR for ago in hours_ago)
    state = replace(warmed(KernelConfig(policy=policy)), stops=stops)
    _, commands = step(state, close_of(NOW, {BTC: 0.8}))
    assert decisions(commands)[BTC].reason is reason
    assert (BTC in orders(commands)) is (reason is Reason.EDGE)


def sold(state: State, name: str, paid: int, got: str, at: datetime) -> State:
    """Return the state after it bought for `paid`, gas included, and was told of a sale of all."""
    book = state.book(name)
    assert book is not None
    position = Position(
        quantity=Decimal(1),
        paid=Decimal(paid),
        entered_at=at - HOUR,
        best=1.0,
        exits=Levels(stop=0.5, take_profit=2.0),
    )
    intent = Intent(
        intent_id=f"{name} {at}",
        instrument=name,
        side=Side.SELL,
        amount_in=Decimal(1),
        minimum_out=Decimal(1),
        reference_price=Decimal(paid),
        reason="exit",
        decided_at=at,
    )
    fill = Fill(
        intent_id=intent.intent_id,
        instrument=name,
        side=Side.SELL,
        base=Decimal(1),
        quote=Decimal(got),
        gas=Decimal(1),
        filled_at=at,
    )
    held = state.having(replace(book, position=position, pending=intent))
    after, _ = step(held, Filled(at=at, fill=fill))
    return replace(after, cash=state.cash, watch=state.watch, mode=Mode.ACTIVE)


@pytest.mark.parametrize(
    ("got", "hours_ago", "detail"),
    [
        (("97", "97", "97"), (30, 20, 10), "low profit"),  # 0.12 lost, gas of 1 included
        (("97", "97"), (20, 10), ""),  # too few to judge by
        (("97", "97", "97"), (48, 20, 10), ""),  # the first is as old as the window
        (("97", "97", "97"), (47, 20, 10), "low profit"),
        (("97", "97", "97.1"), (30, 20, 10), ""),
        (("81", "101", "109.0"), (30, 20, 10), "low profit"),
        (("81", "101", "109.1"), (30, 20, 10), ""),  # losses that gains make up for
    ],
)
def test_an_instrument_whose_sales_of_late_earned_too_little_is_not_entered_and_others_are(
    got: tuple[str, ...], hours_ago: tuple[int, ...], detail: str
) -> None:
    policy = PolicyConfig(low_profit_trades=3, low_profit_window_bars=48, least_profit=-0.1195)
    state = warmed(KernelConfig(policy=policy))
    for quote, ago in zip(got, hours_ago, strict=True):
        state = sold(state, BTC, 100, quote, START + (NOW - ago) * HOUR)
    _, commands = step(state, close_of(NOW, {BTC: 0.8, ETH: 0.8}))
    said = decisions(commands)
    assert (said[BTC].reason, said[BTC].detail) == (
        (Reason.PROTECTION, detail) if detail else (Reason.EDGE, "")
    )
    assert said[ETH].action is Action.ENTER


def test_what_a_book_remembers_of_sales_is_no_longer_than_the_guards_window() -> None:
    state = warmed(KernelConfig(policy=PolicyConfig(low_profit_window_bars=12)))
    for hour in range(NOW, NOW + 60, 3):
        state = sold(state, BTC, 100, "103", START + hour * HOUR)
        book = state.book(BTC)
        assert book is not None
        assert len(book.gains) <= 4
    assert [gain.earned for gain in book.gains] == [pytest.approx(0.02)] * 4


def test_a_position_is_no_larger_than_its_share_of_the_pool() -> None:
    sizing = SizingConfig(max_pool_share=0.0001)
    config = KernelConfig(sizing=sizing, costs=CostConfig(pool_depth_usd=20_000_000))
    _, commands = step(warmed(config, cash=100_000), close_of(NOW, {BTC: 0.8}))
    assert orders(commands)[BTC].amount_in == 2_000
    assert decisions(commands)[BTC].target_weight == pytest.approx(0.02)


def test_what_is_held_and_silent_for_a_day_is_sold_and_tried_again_the_next() -> None:
    state, sold = holding(warmed(KernelConfig()), BTC, 0.1), []
    for hour in range(NOW, NOW + 60):
        full = close_of(hour, {})
        rest = tuple(bar for bar in full.bars if bar.instrument != BTC)
        state, commands = step(state, replace(full, bars=rest))
        for intent in orders(commands).values():
            sold.append((hour - NOW + 1, intent.instrument, intent.reason))
            failed = OrderFailed(at=full.at, intent_id=intent.intent_id, reason="no price")
            state, _ = step(state, failed)
    assert sold == [(24, BTC, "data"), (48, BTC, "data")]
    assert state.mode is Mode.ACTIVE
    book = state.book(BTC)
    assert book is not None
    assert book.returns[-60:] == (None,) * 60


@pytest.mark.parametrize("n_silent", [1, 30])
def test_an_outage_of_what_is_held_never_makes_the_book_look_safer(n_silent: int) -> None:
    state = holding(warmed(KernelConfig()), BTC, 0.2)
    state, _ = step(state, close_of(NOW, {}))
    assert state.mark is not None
    before = state.mark.value_at_risk
    for hour in range(NOW + 1, NOW + 1 + n_silent):
        calm = close_of(hour, {}, close=price(NOW))  # its peers do not move at all
        rest = tuple(bar for bar in calm.bars if bar.instrument != BTC)
        state, _ = step(state, replace(calm, bars=rest))
    assert state.mark is not None
    assert state.mark.value_at_risk >= before > 0
