from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.domain import Bar, Fill, Intent, Mode, Side, Signal
from dexml.errors import LedgerError
from dexml.events import (
    Action,
    Alert,
    BarsClosed,
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
from dexml.records import decode_command, decode_event, decode_state, digest, encode

TIMES = st.integers(0, 2**50).map(lambda us: datetime.fromtimestamp(us / 1e6, UTC))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
MONEY = st.decimals("1e-18", "1e12", places=18)
NAMES = st.sampled_from(["BTC/USDT", "ETH/USDT"])
TEXT = st.text(max_size=20)
UNIT = st.floats(1e-9, 1 - 1e-9)
BARS = st.builds(
    lambda name, at, price, more: Bar(
        instrument=name,
        closed_at=at,
        open=price,
        high=price + more,
        low=price,
        close=price,
        volume=more,
    ),
    NAMES,
    TIMES,
    st.floats(1e-9, 1e9),
    st.floats(0, 1e9),
)
SIGNALS = st.builds(
    Signal,
    instrument=NAMES,
    closed_at=TIMES,
    probability=st.none() | UNIT,
    members=st.lists(st.tuples(TEXT, UNIT), max_size=3).map(tuple),
)
FILLS = st.builds(
    Fill,
    intent_id=TEXT,
    instrument=NAMES,
    side=st.sampled_from(Side),
    base=MONEY,
    quote=MONEY,
    gas=MONEY,
    filled_at=TIMES,
)
INTENTS = st.builds(
    Intent,
    intent_id=TEXT,
    instrument=NAMES,
    side=st.sampled_from(Side),
    amount_in=MONEY,
    minimum_out=MONEY,
    reference_price=MONEY,
    reason=TEXT,
    decided_at=TIMES,
)
EVENTS = st.one_of(
    st.builds(
        BarsClosed,
        at=TIMES,
        bars=st.lists(BARS, max_size=2).map(tuple),
        signals=st.lists(SIGNALS, max_size=2).map(tuple),
    ),
    st.builds(
        PricesSeen,
        at=TIMES,
        phase=st.sampled_from(["worst", "best", "live"]),
        prices=st.lists(st.tuples(NAMES, FLOATS), max_size=2).map(tuple),
    ),
    st.builds(Filled, at=TIMES, fill=FILLS),
    st.builds(OrderFailed, at=TIMES, intent_id=TEXT, reason=TEXT),
    st.builds(HealthChanged, at=TIMES, instrument=NAMES, healthy=st.booleans(), reason=TEXT),
    st.builds(PartChanged, at=TIMES, part=NAMES, working=st.booleans(), reason=TEXT),
    st.builds(ModeRequested, at=TIMES, mode=st.sampled_from(Mode), by=TEXT),
)
COMMANDS = st.one_of(
    st.builds(
        Decision,
        decision_id=TEXT,
        at=TIMES,
        instrument=NAMES,
        action=st.sampled_from(Action),
        reason=st.sampled_from(Reason),
        probability=st.none() | UNIT,
        expected_return=FLOATS,
        cost=FLOATS,
        net_edge=FLOATS,
        target_weight=FLOATS,
        risk_score=UNIT,
    ),
    st.builds(Trade, intent=INTENTS),
    st.builds(
        Alert,
        at=TIMES,
        severity=st.sampled_from(["info", "warning", "critical"]),
        subject=TEXT,
        text=TEXT,
    ),
    st.builds(
        EquityMarked,
        at=TIMES,
        equity=MONEY.map(str),
        cash=MONEY.map(str),
        drawdown=UNIT,
        value_at_risk=UNIT,
        risk_score=UNIT,
        mode=st.sampled_from(Mode),
    ),
)


@given(EVENTS)
def test_an_event_comes_back_equal_with_the_same_id_and_bytes(event: Event) -> None:
    read = decode_event(encode(event))
    assert (read, read.id) == (event, event.id)
    assert encode(read) == encode(event)


@given(COMMANDS)
def test_a_command_comes_back_equal_with_the_same_bytes(command: Command) -> None:
    read = decode_command(encode(command))
    assert read == command
    assert digest(read) == digest(command)


def test_a_record_of_another_schema_or_type_is_refused() -> None:
    text = encode(ModeRequested(at=datetime(2024, 1, 1, tzinfo=UTC), mode=Mode.HALTED, by="ada"))
    with pytest.raises(LedgerError, match="must be of type state, schema 1"):
        decode_state(text)
    with pytest.raises(LedgerError, match="must be of type event, schema 1"):
        decode_event(text.replace('"schema":1', '"schema":2'))
    with pytest.raises(LedgerError, match="must be a whole event"):
        decode_event(text.replace("halted", "asleep"))
    with pytest.raises(LedgerError, match="must be JSON"):
        decode_event("torn")


def test_decimal_digits_survive() -> None:
    fill = Fill(
        intent_id="i",
        instrument="BTC/USDT",
        side=Side.BUY,
        base=Decimal("1.230000000000000001"),
        quote=Decimal("1E+2"),
        gas=Decimal("0.050"),
        filled_at=datetime(2024, 1, 1, tzinfo=UTC),
    )
    read = decode_event(encode(Filled(at=fill.filled_at, fill=fill)))
    assert isinstance(read, Filled)
    assert [str(read.fill.base), str(read.fill.gas)] == ["1.230000000000000001", "0.050"]
