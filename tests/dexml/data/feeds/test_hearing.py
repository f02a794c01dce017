from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.data.feeds import hearing
from dexml.data.feeds.hearing import Row, TradeBars, Traded

STEP = 60
N_BARS, PER_BAR = 6, 5


def trades() -> list[Traded]:
    dice = random.Random(3)
    return [
        Traded(
            "BTC-USD",
            number,
            bar * STEP + place * 10.0,
            Decimal(dice.randint(900, 1100)) / 10,
            Decimal(dice.randint(1, 99)) / 100,
        )
        for number, (bar, place) in enumerate(
            [(bar, place) for bar in range(N_BARS) for place in range(PER_BAR)], start=100
        )
    ]


def final_bars(told: Sequence[Traded]) -> dict[int, Row]:
    bars = TradeBars(STEP)
    return {s.row.opened_s: s.row for trade in told for s in bars.add(trade) if s.final}


def summed(told: Sequence[Traded]) -> Row:
    prices = [float(trade.price) for trade in told]
    volume = float(sum(trade.size for trade in told))
    opened = int(told[0].at_s)
    return Row(opened, prices[0], max(prices), min(prices), prices[-1], volume)


def test_bars_are_the_sum_of_their_trades_but_for_the_first_and_the_open_one() -> None:
    told = trades()
    wanted = [summed(told[at : at + PER_BAR]) for at in range(PER_BAR, len(told) - 1, PER_BAR)]
    assert list(final_bars(told).values()) == wanted[:-1]


@given(st.randoms(use_true_random=False), st.integers(1, 4))
def test_repeats_and_small_disorder_change_no_bar(dice: random.Random, reach: int) -> None:
    told = trades()
    mixed = sorted(
        [*told, *dice.sample(told, 10)], key=lambda trade: trade.number + dice.uniform(0, reach)
    )
    late = [trade for trade in mixed if trade.number >= told[0].number]
    late.sort(key=lambda trade: trade is not told[0])  # the first heard of sets the beginning
    assert final_bars(late) == final_bars(told)


@given(st.integers(1, N_BARS * PER_BAR - 2))
def test_a_lost_trade_leaves_its_bar_unfinished_and_no_other_wrong(lost: int) -> None:
    told = trades()
    heard = final_bars(told[:lost] + told[lost + 1 :])
    whole = final_bars(told)
    assert int(told[lost].at_s) // STEP * STEP not in heard
    assert all(whole[opened] == row for opened, row in heard.items())


def test_a_nonsense_number_does_not_end_the_hearing() -> None:
    told = trades()
    mad = told[7]._replace(number=2**70, at_s=told[7].at_s + 3 * STEP)
    heard = final_bars([*told[:7], mad, *told[7:]])
    assert heard
    assert all(final_bars(told)[opened] == row for opened, row in heard.items())


@pytest.mark.parametrize(
    ("hear", "message"),
    [
        (hearing.binance, {"e": "kline", "s": "X", "k": {"t": "x", "x": True}}),
        (hearing.binance, {"e": "kline"}),
        (hearing.kraken, {"channel": "ohlc", "data": [{"symbol": "X", "interval_begin": 5}]}),
        (hearing.coinbase, {"type": "match", "trade_id": "1"}),
    ],
)
def test_a_broken_message_is_an_error_and_another_says_nothing(
    hear: object, message: object
) -> None:
    assert callable(hear)
    with pytest.raises((KeyError, TypeError, ValueError, ArithmeticError)):
        hear(message)
    for other in (None, [], "pong", 7, {}, {"event": "heartbeat"}):
        assert hear(other) == []
