from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dexml.errors import DataError
from dexml.validation.inputs import finite, finite_table, instants_of, nanoseconds, varying

HOURS = pd.date_range("2024-01-01", periods=4, freq="h", tz="UTC", name="closed_at")


def test_a_history_that_is_too_short_is_refused() -> None:
    assert finite("returns", [1.0, 2.0], least=2).tolist() == [1.0, 2.0]
    with pytest.raises(DataError, match="returns must hold at least 3, was 2"):
        finite("returns", [1.0, 2.0], least=3)


def test_a_table_has_two_axes() -> None:
    with pytest.raises(DataError, match="a column for each series, was 1 axis"):
        finite_table("returns", [1.0, 2.0])


def test_values_that_differ_by_rounding_alone_do_not_vary() -> None:
    with pytest.raises(DataError, match=r"returns must vary, was 0\.1 throughout"):
        varying("returns", np.array([0.1, 0.1 + 1e-17, 0.1]))
    assert len(varying("returns", np.array([0.0, 1e-12]))) == 2


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([0, 2, 1, 3], "must go forward in time, was 2024-01-01 01:00.* after 2024-01-01 02:00"),
        ([0, 1, 1, 3], "must hold each row once, was 2024-01-01 01:00.* twice"),
    ],
)
def test_time_goes_forward_and_each_row_is_there_once(order: list[int], message: str) -> None:
    returns = pd.Series(np.arange(4.0), HOURS[order])
    with pytest.raises(DataError, match=message):
        instants_of(returns)
    with pytest.raises(DataError, match=message):
        finite_table("returns", returns.to_frame())


def test_instruments_of_one_instant_are_no_repetition_but_one_of_them_twice_is() -> None:
    names = ["closed_at", "instrument"]
    index = pd.MultiIndex.from_product([HOURS, ["BTC/USDT", "ETH/USDT"]], names=names)
    rows = pd.DataFrame({"y": np.zeros(8)}, index)
    assert instants_of(rows).nunique() == 4
    with pytest.raises(DataError, match=r"ETH/USDT'.* twice"):
        instants_of(rows.iloc[[0, 1, 1, 2]])


def test_a_table_without_instants_is_refused() -> None:
    with pytest.raises(DataError, match=r"must be `closed_at`.*was int64"):
        instants_of(pd.Series([1.0, 2.0]))
    with pytest.raises(DataError, match="no missing instant, was NaT"):
        instants_of(pd.Series([1.0, 2.0], pd.DatetimeIndex([HOURS[0], pd.NaT])))


def test_instants_are_of_utc_whatever_their_zone() -> None:
    there = HOURS.tz_convert("Asia/Tokyo")
    assert nanoseconds(there).tolist() == nanoseconds(HOURS.tz_localize(None)).tolist()
    assert np.diff(nanoseconds(HOURS.as_unit("s"))).tolist() == [3_600_000_000_000] * 3


@pytest.mark.parametrize("closed_at", [[], [HOURS[0], pd.NaT]])
def test_rows_without_an_instant_are_refused(closed_at: list[object]) -> None:
    with pytest.raises(DataError, match="closed_at must be given and known"):
        nanoseconds(closed_at)
