from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from dexml.domain import Bar, Bars, History, Timeframe, empty_macro, to_datetime, to_datetime64
from dexml.errors import DataError

START = datetime(2024, 1, 1, tzinfo=UTC)


def bars(n: int = 5, **changed: Any) -> Bars:
    """Return hourly bars at a price of 100, with some columns replaced."""
    closes = to_datetime64(START) + np.arange(1, n + 1) * np.timedelta64(1, "h")
    columns = {name: np.full(n, 100.0) for name in ("open", "high", "low", "close", "volume")}
    values = {"closed_at": closes.astype("datetime64[ns]"), **columns, **changed}
    return Bars(instrument="BTC/USDT", timeframe=Timeframe.H1, **values)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("close", np.nan, "finite"),
        ("open", np.inf, "finite"),
        ("low", 0.0, "positive prices"),
        ("volume", -1.0, "volume of at least 0"),
        ("high", 99.0, "low <= open, close <= high"),
        ("low", 101.0, "low <= open, close <= high"),
    ],
)
def test_a_broken_bar_cannot_be_made(name: str, value: float, rule: str) -> None:
    column = np.full(5, 100.0)
    column[3] = value
    with pytest.raises(DataError, match=rule):
        bars(**{name: column})


def test_stamps_must_increase() -> None:
    closed_at = bars().closed_at.copy()
    closed_at[2] = closed_at[1]
    with pytest.raises(DataError, match="strictly increase"):
        bars(closed_at=closed_at)


def test_a_bar_needs_a_time_zone_and_a_readable_name() -> None:
    prices = {"open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 0.0}
    naive = datetime(2024, 1, 1)  # noqa: DTZ001
    with pytest.raises(DataError, match="time zone"):
        Bar(instrument="BTC/USDT", closed_at=naive, **prices)
    with pytest.raises(DataError, match="BASE/QUOTE"):
        Bar(instrument="btcusdt", closed_at=START, **prices)


def test_until_keeps_the_bar_that_closes_at_the_instant() -> None:
    assert len(bars().until(bars().closed_at[2])) == 3


def test_a_frame_brings_back_the_same_bits() -> None:
    again = Bars.from_frame("BTC/USDT", Timeframe.H1, bars().frame())
    assert (again.closed_at == bars().closed_at).all()
    assert (again.close == bars().close).all()


def test_a_history_forgets_what_was_not_yet_known() -> None:
    macro = empty_macro()
    macro.loc[0] = ["vix", START, START + timedelta(hours=9), 20.0]
    history = History(bars={"BTC/USDT": bars()}, macro=macro)
    assert len(history.until(to_datetime64(START + timedelta(hours=4))).macro) == 0
    assert len(history.until(to_datetime64(START + timedelta(hours=9))).macro) == 1


def test_stamps_and_instants_are_the_same_thing() -> None:
    instant = START + timedelta(microseconds=1)
    assert to_datetime(to_datetime64(instant)) == instant
