"""What every function here asks of its arguments before it counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.errors import DataError

__all__ = ["Floats", "Positions", "finite", "finite_table", "instants_of", "nanoseconds", "varying"]

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]


def finite(name: str, values: Any, least: int = 1) -> Floats:
    """Return `values` as float64, shape unchanged.

    Parameters
    ----------
    name : str
        What they are, for the error.
    values : array-like
    least : int
        Fewest entries along the first axis.

    Raises
    ------
    DataError
        If a value is NaN or infinite, or too few are given.

    Examples
    --------
    >>> finite("returns", [1, 2]).tolist()
    [1.0, 2.0]
    """
    numbers = np.ascontiguousarray(values, dtype=np.float64)
    if not numbers.size or not np.isfinite(numbers).all():
        was = f"{int((~np.isfinite(numbers)).sum())} missing of {numbers.size}"
        raise DataError(name, "must be given and finite", was, "Drop the unknown rows first.")
    if len(numbers) < least:
        raise DataError(name, f"must hold at least {least}", len(numbers), "Give a longer history.")
    return numbers


def finite_table(name: str, values: Any, least: int = 2) -> Floats:
    """Return `values` as float64 of shape (n_instants, n_columns); see `finite`.

    Raises
    ------
    DataError
        Also if there are not two axes, or `values` is a frame whose index repeats or descends.

    Examples
    --------
    >>> finite_table("returns", [[0.1, 0.2], [0.3, 0.4]]).shape
    (2, 2)
    """
    if isinstance(values, pd.DataFrame):
        _ascending(name, values.index)
    numbers = finite(name, values, least)
    if numbers.ndim != 2:
        raise DataError(
            name,
            "must have a row for each instant and a column for each series",
            f"{numbers.ndim} axis",
            "Put one series in each column.",
        )
    return numbers


def varying(name: str, values: Floats) -> Floats:
    """Return `values` of one axis if they vary by more than rounding.

    Raises
    ------
    DataError
        If they do not.

    Examples
    --------
    >>> varying("returns", np.array([0.1, 0.2])).size
    2
    """
    if float(np.std(values)) <= 1e-15 * float(np.max(np.abs(values))):
        raise DataError(
            name, "must vary", f"{values[0]:g} throughout", "Leave out what never moves."
        )
    return values


def instants_of(table: pd.Series | pd.DataFrame) -> pd.DatetimeIndex:
    """Return the instant of each row of a table whose index is `closed_at` or begins with it.

    Raises
    ------
    DataError
        If the index holds no instants, repeats a row, or goes back in time.

    Examples
    --------
    >>> hours = pd.date_range("2024-01-01", periods=2, freq="h", name="closed_at")
    >>> len(instants_of(pd.Series([0.1, 0.2], hours)))
    2
    """
    first = table.index.get_level_values(0)
    if not isinstance(first, pd.DatetimeIndex):
        raise DataError(
            "index of the table",
            "must be `closed_at`, or (`closed_at`, `instrument`)",
            first.dtype,
            "Set the close of each row as its index.",
        )
    _ascending("index of the table", table.index)
    return first


def nanoseconds(closed_at: Any) -> Positions:
    """Return instants as nanoseconds since 1970 in UTC; naive ones are taken for UTC.

    Raises
    ------
    DataError
        If there is none, or one is missing.

    Examples
    --------
    >>> nanoseconds(["1970-01-01 00:00:01"]).tolist()
    [1000000000]
    """
    index = pd.DatetimeIndex(closed_at)
    if not len(index) or index.hasnans:
        was = f"{int(np.count_nonzero(index.isna()))} missing of {len(index)}"
        raise DataError(
            "closed_at", "must be given and known", was, "Drop rows without an instant."
        )
    naive = index.tz_convert("UTC").tz_localize(None) if index.tz is not None else index
    return naive.to_numpy().astype("datetime64[ns]").astype(np.int64)


def _ascending(name: str, index: pd.Index) -> None:
    first = index.get_level_values(0)
    if first.hasnans:
        raise DataError(name, "must have no missing instant", "NaT", "Drop that row.")
    if not first.is_monotonic_increasing:
        back = int(np.flatnonzero(first[1:] < first[:-1])[0])
        was = f"{first[back + 1]} after {first[back]}"
        raise DataError(name, "must go forward in time", was, "Sort it first.")
    if index.has_duplicates:
        twice = index[index.duplicated()][0]
        raise DataError(name, "must hold each row once", f"{twice} twice", "Drop the repeated row.")
