"""What a person asks, what fails, what was not ordered, what comes twice or late."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, getcontext, localcontext

import pytest

from dexml.domain import Mode, Side
from dexml.errors import ConfigError
from dexml.events import (
    Action,
    Alert,
    CloseRequested,
    Event,
    HealthChanged,
    ModeRequested,
    OrderFailed,
    PartChanged,
    PricesSeen,
    Reason,
)
from dexml.records import encode
from dexml.risk.policy import POLICIES, PolicyConfig, Proposal, policy
from dexml.state import KernelConfig
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


@pytest.mark.parametrize("mode", Mode)
def test_a_person_who_closes_sells_all_that_is_held_in_any_mode(mode: Mode) -> None:
    state = replace(invested(), mode=mode)
    state, commands = step(state, CloseRequested(at=START + 41 * HOUR, by="ada"))
    assert state.mode is Mode.REDUCING
    (alert,) = [one for one in commands if isinstance(one, Alert)]
    assert (alert.severity, alert.subject) == ("warning", "close_requested")
    assert alert.text.startswith("2 positions are closed, only reductions pass from now on, by ada")
    sold = {intent.instrument: intent for intent in trades(commands)}
    assert {name: (one.side, one.reason) for name, one in sold.items()} == dict.fromkeys(
        NAMES, (Side.SELL, "request")
    )
    for book in state.books:
        assert sold[book.instrument].amount_in == book.quantity
        assert sold[book.instrument].reference_price == Decimal("101.0")
    again, commands = step(state, CloseRequested(at=START + 42 * HOUR, by="ada"))
    assert trades(commands) == []  # what is under way is not sold twice
    assert again.open_intents == state.open_intents


def test_what_could_not_be_sold_when_a_person_closed_is_sold_at_the_closes_that_follow() -> None:
    state, commands = step(invested(), CloseRequested(at=START + 40 * HOUR, by="ada"))
    first, second = trades(commands)
    state, _ = step(state, filled(first))
    for hour in (41, 42):
        failed = OrderFailed(at=START + hour * HOUR, intent_id=second.intent_id, reason="floor")
        state, _ = step(state, failed)
        state, commands = step(state, close_of(hour, 0.9))
        (second,) = trades(commands)
        assert (second.instrument, second.side, second.reason) == (NAMES[1], Side.SELL, "request")
        assert decisions(commands)[NAMES[1]].reason is Reason.REQUEST
    state, _ = step(state, filled(second))
    assert [book.position for book in state.books] == [None, None]


def test_what_was_under_way_to_be_bought_when_a_person_closed_is_sold_once_it_is_there() -> None:
    state, commands = step(warmed(), close_of(40, 0.8))
    bought, other = trades(commands)
    state, commands = step(state, CloseRequested(at=START + 40 * HOUR, by="ada"))
    assert trades(commands) == []
    state, _ = step(state, filled(bought))
    failed = OrderFailed(at=START + 40 * HOUR, intent_id=other.intent_id, reason="floor")
    state, _ = step(state, failed)
    _, commands = step(state, close_of(41, 0.9))
    (sale,) = trades(commands)
    assert (sale.instrument, sale.side, sale.reason) == (bought.instrument, Side.SELL, "request")
    # a person who resumes keeps it
    state, _ = step(state, ModeRequested(at=START + 40 * HOUR, mode=Mode.ACTIVE, by="ada"))
    _, commands = step(state, close_of(41, 0.9))
    assert Side.SELL not in {intent.side for intent in trades(commands)}


def test_a_part_that_fails_or_works_again_is_told_and_changes_no_decision() -> None:
    state = invested()
    for working, severity, text in (
        (False, "warning", "context failed, the loop goes on: timed out"),
        (True, "info", "context works again."),
    ):
        told = PartChanged(at=START, part="context", working=working, reason="timed out")
        after, (alert,) = step(state, told)
        assert isinstance(alert, Alert)
        assert (alert.severity, alert.subject, alert.text) == (severity, "part_changed", text)
        assert replace(after, heard=state.heard) == state


@pytest.mark.parametrize(
    "event",
    [
        OrderFailed(at=START, intent_id="nobody's", reason="floor"),
        HealthChanged(at=START, instrument="XXX/USDT", healthy=False, reason="gone"),
        HealthChanged(at=START, instrument=NAMES[0], healthy=True, reason="as before"),
        ModeRequested(at=START, mode=Mode.ACTIVE, by="ada"),
        PricesSeen(at=START + 50 * HOUR, phase="worst", prices=(("XXX/USDT", 1.0),)),
    ],
)
def test_what_concerns_nothing_here_changes_nothing_and_says_nothing(event: Event) -> None:
    state = invested()
    after, commands = step(state, event)
    assert commands == []
    assert replace(after, heard=state.heard, seen_at=state.seen_at) == state


def test_of_several_orders_only_the_one_that_failed_is_open_no_more() -> None:
    state, commands = step(warmed(), close_of(40, 0.8))
    first, second = trades(commands)
    failed = OrderFailed(at=START + 40 * HOUR, intent_id=second.intent_id, reason="floor")
    state, commands = step(state, failed)
    assert state.open_intents == (first,)
    (alert,) = commands
    assert isinstance(alert, Alert)
    assert alert.text == f"{second.instrument} order failed: floor."


def test_a_fill_that_was_not_ordered_moves_no_money_and_is_critical() -> None:
    _, commands = step(warmed(), close_of(40, 0.8))
    state = warmed()
    after, alerts = step(state, filled(trades(commands)[0]))
    assert after.cash == state.cash
    assert [a.severity for a in alerts if isinstance(a, Alert)] == ["critical"]


def test_an_unknown_policy_is_named_and_a_registered_one_decides() -> None:
    config = KernelConfig(policy=PolicyConfig(name="silent"))
    with pytest.raises(ConfigError, match=r"policy\.name must be one of \['net_edge'\]"):
        step(warmed(config), close_of(40, 0.8))

    @policy("silent")
    def silent(view: object, config: object) -> Proposal:
        return Proposal(action=Action.DECLINE, reason=Reason.ABSTAIN)

    _, commands = step(warmed(config), close_of(40, 0.8))
    POLICIES.pop("silent")
    assert trades(commands) == []


def test_prices_may_overtake_a_close_but_an_old_close_is_refused() -> None:
    late = PricesSeen(at=START + 40 * HOUR + HOUR / 60, phase="live", prices=())
    state, _ = step(warmed(), late)
    state, commands = step(state, close_of(40, 0.8))
    assert len(decisions(commands)) == 2
    same, commands = step(state, close_of(39, 0.8))
    assert same is state
    assert commands == []


def test_the_callers_decimal_context_changes_no_bit() -> None:
    def run() -> str:
        state = invested()
        return encode(step(state, close_of(41, 0.2, price=103.7))[0])

    expected = run()
    with localcontext() as context:
        context.prec = 9
        assert run() == expected
    assert getcontext().prec == 28
