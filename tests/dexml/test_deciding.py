from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import fsum, sqrt

import pytest

from dexml.costs import CostConfig
from dexml.cycle import run_bar
from dexml.domain import Bar, Fill, Intent, Mode, Side, Signal
from dexml.events import (
    Action,
    BarsClosed,
    Command,
    Decision,
    Event,
    Filled,
    OrderFailed,
    PricesSeen,
    Reason,
    Trade,
)
from dexml.execution.paper import PaperBroker
from dexml.risk.exits import Levels
from dexml.risk.limits import LimitConfig
from dexml.risk.policy import PolicyConfig
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


@pytest.mark.parametrize(("room", "entered"), [(0.9, False), (1.1, True)])
def test_an_entry_that_takes_the_book_over_its_value_at_risk_is_refused(
    room: float, entered: bool
) -> None:
    held, wanted = 0.2, 0.1  # equal markets: losses of weights add up
    limits = replace(LOOSE, value_at_risk=(held + room * wanted) * ONE_DAY_LOSS)
    sizing = SizingConfig(max_pool_share=wanted * 10_000 / CostConfig().pool_depth_usd)
    state = holding(warmed(KernelConfig(limits=limits, sizing=sizing)), BTC, held)
    _, commands = step(state, close_of(NOW, {BTC: 0.5, ETH: 0.8}, close=price(NOW - 1)))
    said = decisions(commands)[ETH]
    assert said.portfolio_weight >= wanted  # were BTC not held, it would have a place
    assert said.action is (Action.ENTER if entered else Action.DECLINE)
    assert said.detail == ("" if entered else "value_at_risk")


@pytest.mark.parametrize("limit", [0.01, 0.02])
def test_entries_of_one_close_share_the_value_at_risk(limit: float) -> None:
    limits = replace(LOOSE, value_at_risk=limit)
    _, commands = step(warmed(KernelConfig(limits=limits)), close_of(NOW, {BTC: 0.8, ETH: 0.8}))
    said = [decisions(commands)[name] for name in (BTC, ETH)]
    assert said[0].target_weight == pytest.approx(said[1].target_weight, abs=1e-4)
    assert sum(one.target_weight for one in said) * ONE_DAY_LOSS == pytest.approx(limit, rel=0.01)
    assert {one.reason for one in said} == {Reason.EDGE}


def test_buys_of_one_close_share_the_cash_and_keep_the_gas_of_a_sale() -> None:
    start = warmed(BOLD, cash=5_000)
    state, commands = step(start, close_of(NOW, dict.fromkeys((BTC, ETH), 0.97)))
    first, second = orders(commands).values()
    assert first.amount_in == pytest.approx(Decimal(2_500), abs=1)  # the portfolio's halves
    # a swap costs 5 cents: two buys, and the first of the sales
    assert first.amount_in + second.amount_in == Decimal(5_000) - 3 * Decimal("0.05")
    assert filled(filled(state, first), second).cash == Decimal("0.05")


def test_the_strongest_signal_is_served_first_while_cash_lasts() -> None:
    said = {BTC: 0.5, ETH: 0.97, SOL: 0.97 + 1e-9}
    state = holding(warmed(BOLD, cash=5_000), BTC, 0.6)
    _, commands = step(state, close_of(NOW, said, close=price(NOW - 1)))
    assert set(orders(commands)) == {SOL}
    assert orders(commands)[SOL].amount_in == pytest.approx(Decimal(2_000), abs=1)
    assert decisions(commands)[ETH].reason is Reason.CASH


def test_once_outcomes_are_measured_the_size_is_kellys_after_costs() -> None:
    p, moves = 0.65, [price(hour) / price(hour - 1) - 1 for hour in range(1, NOW + 1)]
    move = fsum(map(abs, moves)) / len(moves)
    damping = 1 + 10 * sqrt(24 * fsum(m * m for m in moves) / len(moves))
    state = warmed(BOLD)
    _, commands = step(state, close_of(NOW, {BTC: p}))
    assert decisions(commands)[BTC].target_weight == pytest.approx((2 * p - 1) / damping)
    _, commands = step(replace(state, outcomes=(1.0, -1.0) * 50), close_of(NOW, {BTC: p}))
    cost = decisions(commands)[BTC].cost
    after_costs = p - (1 - p) * (move + cost) / (move - cost)
    assert 0.001 < cost < 0.01
    assert decisions(commands)[BTC].target_weight == pytest.approx(after_costs / damping)


@pytest.mark.parametrize(("weight", "action"), [(0.15, Action.ENTER), (0.31, Action.DECLINE)])
def test_one_instrument_at_its_weight_limit_keeps_new_risk_out_of_all(
    weight: float, action: Action
) -> None:
    state = holding(warmed(KernelConfig()), BTC, weight)
    _, commands = step(state, close_of(NOW, {BTC: 0.5, ETH: 0.8}))
    assert decisions(commands)[ETH].action is action
    assert decisions(commands)[ETH].reason is (
        Reason.EDGE if action is Action.ENTER else Reason.RISK
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
