from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.domain import Mode, Side
from dexml.errors import ConfigError, DataError
from dexml.risk.orders import Breach, Desk, Order, OrderLimits, breaches, exposure, filled, sent

NOW = datetime(2024, 1, 1, 12, tzinfo=UTC)
BTC, ETH = "BTC/USDT", "ETH/USDT"
LIMITS = OrderLimits(
    order_notional=Decimal(1_000),
    instrument_notional=Decimal(2_000),
    gross_notional=Decimal(3_000),
    orders_per_minute=3,
    orders_per_day=5,
    open_intents=4,
)
SIZES = st.decimals("0.1", "12", places=1)
HELD = st.decimals("-15", "15", places=1)
SIDES = st.sampled_from(Side)


def order(
    base: object = 1, side: Side = Side.BUY, instrument: str = BTC, price: object = 100
) -> Order:
    return Order(
        instrument=instrument,
        side=side,
        base=Decimal(str(base)),
        price=Decimal(str(price)),
        reference=Decimal(100),
    )


def desk(**positions: object) -> Desk:
    held = {f"{coin}/USDT": Decimal(str(base)) for coin, base in positions.items()}
    return Desk(positions=held, prices=dict.fromkeys(held, Decimal(100)))


@given(HELD, SIZES, SIDES, st.booleans())
def test_in_reducing_an_order_passes_exactly_if_it_reduces_without_crossing_zero(
    held: Decimal, size: Decimal, side: Side, busy: bool
) -> None:
    # limits of next to nothing, and a desk that has sent all it may: neither keeps risk in
    tight = OrderLimits(order_notional=Decimal("0.01"), orders_per_minute=1, open_intents=1)
    at_desk = desk(BTC=held)
    if busy:
        at_desk = sent(at_desk, order(1, instrument=ETH), NOW)
    after = held + (size if side is Side.BUY else -size)
    reduces = abs(after) < abs(held) and after * held >= 0
    passes = not breaches(order(size, side, price=300), at_desk, Mode.REDUCING, tight, NOW)
    assert passes == reduces
    if reduces:
        assert not breaches(order(size, side, price=300), at_desk, Mode.ACTIVE, tight, NOW)
    assert breaches(order(size, side), at_desk, Mode.HALTED, tight, NOW) == (Breach.MODE,)


def test_two_sales_may_not_reduce_the_same_position() -> None:
    start = desk(BTC=5)
    first = order(3, Side.SELL)
    assert not breaches(first, start, Mode.REDUCING, LIMITS, NOW)
    later = sent(start, first, NOW)
    assert breaches(order(3, Side.SELL), later, Mode.REDUCING, LIMITS, NOW) == (Breach.MODE,)
    assert not breaches(order(2, Side.SELL), later, Mode.REDUCING, LIMITS, NOW)
    assert not breaches(
        order(3, Side.SELL), filled(later, first, Decimal(1)), Mode.REDUCING, LIMITS, NOW
    )


@pytest.mark.parametrize(
    ("what", "at_desk", "expected"),
    [
        (order(10), desk(), ()),
        (order("10.01"), desk(), (Breach.ORDER_NOTIONAL,)),
        (order(10, price=101), desk(), (Breach.ORDER_NOTIONAL,)),
        (order(10), desk(BTC=10), ()),
        (order(10), desk(BTC="10.01"), (Breach.INSTRUMENT_NOTIONAL,)),
        (order(10, Side.SELL), desk(BTC="-10.01"), (Breach.INSTRUMENT_NOTIONAL,)),
        (order(10), desk(ETH=20), ()),
        (order(10), desk(ETH="20.01"), (Breach.GROSS_NOTIONAL,)),
        (order(10), desk(ETH="-20.01"), (Breach.GROSS_NOTIONAL,)),
        (order(1, price=105), desk(), ()),
        (order(1, price="105.01"), desk(), (Breach.PRICE_BAND,)),
        (order(1, Side.SELL, price="94.99"), desk(), (Breach.PRICE_BAND,)),
    ],
)
def test_sizes_and_prices_are_limited_to_the_cent(
    what: Order, at_desk: Desk, expected: tuple[Breach, ...]
) -> None:
    assert breaches(what, at_desk, Mode.ACTIVE, LIMITS, NOW) == expected


def test_orders_are_counted_by_the_minute_and_the_day() -> None:
    busy = desk()
    for seconds in (0, 10, 59):
        one = order("0.1")
        assert not breaches(one, busy, Mode.ACTIVE, LIMITS, NOW + timedelta(seconds=seconds))
        busy = sent(busy, one, NOW + timedelta(seconds=seconds))
        busy = filled(busy, one, Decimal(0))
    again = order("0.1")
    assert breaches(again, busy, Mode.ACTIVE, LIMITS, NOW + timedelta(seconds=59)) == (
        Breach.PER_MINUTE,
    )
    assert not breaches(again, busy, Mode.ACTIVE, LIMITS, NOW + timedelta(seconds=60))
    for minutes in (5, 10):
        busy = filled(sent(busy, again, NOW + timedelta(minutes=minutes)), again, Decimal(0))
    assert breaches(again, busy, Mode.ACTIVE, LIMITS, NOW + timedelta(hours=1)) == (Breach.PER_DAY,)
    assert not breaches(again, busy, Mode.ACTIVE, LIMITS, NOW + timedelta(days=1))
    assert len(sent(busy, again, NOW + timedelta(days=2)).sent_at) == 1


def test_a_clock_that_goes_back_frees_no_orders() -> None:
    busy = desk()
    for _ in range(3):
        busy = filled(sent(busy, order("0.1"), NOW), order("0.1"), Decimal(0))
    earlier = NOW - timedelta(hours=3)
    assert breaches(order("0.1"), busy, Mode.ACTIVE, LIMITS, earlier) == (Breach.PER_MINUTE,)
    assert len(sent(busy, order("0.1"), earlier).sent_at) == 4


def test_open_orders_are_limited_and_count_as_filled() -> None:
    busy = desk()
    for k in range(4):
        busy = sent(busy, order(5), NOW - timedelta(minutes=10 * k + 2))
    assert exposure(busy, BTC) == 2_000
    assert breaches(order(1), busy, Mode.ACTIVE, LIMITS, NOW) == (
        Breach.INSTRUMENT_NOTIONAL,
        Breach.OPEN_INTENTS,
    )
    assert breaches(order(11, instrument=ETH), busy, Mode.ACTIVE, LIMITS, NOW)[:2] == (
        Breach.ORDER_NOTIONAL,
        Breach.GROSS_NOTIONAL,
    )


def test_buys_and_sells_under_way_do_not_net() -> None:
    both = sent(sent(desk(BTC=1), order(5), NOW), order(8, Side.SELL), NOW)
    assert exposure(both, BTC) == 700  # all sells filled and no buy: 7 short


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.sampled_from([BTC, ETH]), SIDES, SIZES, st.integers(0, 3), st.integers(0, 40)),
        max_size=40,
    ),
    st.sampled_from([Mode.ACTIVE, Mode.REDUCING]),
)
def test_no_sequence_of_orders_and_fills_breaks_a_limit_at_any_instant(
    steps: list[tuple[str, Side, Decimal, int, int]], mode: Mode
) -> None:
    # prices stand still: a limit can only be broken by an order
    state, at = desk(BTC=0, ETH=0), NOW
    for instrument, side, size, quarters, seconds in steps:
        at += timedelta(seconds=seconds)
        one = order(size, side, instrument)
        if not breaches(one, state, mode, LIMITS, at):
            state = sent(state, one, at)
        if quarters and state.open_orders:
            done = state.open_orders[len(steps) % len(state.open_orders)]
            state = filled(state, done, done.base * (quarters - 1) / 2)
        exposures = [exposure(state, name) for name in (BTC, ETH)]
        assert max(exposures) <= LIMITS.instrument_notional
        assert sum(exposures) <= LIMITS.gross_notional
        held = [abs(base) * 100 for base in state.positions.values()]
        assert sum(held) <= sum(exposures)
    if mode is Mode.REDUCING:
        assert not any(state.positions.values())
        assert not state.open_orders


@pytest.mark.parametrize("name", ["base", "price", "reference"])
@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity"])
def test_an_order_of_nonsense_cannot_be_made(name: str, value: str) -> None:
    values = {"base": Decimal(1), "price": Decimal(1), "reference": Decimal(1)}
    with pytest.raises(DataError, match=f"order {name} must be positive"):
        Order(instrument=BTC, side=Side.BUY, **{**values, name: Decimal(value)})


@pytest.mark.parametrize("name", OrderLimits.__slots__)
@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity"])
def test_a_limit_that_is_none_is_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"orders\.{name} must be positive and finite"):
        OrderLimits(**{name: Decimal(value)})


def test_a_position_without_a_price_stops_new_risk_loudly() -> None:
    blind = Desk(positions={ETH: Decimal(1)})
    with pytest.raises(DataError, match="price of ETH/USDT must be known and positive"):
        breaches(order(1), blind, Mode.ACTIVE, LIMITS, NOW)
    reducing = order(1, Side.SELL, ETH)
    assert not breaches(reducing, blind, Mode.REDUCING, LIMITS, NOW)
    assert exposure(Desk(positions={ETH: Decimal(0)}), ETH) == 0


@pytest.mark.parametrize("base", [Decimal("-0.1"), Decimal("1.1"), Decimal("NaN")])
def test_a_fill_that_cannot_be_is_refused(base: Decimal) -> None:
    busy = sent(desk(), order(1), NOW)
    with pytest.raises(DataError, match="fill must be an open order's"):
        filled(busy, order(1), base)
    with pytest.raises(DataError, match="fill must be an open order's"):
        filled(busy, order(2), Decimal(1))
