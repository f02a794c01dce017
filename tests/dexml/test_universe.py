from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.data.listings import read_listings
from dexml.data.recorded.imports import read_bars
from dexml.domain import Bars, Timeframe, to_datetime64
from dexml.errors import ConfigError, DataError
from dexml.universe import Listing, Universe, UniverseConfig

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
A_DAY = UniverseConfig(window_hours=24, min_quote_volume=1.0)


def series(name: str, hours: list[int], volumes: list[float] | float = 1.0) -> Bars:
    ones = np.ones(len(hours))
    return Bars(
        instrument=name,
        timeframe=Timeframe.H1,
        closed_at=np.datetime64("2024-01-01T00", "ns") + np.array(hours) * np.timedelta64(1, "h"),
        open=10 * ones,
        high=10 * ones,
        low=10 * ones,
        close=10 * ones,
        volume=ones * np.array(volumes),
    )


def test_what_was_delisted_later_was_a_member_before() -> None:
    alive, dead = series("A/USDT", list(range(1, 200))), series("B/USDT", list(range(1, 100)))
    universe = Universe(
        bars={"A/USDT": alive, "B/USDT": dead}, config=UniverseConfig(silence_hours=5)
    )
    assert universe.members(START + 50 * HOUR) == ("A/USDT", "B/USDT")
    assert universe.members(START + 104 * HOUR) == ("A/USDT", "B/USDT")
    assert universe.members(START + 105 * HOUR) == ("A/USDT",)


def test_nothing_is_a_member_before_its_first_window_has_passed() -> None:
    young = {"A/USDT": series("A/USDT", list(range(31, 90)))}
    universe = Universe(bars=young, config=A_DAY)
    assert universe.members(START + 53 * HOUR) == ()
    assert universe.members(START + 54 * HOUR) == ("A/USDT",)


def test_liquidity_is_what_was_known_then_and_missing_bars_count_as_none() -> None:
    thin = series("A/USDT", list(range(1, 101)), [1.0] * 50 + [9.0] * 50)
    universe = Universe(bars={"A/USDT": thin}, config=replace(A_DAY, min_quote_volume=50.0))
    assert universe.quote_volume("A/USDT", START + 50 * HOUR) == 10.0
    assert universe.members(START + 50 * HOUR) == ()
    assert universe.members(START + 80 * HOUR) == ("A/USDT",)
    holed = series("A/USDT", list(range(1, 101, 3)), 9.0)
    universe = Universe(bars={"A/USDT": holed}, config=A_DAY)
    assert universe.quote_volume("A/USDT", START + 80 * HOUR) == 0.0


def test_listings_decide_where_there_are_any_and_may_have_holes() -> None:
    bars = {name: series(name, list(range(1, 200))) for name in ("A/USDT", "B/USDT")}
    spans = ((30, 60), (90, None))
    listings = tuple(
        Listing(
            instrument="B/USDT",
            listed_at=START + first * HOUR,
            delisted_at=None if last is None else START + last * HOUR,
        )
        for first, last in spans
    )
    universe = Universe(bars=bars, config=UniverseConfig(listings=listings))
    members = [len(universe.members(START + hour * HOUR)) for hour in (29, 30, 59, 60, 89, 90)]
    assert members == [1, 2, 2, 1, 1, 2]


@given(
    st.lists(st.integers(1, 120), min_size=1, unique=True).map(sorted),
    st.integers(0, 150),
    st.integers(1, 30),
    st.floats(0, 30),
)
def test_membership_uses_nothing_that_came_later(
    hours: list[int], at: int, window: int, least: float
) -> None:
    volumes = [float(hour % 4) for hour in hours]
    bars = series("A/USDT", hours, volumes)
    instant = START + at * HOUR
    rules = UniverseConfig(window_hours=window, silence_hours=6, min_quote_volume=least)
    whole = Universe(bars={"A/USDT": bars}, config=rules)
    known = Universe(bars={"A/USDT": bars.until(to_datetime64(instant))}, config=rules)
    assert whole.members(instant) == known.members(instant)
    # the same in a loop
    past = {hour: volume for hour, volume in zip(hours, volumes, strict=True) if hour <= at}
    traded = [10 * past.get(hour, 0.0) for hour in range(at - window + 1, at + 1)]
    young = not past or (least > 0 and at - (min(hours) - 1) < window)
    silent = not past or at - max(past) > 6
    expected = not young and not silent and np.median(traded) >= least
    assert bool(whole.members(instant)) is bool(expected)
    # and in one go at every bar
    index = pd.MultiIndex.from_product(
        [pd.DatetimeIndex(bars.closed_at, tz="UTC"), ["A/USDT"]], names=["closed_at", "instrument"]
    )
    each = [bool(whole.members(START + hour * HOUR)) for hour in hours]
    assert whole.rows(index).tolist() == each


def test_a_row_without_a_bar_is_no_member() -> None:
    universe = Universe(bars={"A/USDT": series("A/USDT", [1, 2, 4])})
    stamps = pd.date_range("2024-01-01T01:00", periods=5, freq="h", tz="UTC", unit="ns")
    index = pd.MultiIndex.from_product([stamps, ["A/USDT"]], names=["closed_at", "instrument"])
    assert universe.rows(index).tolist() == [True, True, False, True, False]


def test_rules_that_cannot_be_are_refused() -> None:
    for wrong in ({"min_quote_volume": -1.0}, {"window_hours": 0}, {"silence_hours": 0}):
        with pytest.raises(ConfigError, match=f"universe.{next(iter(wrong))} must be at least"):
            UniverseConfig(**wrong)  # type: ignore[arg-type]


def test_who_is_outside_is_told_why() -> None:
    bars = {name: series(name, list(range(1, 100))) for name in ("A/USDT", "B/USDT", "C/USDT")}
    bars["D/USDT"] = series("D/USDT", list(range(1, 50)))
    bars["C/USDT"] = series("C/USDT", list(range(80, 100)), 100.0)
    gone = Listing(instrument="B/USDT", listed_at=START, delisted_at=START + 90 * HOUR)
    rules = replace(A_DAY, min_quote_volume=11.0, listings=(gone,))
    assert Universe(bars=bars, config=rules).outside(START + 99 * HOUR) == {
        "A/USDT": "trades 10 a bar, 11 is the least",
        "B/USDT": "not listed",
        "C/USDT": "known for less than 24 hours",
        "D/USDT": "no bar for 24 hours",
    }


def test_a_file_of_listings_is_read_and_its_faults_are_named(tmp_path: Path) -> None:
    path = tmp_path / "listings.csv"
    head = "instrument,listed_at,delisted_at\n"
    path.write_text(
        f"{head}A/USDT,2024-01-01T00:00:00Z,\nB/USDT,2024-01-01T00:00:00Z,2024-02-01T00:00:00+01:00\n"
    )
    read = read_listings(path)
    assert [one.instrument for one in read] == ["A/USDT", "B/USDT"]
    assert read[1].delisted_at == datetime(2024, 1, 31, 23, tzinfo=UTC)
    for listed_at in ("yesterday", "2024-01-01"):  # a date has no zone
        path.write_text(f"{head}A/USDT,{listed_at},\n")
        with pytest.raises(DataError, match="line 2 must be a listing"):
            read_listings(path)
    path.write_text(f"{head}A/USDT,2024-02-01T00:00:00Z,2024-01-01T00:00:00Z\n")
    with pytest.raises(DataError, match="must come after its listing"):
        read_listings(path)
    path.write_text("coin,since\n")
    with pytest.raises(DataError, match="must have the columns instrument"):
        read_listings(path)


@pytest.mark.shared
def test_recorded_coins_enter_when_they_were_listed(shared: Path) -> None:
    bars = read_bars(shared / "data" / "ohlcv_1h" / "binance_usdm_perp")
    universe = Universe(bars=bars, config=UniverseConfig(min_quote_volume=1e6))
    counts = [
        len(universe.members(datetime(year, month, 1, tzinfo=UTC)))
        for year, month in ((2020, 1), (2020, 2), (2020, 6), (2020, 10), (2021, 1), (2024, 1))
    ]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] == len(bars) == 7
    assert "MATIC/USDT" not in universe.members(datetime(2020, 11, 1, tzinfo=UTC))
