"""Understand a table of bars: which column is the time, which are the prices, which instrument."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dexml.domain import Timeframe
from dexml.errors import DataError

__all__ = ["Layout", "instrument_named", "layout_of", "opening_times", "timeframe_of"]

_TIMES = ("timestamp_utc", "open_time", "timestamp", "datetime", "date", "unix", "time")
_QUOTES = "USDT|USDC|FDUSD|DAI|USD|EUR|GBP|BTC|ETH|BNB"
# DOTUSD is DOT in dollars, not DO in TUSD: these count only after a separator
_SEPARATED_QUOTES = f"BUSD|TUSD|{_QUOTES}"
_IN_B = ("BNB", "ARB", "SHIB")
_RENAMED = {"XBT": "BTC"}
# (upper limit of a number of the present age, its unit)
_EPOCH_UNITS = ((1e11, "s"), (1e14, "ms"), (1e17, "us"), (np.inf, "ns"))
_STRING_FORMATS = ("ISO8601", "%Y-%m-%d %I-%p", "mixed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Names of the columns of a file, as they are spelled there; `symbol` may be absent.

    Attributes
    ----------
    closes : bool
        Whether `time` is already the close of the bar.
    """

    time: str
    closes: bool
    open: str
    high: str
    low: str
    close: str
    volume: str
    symbol: str | None


def layout_of(file: str, columns: list[str], base: str | None = None) -> Layout:
    """Find the columns, in any case.

    Raises
    ------
    DataError
        Naming what is missing.
    """
    spelled = {name.strip().lower(): name for name in reversed(columns)}
    time = next((spelled[name] for name in ("closed_at", *_TIMES) if name in spelled), None)
    volumes = ("volume", f"volume {base}".lower(), "volume from")
    found: dict[str, str | None] = {name: spelled.get(name) for name in _PRICES}
    found["volume"] = next((spelled[name] for name in volumes if name in spelled), None)
    missing = [name for name, column in {"time": time, **found}.items() if column is None]
    if missing:
        raise DataError(
            f"file {file}",
            f"must have the column {' and '.join(missing)}",
            ", ".join(columns),
            "Rename the column; time may be called timestamp, date, time or unix.",
        )
    symbol = spelled.get("symbol", spelled.get("ticker"))
    names = {name: str(column) for name, column in found.items()}
    return Layout(time=str(time), closes=time == spelled.get("closed_at"), symbol=symbol, **names)


_PRICES = ("open", "high", "low", "close")


def instrument_named(text: str) -> str | None:
    """Read an instrument from a symbol or a file name; None if it cannot be told.

    Examples
    --------
    >>> instrument_named("XBTUSD"), instrument_named("eth-usdt_1h"), instrument_named("btc_perp")
    ('BTC/USD', 'ETH/USDT', None)
    """
    name = text.strip().upper()
    match = re.match(rf"([A-Z0-9]{{2,12}})[-_/]({_SEPARATED_QUOTES})(?![A-Z0-9])", name)
    match = match or re.match(rf"([A-Z0-9]{{2,12}}?)({_QUOTES})(?![A-Z0-9])", name)
    if match is None or (match[2] == "USD" and match[1].endswith("B") and match[1] not in _IN_B):
        return None  # BTCBUSD: BTC in BUSD or BTCB in dollars, who can tell
    return f"{_RENAMED.get(match[1], match[1])}/{match[2]}"


def timeframe_of(file: str, opened: pd.DatetimeIndex) -> Timeframe:
    """Return the timeframe that the commonest step between sorted stamps stands for.

    Raises
    ------
    DataError
        If it is none, or there are too few rows to tell.
    """
    steps = np.diff(np.unique(opened.as_unit("ns").asi8)) // 10**9
    known = {frame.seconds: frame for frame in Timeframe}
    commonest = int(pd.Series(steps).mode().iloc[0]) if len(steps) else 0
    if commonest not in known:
        was = f"{commonest} s" if commonest else "a single row"
        wanted = ", ".join(Timeframe)
        raise DataError(f"file {file}", f"must step by one of {wanted}", was, "Name a timeframe.")
    return known[commonest]


def opening_times(file: str, values: pd.Series[Any]) -> pd.DatetimeIndex:
    """Read a time column: dates, text (naive means UTC), or epoch numbers.

    Raises
    ------
    DataError
        If the first rows cannot be read as times.
    """
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.astype("float64")
        size = float(numbers.abs().median())
        unit = next(unit for limit, unit in _EPOCH_UNITS if size < limit)
        scale = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
        exact = numbers.fillna(-1).astype("int64") * scale
        return pd.DatetimeIndex(pd.to_datetime(exact, utc=True))
    for form in (None,) if pd.api.types.is_datetime64_any_dtype(values) else _STRING_FORMATS:
        try:
            return pd.DatetimeIndex(pd.to_datetime(values, utc=True, format=form))
        except (ValueError, TypeError):
            continue
    raise DataError(
        f"file {file}",
        f"must have times in column {values.name}",
        repr(values.iloc[0]),
        "Write 2024-01-01 13:00 or seconds since 1970.",
    )
