from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from dexml.domain import Mode, Side, Target
from dexml.events import (
    Action,
    Alert,
    EquityMarked,
    HealthChanged,
    ModeRequested,
    OrderFailed,
    PricesSeen,
    Reason,
)
from dexml.system import step
from tests.dexml.kernel_market import (
    HOUR,
    NAMES,
    START,
    close_of,
    decisions,
    filled,
    invested,
    trades,
    warmed,
)


def test_a_strong_signal_is_bought_and_each_trade_follows_its_decision() -> None:
    _, commands = step(warmed(), close_of(40, 0.8))
    kinds = [command.kind for command in commands]
    assert kinds == ["equity", "decision", "trade", "decision", "trade"]
    assert {d.action for d in decisions(commands).values()} == {Action.ENTER}
    assert all(intent.amount_in <= 2_500 for intent in trades(commands))


def test_every_instrument_with_a_bar_is_decided_and_no_other() -> None:
    _, commands = step(warmed(), close_of(40, None, names=NAMES[:1]))
    assert list(decisions(commands)) == ["BTC/USDT"]


@pytest.mark.parametrize(
    ("p", "reason"),
    [(None, Reason.DATA), (0.505, Reason.ABSTAIN), (0.3, Reason.ABSTAIN), (0.56, Reason.COST)],
)
def test_a_declined_decision_has_its_reason(p: float | None, reason: Reason) -> None:
    _, commands = step(warmed(), close_of(40, p))
    assert {(d.action, d.reason) for d in decisions(commands).values()} == {
        (Action.DECLINE, reason)
    }


def test_no_instrument_is_entered_before_its_warm_up() -> None:
    _, commands = step(warmed(n_bars=10), close_of(10, 0.9))
    assert {d.reason for d in decisions(commands).values()} == {Reason.DATA}


def test_an_unhealthy_instrument_takes_no_new_risk_but_may_leave() -> None:
    event = HealthChanged(at=START, instrument=NAMES[0], healthy=False, reason="frozen feed")
    state, alerts = step(warmed(), event)
    assert isinstance(alerts[0], Alert)
    _, commands = step(state, close_of(40, 0.8))
    assert decisions(commands)[NAMES[0]].reason is Reason.DATA
    assert decisions(commands)[NAMES[1]].action is Action.ENTER
    state, _ = step(invested(), event)
    _, commands = step(state, close_of(41, 0.2))
    assert decisions(commands)[NAMES[0]].action is Action.EXIT


def test_members_that_disagree_beyond_the_limit_refuse_the_entry() -> None:
    event = close_of(40, 0.8)
    members = ((Target.DIRECTION.value, 0.97), (Target.MACRO.value, 0.05))
    signals = tuple(replace(signal, members=members) for signal in event.signals)
    _, commands = step(warmed(), replace(event, signals=signals))
    assert {d.reason for d in decisions(commands).values()} == {Reason.RISK}


def test_a_position_is_held_inside_the_band_and_left_below_it() -> None:
    _, commands = step(invested(), close_of(41, 0.5))
    assert {d.action for d in decisions(commands).values()} == {Action.HOLD}
    state, commands = step(invested(), close_of(41, 0.2))
    assert {d.reason for d in decisions(commands).values()} == {Reason.EDGE}
    for intent in trades(commands):
        assert intent.amount_in == next(
            b.quantity for b in state.books if b.instrument == intent.instrument
        )


def test_a_stop_is_sold_at_the_worst_price_seen_and_cools_down() -> None:
    state = invested()
    position = state.books[0].position
    assert position is not None
    low = position.exits.stop * 0.99
    at = START + 40 * HOUR + HOUR / 3
    seen = PricesSeen(at=at, phase="worst", prices=((NAMES[0], low),))
    state, commands = step(state, seen)
    (intent,) = trades(commands)
    assert (intent.side, intent.reason) == (Side.SELL, "stop")
    assert intent.reference_price == Decimal(repr(low))
    state, _ = step(state, filled(intent, at=at))
    _, commands = step(state, close_of(41, 0.5, said={NAMES[0]: 0.9}))
    assert decisions(commands)[NAMES[0]].reason is Reason.PROTECTION


def test_a_take_profit_is_sold_at_its_level() -> None:
    state = invested()
    position = state.books[0].position
    assert position is not None
    at = START + 40 * HOUR + HOUR / 3
    above = PricesSeen(at=at, phase="best", prices=((NAMES[0], position.exits.take_profit * 2),))
    _, commands = step(state, above)
    (intent,) = trades(commands)
    assert intent.reason == "take_profit"
    assert intent.reference_price == Decimal(repr(position.exits.take_profit))


def test_an_old_position_is_closed_by_time() -> None:
    at = START + 200 * HOUR
    _, commands = step(invested(), close_of(200, 0.9, price=101.0))
    assert decisions(commands)[NAMES[0]].at == at
    assert {d.reason for d in decisions(commands).values()} == {Reason.TIME}


def test_an_open_order_blocks_a_second_one_until_it_failed() -> None:
    state, commands = step(warmed(), close_of(40, 0.8))
    first = trades(commands)
    blocked, commands = step(state, close_of(41, 0.8))
    assert {d.reason for d in decisions(commands).values()} == {Reason.PENDING}
    for intent in first:
        failed = OrderFailed(at=START + 41 * HOUR, intent_id=intent.intent_id, reason="floor")
        blocked, commands = step(blocked, failed)
        assert isinstance(commands[0], Alert)
    # an order of unknown fate for an hour has also tripped the mode
    _, commands = step(blocked, close_of(42, 0.8))
    assert {d.reason for d in decisions(commands).values()} == {Reason.MODE}
    blocked, _ = step(blocked, ModeRequested(at=START, mode=Mode.ACTIVE, by="ada"))
    _, commands = step(blocked, close_of(42, 0.8))
    assert len(trades(commands)) == 2


def test_a_drawdown_at_its_limit_reduces_and_alerts_until_a_person_resumes() -> None:
    state = replace(invested(), peak=Decimal(12_000))
    state, commands = step(state, close_of(41, 0.5))
    assert state.mode is Mode.REDUCING
    assert [c.severity for c in commands if isinstance(c, Alert)] == ["critical"]
    _, commands = step(state, close_of(42, 0.1))
    assert len(trades(commands)) == 2
    assert {intent.side for intent in trades(commands)} == {Side.SELL}
    resumed, _ = step(state, ModeRequested(at=START, mode=Mode.ACTIVE, by="ada"))
    resumed, _ = step(resumed, close_of(42, 0.5))
    assert resumed.mode is Mode.ACTIVE


def test_nothing_is_sent_when_halted() -> None:
    state, _ = step(invested(), ModeRequested(at=START, mode=Mode.HALTED, by="ada"))
    low = PricesSeen(at=START + 41 * HOUR, phase="live", prices=((NAMES[0], 1.0),))
    state, commands = step(state, low)
    assert trades(commands) == []
    _, commands = step(state, close_of(42, 0.1))
    assert trades(commands) == []


def test_the_valuation_carries_exact_text() -> None:
    state, commands = step(invested(), close_of(41, 0.5))
    (mark,) = [command for command in commands if isinstance(command, EquityMarked)]
    assert Decimal(mark.equity) == state.equity
    assert Decimal(mark.cash) == state.cash


def test_the_decided_weight_is_what_was_ordered_and_one_that_is_all_is_a_risk_reason() -> None:
    state = replace(warmed(), cash=Decimal(100), peak=Decimal(100))
    _, commands = step(state, close_of(40, 0.8))
    for intent in trades(commands):
        weight = decisions(commands)[intent.instrument].target_weight
        assert weight == pytest.approx(float(intent.amount_in) / 100)
    held = invested()
    watch = replace(held.watch, day=None)
    held = replace(held, cash=Decimal(5), peak=Decimal(5), watch=watch)
    books = tuple(replace(b, position=None) if b.instrument == NAMES[1] else b for b in held.books)
    _, commands = step(replace(held, books=books), close_of(41, 0.5, said={NAMES[1]: 0.8}))
    assert decisions(commands)[NAMES[1]].reason is Reason.RISK
