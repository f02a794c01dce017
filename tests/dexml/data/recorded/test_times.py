from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dexml.data.recorded.times import read_times
from dexml.errors import DataError

WANTED = pd.date_range("2024-01-20 03:00", periods=30, freq="h", tz="UTC")


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%d %I-%p",
        "%d-%m-%Y %H:%M",
        "%d.%m.%Y %H:%M:%S",
        "%m/%d/%Y %H:%M",
        "%m/%d/%Y %I:%M:%S %p",
        "%a, %d %b %Y %H:%M:%S GMT",
        "%a, %d %b %Y %H:%M:%S +0000",
    ],
)
def test_the_usual_spellings_are_read(form: str) -> None:
    text = pd.Series(WANTED.strftime(form), dtype="object")
    pd.testing.assert_index_equal(read_times("x", text), WANTED, check_names=False, exact="equiv")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_each_row_of_numbers_has_its_own_unit(unit: str) -> None:
    scale = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
    numbers = pd.Series(WANTED.as_unit("ns").asi8 // 10**9)
    numbers[10:] = WANTED.as_unit("ns").asi8[10:] // scale
    assert list(read_times("x", numbers)) == list(WANTED)


def test_a_zone_is_heeded() -> None:
    text = pd.Series(["2024-01-20T05:00:00+02:00"] * 3)
    assert read_times("x", text)[0] == WANTED[0]


def test_a_row_that_is_no_time_is_not_a_time() -> None:
    text = pd.Series([*WANTED.strftime("%Y-%m-%d %H:%M"), "soon"])
    assert list(read_times("x", text).isna()) == [False] * 30 + [True]
    numbers = pd.Series([1.7e9] * 40 + [np.nan, np.inf])
    assert list(read_times("x", numbers).isna()) == [False] * 40 + [True, True]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (["01-02-2024", "03-04-2024"], "must tell day from month, was '01-02-2024'"),
        (["13-02-2024", "03-14-2024"], "must tell day from month"),
        (["soon", "later"], "must have times in column when, was 'soon'"),
        ([None, None], "must have times"),
    ],
)
def test_what_cannot_be_told_is_refused(values: list[str | None], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read_times("x", pd.Series(values, name="when", dtype="object"))
