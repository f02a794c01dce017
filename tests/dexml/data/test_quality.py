from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.data.quality import SPIKE_WINDOW, Fault, Rule, check_rows, gaps, lone_jumps, suspects
from dexml.domain import Bars, Timeframe


def sound(n_rows: int = 40) -> pd.DataFrame:
    times = pd.date_range("2024-01-01", periods=n_rows, freq="h", tz="UTC")
    close = 100.0 + np.arange(n_rows)
    columns = {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 1.0}
    return pd.DataFrame(columns, index=times)


def faults(frame: pd.DataFrame, now: datetime | None = None) -> list[Fault]:
    return check_rows("BTC/USDT", Timeframe.H1, frame, now).faults


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("close", np.nan, Rule.NUMBER),
        ("volume", np.inf, Rule.NUMBER),
        ("volume", -1.0, Rule.VOLUME),
        ("low", 0.0, Rule.PRICE),
        ("open", -5.0, Rule.PRICE),
        ("high", 50.0, Rule.RANGE),
        ("low", 400.0, Rule.RANGE),
        ("high", 100_000.0, Rule.JUMP),
        ("low", 0.5, Rule.JUMP),
    ],
)
def test_a_bad_number_is_named_and_its_row_left_out(
    column: str, value: float, reason: Rule
) -> None:
    frame = sound()
    frame.iloc[7, list(frame.columns).index(column)] = value
    checked = check_rows("BTC/USDT", Timeframe.H1, frame)
    assert checked.faults == [Fault(7, reason)]
    assert len(checked.bars) == 39
    assert checked.health == 39 / 40


def test_a_bar_a_thousand_times_too_high_is_a_jump_even_in_the_first_row() -> None:
    frame = sound()
    frame.iloc[0, :4] *= 1_000
    assert faults(frame) == [Fault(0, Rule.JUMP)]


def test_seconds_read_as_milliseconds_are_refused() -> None:
    frame = sound(3)
    frame.index = pd.to_datetime([1_700_000_000] * 3, unit="ms", utc=True)
    assert {fault.reason for fault in faults(frame)} == {Rule.SECONDS}
    frame.index = pd.to_datetime(["1999-12-31"] * 3, utc=True)
    assert {fault.reason for fault in faults(frame)} == {Rule.EARLY}


def test_bars_of_the_future_are_refused() -> None:
    assert faults(sound(3), now=datetime(2024, 1, 1, 1, tzinfo=UTC)) == [Fault(2, Rule.FUTURE)]


def test_disorder_is_sorted_and_repeats_are_left_out() -> None:
    frame = sound(4).iloc[[2, 0, 1, 1, 3]]
    checked = check_rows("BTC/USDT", Timeframe.H1, frame)
    assert checked.faults == [Fault(3, Rule.REPEAT)]
    assert checked.n_disordered == 1
    assert checked.bars.frame().index.is_monotonic_increasing


def test_a_frozen_feed_is_seen_but_hours_without_trades_are_not() -> None:
    frame = sound(5)
    frame.iloc[3] = frame.iloc[2]
    assert faults(frame) == [Fault(3, Rule.FROZEN)]
    frame.iloc[2:4, 4] = 0.0
    assert faults(frame) == []


def test_gaps_are_facts_not_faults() -> None:
    checked = check_rows("BTC/USDT", Timeframe.H1, sound(10).drop(sound(10).index[[3, 4, 7]]))
    assert checked.faults == []
    assert [gap.n_missing for gap in gaps(checked.bars)] == [2, 1]


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(st.tuples(numbers, numbers, numbers, numbers, numbers), max_size=20))
def test_whatever_comes_in_only_sound_bars_come_out(rows: list[tuple[float, ...]]) -> None:
    frame = pd.DataFrame(rows, columns=["open", "high", "low", "close", "volume"], dtype=float)
    frame.index = pd.date_range("2024-01-01", periods=len(rows), freq="h", tz="UTC")
    checked = check_rows("BTC/USDT", Timeframe.H1, frame)
    assert len(checked.bars) + len(checked.faults) == len(rows)


def bars_of(frame: pd.DataFrame) -> Bars:
    return Bars.from_frame("BTC/USDT", Timeframe.H1, frame)


def test_what_came_before_tells_a_jump_and_a_frozen_feed() -> None:
    frame = sound(30)
    frame.iloc[20, :4] *= 1_000
    frame.iloc[23] = frame.iloc[22]
    frame.iloc[24, :4] /= 1_000
    past, given = bars_of(frame.iloc[:18]), bars_of(frame.iloc[18:])
    assert suspects(past, given) == {2: Rule.JUMP, 5: Rule.FROZEN, 6: Rule.JUMP}


def test_the_first_bar_of_a_series_is_believed_and_its_copy_is_not() -> None:
    frame = sound(2)
    frame.iloc[1] = frame.iloc[0]
    nothing = bars_of(frame.iloc[:0])
    assert suspects(nothing, bars_of(frame.iloc[:1])) == {}
    assert suspects(nothing, bars_of(frame)) == {1: Rule.FROZEN}


def test_a_wild_first_bar_does_not_turn_the_true_ones_away() -> None:
    frame = sound(40)
    frame.iloc[0, :4] *= 1_000
    frame.iloc[20, :4] *= 1_000
    assert suspects(bars_of(frame.iloc[:0]), bars_of(frame)) == {20: Rule.JUMP}


def test_what_came_before_a_month_of_silence_says_nothing_any_more() -> None:
    frame = sound(40)
    frame.iloc[20:, :4] *= 100
    assert set(suspects(bars_of(frame.iloc[:0]), bars_of(frame))) == set(range(20, 40))
    frame.index = frame.index[:20].append(frame.index[20:] + pd.Timedelta("31d"))
    assert suspects(bars_of(frame.iloc[:0]), bars_of(frame)) == {}


@given(st.lists(st.sampled_from([1.0, 1.1, 0.9, 1_000.0, 0.001]), min_size=1, max_size=25))
def test_a_row_is_judged_alike_whether_it_came_alone_or_with_others(factors: list[float]) -> None:
    frame = sound(len(factors))
    frame.iloc[:, :4] = 100.0 * np.array(factors)[:, None]
    together = suspects(bars_of(frame.iloc[:0]), bars_of(frame))
    believed: list[int] = []
    alone: dict[int, Rule] = {}
    for row in range(len(frame)):
        past = bars_of(frame.iloc[believed[-SPIKE_WINDOW:]])
        found = suspects(past, bars_of(frame.iloc[[row]]))
        if found:
            alone[row] = found[0]
        else:
            believed.append(row)
    assert together == alone


@pytest.mark.parametrize("times", [10.0, 30.0, 3.5, 0.1, 0.25])
@pytest.mark.parametrize("columns", [["open", "high", "low", "close"], ["high"]])
def test_a_price_that_jumps_for_one_bar_is_a_suspect(times: float, columns: list[str]) -> None:
    frame = sound()
    column = "low" if times < 1 and columns == ["high"] else columns
    frame.iloc[20, frame.columns.get_indexer([column] if column == "low" else columns)] *= times
    assert faults(frame) == [Fault(20, Rule.LONE)]
    bars = Bars.from_frame("BTC/USDT", Timeframe.H1, frame)
    assert lone_jumps(bars) == {20: Rule.LONE}
    assert lone_jumps(bars.take(slice(0, 21))) == {}  # nobody knows yet whether it stays


def test_a_crash_or_a_pump_that_stays_is_data() -> None:
    for times in (0.2, 6.0):
        for last in (22, 40):  # comes back after two bars, or never
            frame = sound()
            frame.iloc[20:last, :4] *= times
            assert faults(frame) == []
    calm = sound()
    calm.iloc[20, :4] *= 2.5
    assert faults(calm) == []
    torn = sound()
    torn.iloc[20, :4] *= 10.0  # of a bar beside a hole the one before or after is not known
    assert faults(torn.drop(index=torn.index[21])) == []
