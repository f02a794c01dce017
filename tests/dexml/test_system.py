from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, getcontext, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.domain import Bar, Fill, Intent, Mode, Side, Signal, Target
from dexml.errors import ConfigError
from dexml.events import (
    Action,
    Alert,
    BarsClosed,
    CloseRequested,
    Command,
    Decision,
    EquityMarked,
    Event,
    Filled,
    HealthChanged,
    ModeRequested,
    OrderFailed,
    PartChanged,
    PricesSeen,
    Reason,
    Trade,
)
from dexml.execution.paper import PaperBroker
from dexml.records import decode_state, encode
from dexml.risk.policy import POLICIES, PolicyConfig, Proposal, policy
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


def test_the_state_is_bounded() -> None:
    config = KernelConfig(window_bars=30, warm_up_bars=20)
    state = initial_state("run", config, NAMES, Decimal(10_000))
    sizes = []
    for hour in range(700):
        state, _ = step(state, close_of(hour, 0.5))
        sizes.append(len(encode(state)))
    assert len(state.outcomes) == config.sizing.max_outcomes
    assert max(sizes[600:]) <= max(sizes[500:600]) + 200


# One random life of the kernel: signals and prices at each hour, some orders filled, some failed.
LIFE = st.lists(
    st.tuples(
        st.none() | st.floats(0.01, 0.99),
        st.floats(50.0, 200.0),
        st.sampled_from(["fill", "fail", "wait"]),
    ),
    min_size=1,
    max_size=25,
)


def live(life: list[tuple[float | None, float, str]]) -> list[tuple[Event, State, State]]:
    state, history = warmed(), []

    def hear(event: Event) -> list[Command]:
        nonlocal state
        before = state
        state, commands = step(state, event)
        history.append((event, before, state))
        return commands

    for hour, (p, price, fate) in enumerate(life, start=40):
        at = START + hour * HOUR
        prices = tuple((name, price) for name in NAMES)
        commands = hear(PricesSeen(at=at - HOUR / 2, phase="live", prices=prices))
        commands += hear(close_of(hour, p, price=price))
        for intent in trades(commands):
            if fate == "fill":
                hear(filled(intent))
            if fate == "fail":
                hear(OrderFailed(at=at, intent_id=intent.intent_id, reason="floor"))
    return history


@settings(max_examples=60)
@given(LIFE)
def test_cash_and_quantities_move_exactly_by_the_fills(
    life: list[tuple[float | None, float, str]],
) -> None:
    history = live(life)
    cash, quantity = Decimal(10_000), dict.fromkeys(NAMES, Decimal(0))
    with localcontext() as context:
        context.prec = 80
        for event, before, after in history:
            if isinstance(event, Filled):
                sign = 1 if event.fill.side is Side.BUY else -1
                cash -= sign * event.fill.quote + event.fill.gas
                quantity[event.fill.instrument] += sign * event.fill.base
            else:
                assert after.cash == before.cash
            assert after.cash == cash >= 0
            assert {b.instrument: b.quantity for b in after.books} == quantity
            worth = sum(
                (quantity[b.instrument] * Decimal(repr(b.bar.close)) for b in after.books if b.bar),
                cash,
            )
            assert after.equity == worth


@settings(max_examples=40)
@given(LIFE)
def test_an_event_heard_twice_changes_nothing(
    life: list[tuple[float | None, float, str]],
) -> None:
    for event, _, after in live(life):
        again, commands = step(after, event)
        assert again is after
        assert commands == []


@settings(max_examples=25)
@given(LIFE)
def test_a_state_read_back_from_its_record_goes_on_identically(
    life: list[tuple[float | None, float, str]],
) -> None:
    for event, before, after in live(life):
        read = decode_state(encode(before))
        assert read == before
        assert encode(step(read, event)[0]) == encode(after)


@settings(max_examples=25)
@given(LIFE)
def test_entries_respect_cash_weight_and_mode(
    life: list[tuple[float | None, float, str]],
) -> None:
    for event, before, after in live(life):
        opened = [
            intent
            for intent in after.open_intents
            if intent not in before.open_intents and intent.side is Side.BUY
        ]
        spent = sum(intent.amount_in for intent in after.open_intents if intent.side is Side.BUY)
        assert spent <= after.cash
        if opened:
            assert isinstance(event, BarsClosed)
            assert after.mode is Mode.ACTIVE
            assert all(float(i.amount_in) <= 0.25 * float(after.equity) + 1e-6 for i in opened)


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
