"""Read a column of times: dates, text, or seconds to nanoseconds since 1970, row by row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from dexml.errors import DataError

__all__ = ["mixed_units", "read_times"]

# (upper limit of a number of the present age, nanoseconds of its unit)
_EPOCH_UNITS = ((1e11, 10**9), (1e14, 10**6), (1e17, 10**3), (9.2e18, 1))
_UNIT_NAMES = ("seconds", "milliseconds", "microseconds", "nanoseconds")
_NO_TIME = np.iinfo(np.int64).min
_MAX_UNREADABLE = 0.05
_DAY_OR_MONTH = re.compile(r"\s*(\d{1,2})([-/.])(\d{1,2})[-/.](\d{4})(.*)")
_TAILS = ("", " %H:%M", " %H:%M:%S", " %I:%M:%S %p", " %I:%M %p")


def read_times(file: str, values: pd.Series[Any]) -> pd.DatetimeIndex:
    """Read times; text without a zone means UTC; a row that is no time is NaT.

    Raises
    ------
    DataError
        If more than 5% of the rows are no times, or day and month cannot be told apart.

    Examples
    --------
    >>> read_times("x.csv", pd.Series([1_605_049_200, 1_605_049_200_000])).nunique()
    1
    >>> read_times("x.csv", pd.Series(["13-10-2021 20:00"]))[0].isoformat()
    '2021-10-13T20:00:00+00:00'
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        return pd.DatetimeIndex(pd.to_datetime(values, utc=True)).as_unit("ns")
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    if numbers.notna().mean() > 1 - _MAX_UNREADABLE:
        return _from_epoch(numbers)
    text = values.astype("string")
    for form in _formats(file, text):
        times = pd.to_datetime(text, utc=True, format=form, errors="coerce")
        if times.isna().mean() <= _MAX_UNREADABLE:
            return pd.DatetimeIndex(times).as_unit("ns")
    raise DataError(
        f"file {file}",
        f"must have times in column {values.name}",
        repr(values.iloc[0]),
        "Write 2024-01-01 13:00 or seconds since 1970.",
    )


def mixed_units(values: pd.Series[Any]) -> str:
    """Say how many rows of a column of times are in another unit than most; empty if none are.

    Examples
    --------
    >>> mixed_units(pd.Series([1_605_049_200, 1_605_049_200, 1_605_049_200_000]))
    '1 rows have times in milliseconds, the others in seconds'
    >>> mixed_units(pd.Series(["2024-01-01"]))
    ''
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        return ""
    numbers = pd.to_numeric(values, errors="coerce").astype("float64").abs().dropna()
    if len(numbers) <= (1 - _MAX_UNREADABLE) * len(values):
        return ""
    places = np.searchsorted([upper for upper, _ in _EPOCH_UNITS[:-1]], numbers, side="right")
    counts = np.bincount(places, minlength=len(_UNIT_NAMES))
    usual = int(np.argmax(counts))
    others = [
        f"{n:,} rows have times in {unit}"
        for unit, n in zip(_UNIT_NAMES, counts.tolist(), strict=True)
        if n and unit != _UNIT_NAMES[usual]
    ]
    return f"{', '.join(others)}, the others in {_UNIT_NAMES[usual]}" if others else ""


# An export may change from seconds to milliseconds in the middle, so each row has its own unit.
def _from_epoch(numbers: pd.Series[float]) -> pd.DatetimeIndex:
    size = numbers.abs().to_numpy()
    stamps = np.full(len(size), _NO_TIME, dtype=np.int64)
    lower = 0.0
    for upper, scale in _EPOCH_UNITS:
        here = (size >= lower) & (size < upper)
        stamps[here] = numbers.to_numpy()[here].astype(np.int64) * scale
        lower = upper
    return pd.DatetimeIndex(stamps.view("datetime64[ns]"), tz="UTC")


def _formats(file: str, text: pd.Series[str]) -> Iterator[str]:
    yield "ISO8601"
    yield "%Y-%m-%d %I-%p"
    first = text.dropna().head(1)
    matched = _DAY_OR_MONTH.match(str(first.iloc[0])) if len(first) else None
    if matched is not None:
        yield from (f"{_order(file, text, matched[2])}{tail}" for tail in _TAILS)
    yield from ("%a, %d %b %Y %H:%M:%S %Z", "%a, %d %b %Y %H:%M:%S %z", "%b %d, %Y", "%d %b %Y")


def _order(file: str, text: pd.Series[str], mark: str) -> str:
    parts = text.str.extract(_DAY_OR_MONTH.pattern)
    first, second = (pd.to_numeric(parts[place], errors="coerce").max() for place in (0, 2))
    if (first > 12) == (second > 12):
        raise DataError(
            f"file {file}",
            "must tell day from month",
            f"{text.dropna().iloc[0]!r} and the like",
            "Write dates as 2024-01-31.",
        )
    return f"%d{mark}%m{mark}%Y" if first > 12 else f"%m{mark}%d{mark}%Y"
