"""What trips the mode, through the kernel: losses, rejects, orders of unknown fate, slippage."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from dexml.describe import describe
from dexml.domain import Bar, Fill, Intent, Mode, Side
from dexml.events import (
    Alert,
    BarsClosed,
    Command,
    Event,
    Filled,
    LedgerReturned,
    ModeRequested,
    OrderFailed,
    PricesSeen,
    VitalsSeen,
)
from dexml.records import decode_event, encode
from dexml.risk.exits import Levels
from dexml.risk.trips import TripLimits
from dexml.state import KernelConfig, Position, State
from dexml.system import initial_state, step
from dexml.vitals import account_gap, measured

MIDNIGHT = datetime(2024, 1, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
BTC = "BTC/USDT"
WIDE = TripLimits(drawdown=0.99, daily_loss=0.05)


def closed(at: datetime, price: float) -> BarsClosed:
    shape = {"open": price, "high": price, "low": price, "close": price}
    return BarsClosed(
        at=at, bars=(Bar(instrument=BTC, closed_at=at, volume=1.0, **shape),), signals=()
    )


def holding(half: bool = False, trips: TripLimits = WIDE) -> State:
    """Return a state with 10 (or 5) BTC bought at 100 and 0 (or 500) in cash, an hour to go."""
    cash = 500 if half else 0
    state = initial_state("run", KernelConfig(trips=trips), [BTC], Decimal(1_000))
    state, _ = step(state, closed(MIDNIGHT - HOUR, 100.0))
    position = Position(
        quantity=Decimal(5 if half else 10),
        paid=Decimal(1_000 - cash),
        entered_at=MIDNIGHT - HOUR,
        best=100.0,
        exits=Levels(stop=1.0, take_profit=10_000.0),
    )
    return replace(
        state.having(replace(state.books[0], position=position, atr=1_000.0)), cash=Decimal(cash)
    )


def alerts(commands: list[Command]) -> list[str]:
    return [command.subject for command in commands if isinstance(command, Alert)]


def heard(state: State, *events: Event) -> tuple[State, list[str]]:
    subjects: list[str] = []
    for event in events:
        state, commands = step(state, decode_event(encode(event)))
        subjects += alerts(commands)
    return state, subjects


def resume(at: datetime) -> ModeRequested:
    return ModeRequested(at=at, mode=Mode.ACTIVE, by="ada")


@pytest.mark.parametrize(
    ("prices", "mode"),
    [
        ((100.0, 95.1), Mode.ACTIVE),  # after midnight, from 100
        ((100.0, 94.9), Mode.REDUCING),
        ((96.0, 91.3), Mode.ACTIVE),  # 8.7% in all, but each day lost less than a twentieth
        ((96.0, 91.1), Mode.REDUCING),
    ],
)
def test_a_daily_loss_is_counted_from_midnight(prices: tuple[float, float], mode: Mode) -> None:
    first, second = prices
    state, subjects = heard(holding(), closed(MIDNIGHT, first), closed(MIDNIGHT + HOUR, second))
    assert state.mode is mode
    assert subjects == ([] if mode is Mode.ACTIVE else ["daily_loss"])


def test_live_prices_trip_between_closes_and_replayed_extremes_do_not() -> None:
    state, _ = heard(holding(half=True), closed(MIDNIGHT, 100.0))
    at, prices = MIDNIGHT + HOUR / 3, ((BTC, 89.0),)  # half of it is held: 5.5%
    for phase in ("worst", "best"):
        after, _ = step(state, PricesSeen(at=at, phase=phase, prices=prices))
        assert after.mode is Mode.ACTIVE
    after, commands = step(state, PricesSeen(at=at, phase="live", prices=prices))
    assert after.mode is Mode.REDUCING
    assert alerts(commands) == ["daily_loss"]


def test_whoever_resumes_accepts_the_loss_so_far_and_trading_stops_again_at_the_next() -> None:
    state, _ = heard(holding(), closed(MIDNIGHT, 100.0), closed(MIDNIGHT + HOUR, 94.0))
    state, _ = heard(state, resume(MIDNIGHT + HOUR), closed(MIDNIGHT + 2 * HOUR, 90.0))
    assert state.mode is Mode.ACTIVE
    state, subjects = heard(state, closed(MIDNIGHT + 3 * HOUR, 89.0))
    assert (state.mode, subjects) == (Mode.REDUCING, ["daily_loss"])


@pytest.mark.parametrize(
    ("seen", "mode"),
    [
        ({}, Mode.ACTIVE),
        ({"gas_price_ratio": 1.5}, Mode.REDUCING),
        ({"clock_skew_s": None}, Mode.REDUCING),  # not measured is as bad as too large
        ({"bars_behind": 2.5}, Mode.REDUCING),
        ({"reconciliation_gap": 0.002}, Mode.HALTED),
        ({"restarts": 6}, Mode.HALTED),
        ({"restarts": 5, "clock_skew_s": 0.5, "bars_behind": 2.0}, Mode.ACTIVE),
    ],
)
def test_the_world_trips_the_mode_and_no_person_resumes_against_it(
    seen: dict[str, float], mode: Mode
) -> None:
    state, subjects = heard(holding(), VitalsSeen(at=MIDNIGHT, **seen))  # type: ignore[arg-type]
    assert state.mode is mode
    assert bool(subjects) is (mode is not Mode.ACTIVE)
    again, subjects = heard(state, resume(MIDNIGHT + HOUR))
    assert again.mode is mode
    assert subjects == ([] if mode is Mode.ACTIVE else ["mode_requested"])
    well = VitalsSeen(at=MIDNIGHT + HOUR)
    resumed, _ = heard(again, well, resume(MIDNIGHT + 2 * HOUR))
    assert resumed.mode is Mode.ACTIVE


@pytest.mark.parametrize(("away_s", "mode"), [(60.0, Mode.ACTIVE), (61.0, Mode.REDUCING)])
def test_a_ledger_that_was_away_for_more_than_a_minute_leaves_the_rest_to_a_person(
    away_s: float, mode: Mode
) -> None:
    at = MIDNIGHT + timedelta(minutes=5)
    state, commands = step(holding(), LedgerReturned(at=at, away_s=away_s))
    assert state.mode is mode
    stood, back = (one for one in commands[:2] if isinstance(one, Alert))
    assert (stood.at, back.at) == (at - timedelta(seconds=away_s), at)
    assert f"became {mode}: the ledger was away from 2024-01-02 00:0" in back.text
    assert alerts(commands[2:]) == ([] if mode is Mode.ACTIVE else ["ledger_away_s"])
    state, _ = heard(state, resume(at + HOUR), VitalsSeen(at=at + HOUR))
    assert state.mode is Mode.ACTIVE


def order(number: int, side: Side, amount: int, at: datetime) -> Intent:
    return Intent(
        intent_id=f"i{number}",
        instrument=BTC,
        side=side,
        amount_in=Decimal(amount),
        minimum_out=Decimal(1),
        reference_price=Decimal(100),
        reason="enter",
        decided_at=at,
    )


def sent(state: State, intent: Intent) -> State:
    times = (*state.watch.sent, intent.decided_at)
    state = replace(state, watch=replace(state.watch, sent=times))
    return state.having(replace(state.books[0], pending=intent))


def fill_of(intent: Intent, base: str, quote: str) -> Filled:
    fill = Fill(
        intent_id=intent.intent_id,
        instrument=BTC,
        side=intent.side,
        base=Decimal(base),
        quote=Decimal(quote),
        gas=Decimal(0),
        filled_at=intent.decided_at,
    )
    return Filled(at=intent.decided_at, fill=fill)


def test_one_of_five_orders_of_a_minute_may_fail_and_not_two() -> None:
    state, modes = holding(half=True), []
    for number in range(6):
        intent = order(number, Side.BUY, 1, MIDNIGHT + number * timedelta(seconds=5))
        state = sent(state, intent)
        if number in (1, 5):
            failed = OrderFailed(at=intent.decided_at, intent_id=intent.intent_id, reason="floor")
            state, _ = heard(state, failed)
        else:
            state, _ = heard(state, fill_of(intent, "0.01", "1"))
        modes.append(state.mode)
    assert modes == [Mode.ACTIVE] * 5 + [Mode.REDUCING]


def test_an_order_of_unknown_fate_trips_a_minute_after_it_should_have_been_filled() -> None:
    state = sent(holding(half=True), order(0, Side.BUY, 100, MIDNIGHT))
    for seconds, mode in ((72, Mode.ACTIVE), (73, Mode.REDUCING)):
        at = MIDNIGHT + timedelta(seconds=seconds)
        after, _ = step(state, PricesSeen(at=at, phase="live", prices=()))
        assert after.mode is mode
    refused, subjects = heard(after, resume(MIDNIGHT + HOUR))
    assert (refused.mode, subjects) == (Mode.REDUCING, ["mode_requested"])


def test_losses_in_a_row_are_counted_by_sales_and_a_gain_begins_anew() -> None:
    state = holding(trips=TripLimits(consecutive_losses=3, slippage_ratio=1e9))
    said = []
    for number, quote in enumerate(("99", "99", "101", "99", "99", "99", "99")):
        intent = order(number, Side.SELL, 1, MIDNIGHT + number * HOUR)
        state, _ = heard(sent(state, intent), fill_of(intent, "1", quote))
        said.append((state.watch.losses_in_row, state.mode is Mode.ACTIVE))
    assert said == [(1, True), (2, True), (0, True), (1, True), (2, True), (3, True), (4, False)]


@pytest.mark.parametrize(("lost", "mode"), [("0.0010", Mode.ACTIVE), ("0.0012", Mode.REDUCING)])
def test_fills_that_cost_twice_what_was_modelled_trip_from_the_tenth_on(
    lost: str, mode: Mode
) -> None:
    state = holding(half=True, trips=TripLimits(consecutive_losses=99))
    modes = []
    for number in range(10):
        intent = order(number, Side.BUY, 10, MIDNIGHT + number * HOUR)
        base = Decimal("0.1") * (1 - Decimal(lost))  # the fee of 5 bp is what was modelled
        state, _ = heard(sent(state, intent), fill_of(intent, str(base), "10"))
        modes.append(state.mode)
    assert modes == [Mode.ACTIVE] * 9 + [mode]


def test_each_vital_of_the_kernel_is_in_its_unit() -> None:
    state, _ = heard(holding(), closed(MIDNIGHT, 100.0), closed(MIDNIGHT + HOUR, 97.0))
    vitals = measured(state, MIDNIGHT + HOUR, state.equity)
    assert vitals.daily_loss == vitals.drawdown == pytest.approx(0.03)
    assert (vitals.unknown_age_s, vitals.reject_share, vitals.slippage_ratio) == (0.0, 0.0, 0.0)


def test_a_tail_of_what_is_held_that_nobody_could_measure_is_unknown_and_not_everything() -> None:
    shown = describe(holding())  # no return was heard yet
    assert shown["value_at_risk"] is None
    assert shown["parts"]["value_at_risk"] == 1.0
    assert shown["risk_score"] >= 0.7


def test_a_book_that_is_what_its_fills_add_up_to_has_no_gap_and_every_difference_counts() -> None:
    begun = initial_state("run", KernelConfig(), [BTC], Decimal(1_000))
    begun, _ = step(begun, closed(MIDNIGHT - HOUR, 100.0))
    buy, sale = order(1, Side.BUY, 500, MIDNIGHT), order(2, Side.SELL, 2, MIDNIGHT)
    fills = [
        replace(fill_of(buy, "5", "500").fill, gas=Decimal("0.25")),
        replace(fill_of(sale, "2", "210").fill, gas=Decimal("0.25")),
    ]
    position = replace(holding().books[0].position, quantity=Decimal(3))  # type: ignore[type-var]
    now = replace(begun.having(replace(begun.books[0], position=position)), cash=Decimal("709.50"))
    assert account_gap(now, begun, fills) == 0.0
    worth = 709.5 + 300
    assert account_gap(replace(now, cash=Decimal("708.50")), begun, fills) == pytest.approx(
        1 / (worth - 1)
    )
    assert account_gap(now, begun, fills[:1]) == pytest.approx((209.75 + 2 * 100) / worth)
    assert account_gap(begun, begun, []) == 0.0


def test_a_book_without_equity_is_either_right_or_wholly_wrong() -> None:
    begun = initial_state("run", KernelConfig(), [BTC], Decimal(1_000))
    gone = replace(begun, cash=Decimal(0))
    assert account_gap(gone, begun, []) == 1.0
    assert account_gap(gone, gone, []) == 0.0
