"""Trades into bars: against brute force, over any cut into pages, and Kraken's own bars."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.data.feeds.hearing import Row
from dexml.data.feeds.past_trades import NS, PastTrade, Tape, TradeCandles, TradePage, kraken_page
from dexml.errors import DataError

STEP_S = 60
FIRST_S, UNTIL_S = 600, 1_200
Ask = Callable[[int], TradePage]

sizes = st.integers(0, 10**9).map(lambda n: Decimal(n).scaleb(-8))
prices = st.integers(1, 10**7).map(lambda n: Decimal(n).scaleb(-3))
instants = st.integers(0, 2 * (UNTIL_S - FIRST_S) // 5).map(lambda n: FIRST_S * NS + n * 5 * NS)
tapes = st.lists(st.tuples(instants, prices, sizes), max_size=60).map(
    lambda rows: [
        (at_ns, PastTrade(number, at_ns / NS, price, size))
        for number, (at_ns, price, size) in enumerate(sorted(rows, key=lambda row: row[0]), start=7)
    ]
)


def server(tape: list[tuple[int, PastTrade]], n_page: int, *, inclusive: bool) -> Ask:
    def ask(since_ns: int) -> TradePage:
        later = [row for row in tape if row[0] > since_ns or (inclusive and row[0] == since_ns)]
        page = later[:n_page]
        return TradePage([trade for _, trade in page], page[-1][0] if page else since_ns)

    return ask


def read(ask: Ask, n_page: int, before: PastTrade | None = None) -> list[Row]:
    tape, candles = Tape(FIRST_S, n_page), TradeCandles(STEP_S, FIRST_S, before)
    rows = []
    while not tape.ended:
        trades = tape.new(ask(tape.cursor_ns))
        rows += candles.add(trade for trade in trades if trade.at_s < UNTIL_S)
    return rows + candles.end(UNTIL_S)


def brute(tape: list[tuple[int, PastTrade]], before: Decimal | None) -> list[Row]:
    rows, close = [], before
    for opened_s in range(FIRST_S, UNTIL_S, STEP_S):
        inside = [trade for at, trade in tape if opened_s <= at / NS < opened_s + STEP_S]
        held = [trade.price for trade in inside] or ([] if close is None else [close])
        if held:
            close = held[-1]
            numbers = (held[0], max(held), min(held), close, sum(t.size for t in inside))
            rows.append(Row(opened_s, *(float(value) for value in numbers)))
    return rows


def most_at_once(tape: list[tuple[int, PastTrade]]) -> int:
    instants = [at for at, _ in tape]
    return max((instants.count(at) for at in set(instants)), default=0)


@given(tapes, st.integers(1, 12), st.booleans(), st.none() | prices)
def test_no_trade_is_lost_or_counted_twice_however_pages_part_an_instant(
    tape: list[tuple[int, PastTrade]], n_more: int, inclusive: bool, before: Decimal | None
) -> None:
    n_page = most_at_once(tape) + n_more
    last = before and PastTrade(1, FIRST_S - 50.0, before, Decimal(1))
    assert read(server(tape, n_page, inclusive=inclusive), n_page, last) == brute(tape, before)


@given(
    st.lists(st.integers(0, 199), min_size=1, max_size=6, unique=True).map(sorted),
    st.sampled_from([3_600, 43_200, 86_400]),
    st.integers(-60, -1) | st.none(),
)
def test_flat_bars_follow_a_trade_for_a_day_and_then_none_until_the_next(
    traded: list[int], step_s: int, before: int | None
) -> None:
    trades = [
        PastTrade(bar + 1, bar * step_s + 5.0, Decimal(bar + 1), Decimal(1)) for bar in traded
    ]
    last = None if before is None else PastTrade(0, before * step_s + 5.0, Decimal(7), Decimal(1))
    candles = TradeCandles(step_s, 0, last)
    rows = candles.add(trades) + candles.end(300 * step_s)
    known = ([] if before is None else [before]) + traded
    for bar in range(300):
        back = min((bar - at for at in known if at <= bar), default=None)
        found = [row for row in rows if row.opened_s == bar * step_s]
        assert len(found) == (back is not None and back * step_s <= 86_400), (bar, back)
        assert all((row.volume > 0) == (back == 0) for row in found)


def test_a_market_that_died_ends_a_day_after_its_last_trade() -> None:
    candles = TradeCandles(3_600, 0, None)
    candles.add([PastTrade(1, 10.0, Decimal(5), Decimal(1))])
    rows = candles.end(25_404 * 3_600)
    assert [row.opened_s for row in rows] == [hour * 3_600 for hour in range(25)]


def test_a_page_of_one_instant_is_an_error_and_not_an_endless_loop() -> None:
    one = Decimal(1)
    tape = [(FIRST_S * NS, PastTrade(number, float(FIRST_S), one, one)) for number in range(9)]
    with pytest.raises(DataError, match="must lead on in time, was 5 trades"):
        read(server(tape, 5, inclusive=False), 5)


def test_time_that_runs_back_over_a_bar_is_an_error() -> None:
    one = Decimal(1)
    candles = TradeCandles(STEP_S, FIRST_S, None)
    with pytest.raises(DataError, match="trade 2 must not be older"):
        candles.add(PastTrade(n, at_s, one, one) for n, at_s in ((1, 700.0), (2, 650.0)))


GOOD = ["1.5", "2", 1700000000.5, "b", "m", "", 7]


def answer(*rows: Any, **more: Any) -> Any:
    return {"error": [], "result": {"XXBTZUSD": list(rows), "last": "1700000000500000000"} | more}


@pytest.mark.parametrize(
    "garbage",
    [
        None,
        {},
        {"result": {"last": "5"}},
        answer(GOOD, GOOD),
        answer(GOOD[:6]),
        answer([*GOOD[:6], "7"]),
        answer(["NaN", *GOOD[1:]]),
        answer(["-1", *GOOD[1:]]),
        answer(["1.5", "-2", *GOOD[2:]]),
        answer([*GOOD[:2], float("nan"), *GOOD[3:]]),
        answer(GOOD, last=None),
    ],
)
def test_what_is_no_page_of_trades_is_refused(garbage: Any) -> None:
    assert kraken_page(answer(GOOD)).trades[0].size == 2
    with pytest.raises((LookupError, TypeError, ValueError, ArithmeticError)):
        kraken_page(garbage)


@pytest.mark.shared
def test_bars_of_recorded_trades_are_krakens_own_the_empty_ones_too(shared: Path) -> None:
    folder = shared / "data/raw_captures/nautilus/kraken"
    page = kraken_page(json.loads((folder / "http_trades.json").read_text()))
    own = json.loads((folder / "http_ohlc.json").read_text())["result"]["XBTUSDT"]
    first_s = int(page.trades[0].at_s) // STEP_S * STEP_S
    candles = TradeCandles(STEP_S, first_s, None)
    rows = candles.add(page.trades)[1:]  # the recording begins within a bar
    kept = {row[0]: [float(row[place]) for place in (1, 2, 3, 4, 6)] for row in own}
    assert [list(row[1:]) for row in rows] == [kept[row.opened_s] for row in rows]
    assert (len(rows), sum(row.volume == 0 for row in rows)) == (409, 137)
