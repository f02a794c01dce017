"""Lives of the kernel drawn by chance: orders, fills, crashes, restarts, judged after each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from dexml.costs import MONEY
from dexml.domain import Bar, Fill, Intent, Mode, Side, Signal
from dexml.events import (
    BarsClosed,
    CloseRequested,
    Command,
    EquityMarked,
    Event,
    Filled,
    HealthChanged,
    ModeRequested,
    OrderFailed,
    PricesSeen,
    Trade,
    VitalsSeen,
)
from dexml.execution.paper import PaperBroker
from dexml.records import decode_event, decode_state, encode
from dexml.risk.limits import permits
from dexml.risk.orders import OrderLimits
from dexml.state import KernelConfig, State
from dexml.system import initial_state, step, warm_up

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NAMES = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
LIMITS = OrderLimits(
    order_notional=Decimal(1_500),
    instrument_notional=Decimal(1_800),
    gross_notional=Decimal(3_500),
    orders_per_day=8,
    open_intents=2,
)
CONFIG = KernelConfig(orders=LIMITS, window_bars=48)
SEQUENCES = {"n": 0}

PRICES = st.floats(50.0, 200.0)
CHANCES = st.none() | st.floats(0.02, 0.98)
MODES = st.sampled_from(Mode)


def bar(name: str, at: datetime, close: float) -> Bar:
    return Bar(
        instrument=name,
        closed_at=at,
        open=close,
        high=close * 1.01,
        low=close * 0.99,
        close=close,
        volume=1.0,
    )


def warmed() -> State:
    state = initial_state("run", CONFIG, NAMES, Decimal(10_000))
    sets = [
        tuple(bar(name, START + hour * HOUR, 100.0 + hour % 2) for name in NAMES)
        for hour in range(30)
    ]
    return warm_up(state, sets)


WARMED = warmed()


class Life(RuleBasedStateMachine):
    """The kernel, the broker that it does not see, and what must be true at every instant."""

    @initialize()
    def begin(self) -> None:
        SEQUENCES["n"] += 1
        self.state, self.hour = WARMED, 29
        self.cash = WARMED.cash
        self.held = dict.fromkeys(NAMES, Decimal(0))
        self.closes = dict.fromkeys(NAMES, Decimal("101.0"))
        self.open: dict[str, Intent] = {}
        self.unknown: set[str] = set()
        self.journal: list[Event] = []
        self.snapshot = (WARMED, 0)
        self.sent: list[datetime] = []
        self.n = 0

    # what the world does

    @rule(p=CHANCES, prices=st.tuples(PRICES, PRICES, PRICES), missing=st.sampled_from(range(5)))
    def bars_close(self, p: float | None, prices: tuple[float, ...], missing: int) -> None:
        self.hour += 1
        at = START + self.hour * HOUR
        shown = [name for place, name in enumerate(NAMES) if place != missing]
        bars = tuple(bar(name, at, price) for name, price in zip(NAMES, prices, strict=True))
        bars = tuple(one for one in bars if one.instrument in shown)
        said = tuple(Signal(instrument=name, closed_at=at, probability=p) for name in shown)
        self.hear(BarsClosed(at=at, bars=bars, signals=said))

    @rule(prices=st.tuples(PRICES, PRICES, PRICES), phase=st.sampled_from(("worst", "live")))
    def prices_move(self, prices: tuple[float, ...], phase: Any) -> None:
        at = START + self.hour * HOUR + HOUR / 2
        shown = tuple(zip(NAMES, prices, strict=True))
        self.hear(PricesSeen(at=at, phase=phase, prices=shown))

    @rule(back=st.integers(1, 20), price=PRICES)
    def the_clock_goes_back(self, back: int, price: float) -> None:
        at = START + (self.hour - back) * HOUR
        before = self.state
        bars = tuple(bar(name, at, price) for name in NAMES)
        said = tuple(Signal(instrument=n, closed_at=at, probability=0.9) for n in NAMES)
        assert self.hear(BarsClosed(at=at, bars=bars, signals=said)) == []
        assert self.hear(PricesSeen(at=at, phase="live", prices=((NAMES[0], price),))) == []
        assert self.state is before

    @rule(name=st.sampled_from(NAMES), healthy=st.booleans())
    def health_changes(self, name: str, healthy: bool) -> None:
        self.hear(HealthChanged(at=self.now(), instrument=name, healthy=healthy, reason="told"))

    @rule(skew=st.sampled_from([0.0, 0.1, 10.0]), gap=st.sampled_from([0.0, 0.1]))
    def the_world_is_measured(self, skew: float, gap: float) -> None:
        self.hear(VitalsSeen(at=self.now(), clock_skew_s=skew, reconciliation_gap=gap))

    # what becomes of orders

    @precondition(lambda self: self.open)
    @rule(data=st.data(), moved=st.floats(0.85, 1.15), part=st.sampled_from(["1", "0.5", "0.01"]))
    def an_order_is_carried_out(self, data: st.DataObject, moved: float, part: str) -> None:
        intent = self.open[data.draw(st.sampled_from(sorted(self.open)))]
        share = Decimal(part)
        with localcontext(MONEY):
            asked = replace(
                intent,
                amount_in=intent.amount_in * share,
                minimum_out=intent.minimum_out * share,
            )
            price = intent.reference_price * Decimal(repr(moved))
        self.settle(PaperBroker(CONFIG.costs).execute(asked, price, self.now()))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def an_order_is_rejected(self, data: st.DataObject) -> None:
        intent_id = data.draw(st.sampled_from(sorted(self.open)))
        self.settle(OrderFailed(at=self.now(), intent_id=intent_id, reason="rejected"))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def an_outcome_is_told_twice(self, data: st.DataObject) -> None:
        intent = self.open[data.draw(st.sampled_from(sorted(self.open)))]
        outcome = PaperBroker(CONFIG.costs).execute(intent, intent.reference_price, self.now())
        self.settle(outcome)
        before = self.state
        event = outcome if isinstance(outcome, OrderFailed) else Filled(at=self.now(), fill=outcome)
        assert self.hear(event) == []
        assert self.state is before

    # what people do

    @rule(mode=MODES)
    def a_person_asks_for_a_mode(self, mode: Mode) -> None:
        self.hear(ModeRequested(at=self.now(), mode=mode, by="ada"))

    @rule()
    def a_person_closes(self) -> None:
        self.hear(CloseRequested(at=self.now(), by="ada"))

    # crashes

    @rule()
    def it_crashes_and_reads_its_state(self) -> None:
        read = decode_state(encode(self.state))
        assert read == self.state
        self.state = read

    @rule()
    def it_keeps_a_snapshot(self) -> None:
        self.snapshot = (decode_state(encode(self.state)), len(self.journal))

    @rule()
    def it_crashes_and_hears_its_journal_again(self) -> None:
        state, n_heard = self.snapshot
        for event in self.journal[n_heard:]:
            state, _ = step(state, decode_event(encode(event)))
        assert encode(state) == encode(self.state)
        self.state = state

    # what must hold

    @invariant()
    def equity_is_cash_and_positions(self) -> None:
        state = self.state
        assert state.cash == self.cash >= 0
        assert {book.instrument: book.quantity for book in state.books} == self.held
        with localcontext(MONEY):
            worth = sum((self.held[n] * self.closes[n] for n in NAMES), self.cash)
        assert state.equity == worth

    @invariant()
    def what_is_open_is_known(self) -> None:
        assert {intent.intent_id for intent in self.state.open_intents} == self.open.keys()

    def now(self) -> datetime:
        self.n += 1
        return START + self.hour * HOUR + timedelta(microseconds=self.n)

    def hear(self, event: Event) -> list[Command]:
        before = self.state
        self.state, commands = step(before, event)
        self.journal.append(event)
        if isinstance(event, BarsClosed) and self.state is not before:
            self.closes |= {one.instrument: Decimal(repr(one.close)) for one in event.bars}
        for command in commands:
            if isinstance(command, Trade):
                self.judge(event, command.intent, mode_of(commands, self.state))
        return commands

    def judge(self, event: Event, intent: Intent, mode: Mode) -> None:
        """Check one order at the instant at which it is decided."""
        assert intent.instrument not in {one.instrument for one in self.open.values()}
        held = self.held[intent.instrument]
        assert mode is not Mode.HALTED
        if intent.side is Side.SELL:
            assert intent.amount_in <= held
            assert permits(mode, held, intent.side, intent.amount_in)
        else:
            assert isinstance(event, BarsClosed)
            assert mode is Mode.ACTIVE
            self.sent = [at for at in self.sent if at > event.at - 24 * HOUR]
            self.judge_size(intent)
        self.sent.append(event.at)
        self.open[intent.intent_id] = intent

    def judge_size(self, intent: Intent) -> None:
        buys = {one.instrument: one.amount_in for one in self.open.values() if one.side is Side.BUY}
        buys[intent.instrument] = intent.amount_in
        with localcontext(MONEY):
            values = {n: self.held[n] * self.closes[n] + buys.get(n, Decimal(0)) for n in NAMES}
        book = self.state.book(intent.instrument)
        assert book is not None
        assert book.healthy
        assert intent.amount_in <= LIMITS.order_notional
        assert values[intent.instrument] <= LIMITS.instrument_notional
        assert values[intent.instrument] <= Decimal("0.30001") * self.state.equity
        assert sum(values.values()) <= LIMITS.gross_notional
        assert sum(buys.values()) <= self.cash
        assert len(self.open) < LIMITS.open_intents
        assert len(self.sent) < LIMITS.orders_per_day

    def settle(self, outcome: Fill | OrderFailed) -> None:
        """Book what became of an order, and let the kernel hear it."""
        intent = self.open.pop(outcome.intent_id)
        if isinstance(outcome, OrderFailed):
            self.hear(outcome)
            return
        sign = 1 if intent.side is Side.BUY else -1
        with localcontext(MONEY):
            self.cash -= sign * outcome.quote + outcome.gas
            self.held[intent.instrument] += sign * outcome.base
        self.hear(Filled(at=outcome.filled_at, fill=outcome))

    def teardown(self) -> None:
        for name in self.to_reduce():
            self.an_exit_passes(name)

    def to_reduce(self) -> Iterator[str]:
        for book in getattr(self, "state", WARMED).books:
            if book.position is not None and book.pending is None and book.bar is not None:
                yield book.instrument

    def an_exit_passes(self, name: str) -> None:
        """A sale of what is held passes in REDUCING, whatever the limits say; in HALTED none."""
        for mode, passes in ((Mode.REDUCING, True), (Mode.ACTIVE, True), (Mode.HALTED, False)):
            state = replace(self.state, mode=mode)
            book = state.book(name)
            assert book is not None
            assert book.position is not None
            price = book.position.exits.stop * 0.9
            at = START + (self.hour + 1) * HOUR - HOUR / 4
            _, commands = step(state, PricesSeen(at=at, phase="worst", prices=((name, price),)))
            sold = [c.intent.amount_in for c in commands if isinstance(c, Trade)]
            assert sold == ([book.quantity] if passes else [])


def mode_of(commands: list[Command], state: State) -> Mode:
    marks = [command.mode for command in commands if isinstance(command, EquityMarked)]
    return marks[0] if marks else state.mode
