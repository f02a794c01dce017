"""Random lives of the kernel: money moves by fills alone, and records go on identically."""

from __future__ import annotations

from decimal import Decimal, localcontext

from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.domain import Mode, Side
from dexml.events import (
    BarsClosed,
    Command,
    Event,
    Filled,
    OrderFailed,
    PricesSeen,
)
from dexml.records import decode_state, encode
from dexml.state import KernelConfig, State
from dexml.system import initial_state, step
from tests.dexml.kernel_market import (
    HOUR,
    NAMES,
    START,
    close_of,
    filled,
    trades,
    warmed,
)


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
