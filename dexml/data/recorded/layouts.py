"""Understand a table of bars: which column is the time, which are the prices, which instrument."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from dexml.domain import Timeframe
from dexml.errors import DataError

__all__ = ["TIMES", "Layout", "instrument_named", "layout_of", "timeframe_of"]

TIMES = ("timestamp_utc", "open_time", "timestamp", "datetime", "date", "unix", "time")
_CLOSES = ("closed_at", "close_time")
_QUOTES = "USDT|USDC|FDUSD|DAI|USD|EUR|GBP|BTC|ETH|BNB"
# DOTUSD is DOT in dollars, not DO in TUSD: these count only after a separator
_SEPARATED_QUOTES = f"BUSD|TUSD|{_QUOTES}"
_IN_B = ("BNB", "ARB", "SHIB")
_RENAMED = {"XBT": "BTC"}
# of names like Kraken_BTC_USD.csv
_NO_BASES = {
    "BINANCE",
    "BITFINEX",
    "BITSTAMP",
    "COINBASE",
    "FTX",
    "GDAX",
    "GEMINI",
    "KRAKEN",
    "OKX",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Names of the columns of a file, as they are spelled there; `symbol` may be absent.

    Attributes
    ----------
    quote_volume : str or None
        Column of the volume in quote currency, where there are both.
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
    quote_volume: str | None
    symbol: str | None


def layout_of(file: str, columns: list[str], instrument: str | None = None) -> Layout:
    """Find the columns, in any case; `instrument` tells which of two volumes is of the base.

    Raises
    ------
    DataError
        Naming what is missing.
    """
    spelled = {name.strip().lower(): name for name in reversed(columns)}
    times = ("closed_at", *TIMES, "close_time")
    time = next((spelled[name] for name in times if name in spelled), None)
    base, _, quote = (instrument or "").lower().partition("/")
    volumes = [("volume", "quote_volume"), (f"volume {base}", f"volume {quote}")]
    volumes.append(("volume from", "volume to"))
    found: dict[str, str | None] = {name: spelled.get(name) for name in _PRICES}
    pair = next((pair for pair in volumes if pair[0] in spelled), ("volume", ""))
    found["volume"] = spelled.get(pair[0])
    missing = [name for name, column in {"time": time, **found}.items() if column is None]
    if missing:
        raise DataError(
            f"file {file}",
            f"must have the column {' and '.join(missing)}",
            ", ".join(columns),
            "Rename the column; time may be called timestamp, date, time or unix.",
        )
    names = {name: str(column) for name, column in found.items()}
    return Layout(
        time=str(time),
        closes=str(time).strip().lower() in _CLOSES,
        symbol=spelled.get("symbol", spelled.get("ticker")),
        quote_volume=spelled.get(pair[1]),
        **names,
    )


_PRICES = ("open", "high", "low", "close")


def instrument_named(text: str) -> str | None:
    """Read an instrument from a symbol or a file name; None if it cannot be told.

    Examples
    --------
    >>> instrument_named("XBTUSD"), instrument_named("eth-usdt_1h"), instrument_named("btc_perp")
    ('BTC/USD', 'ETH/USDT', None)
    """
    words = [word for word in re.split(r"[^A-Z0-9]+", text.upper()) if word not in _NO_BASES]
    for word, after in pairwise([*words, ""]):
        name = _joined(word) or _separated(word, after)
        if name is not None:
            return name
    return None


def _joined(word: str) -> str | None:
    match = re.fullmatch(rf"([A-Z0-9]{{2,12}}?)({_QUOTES})", word)
    if match is None or (match[2] == "USD" and match[1].endswith("B") and match[1] not in _IN_B):
        return None  # BTCBUSD: BTC in BUSD or BTCB in dollars, who can tell
    return f"{_RENAMED.get(match[1], match[1])}/{match[2]}"


def _separated(base: str, quote: str) -> str | None:
    if not re.fullmatch(r"[A-Z0-9]{2,12}", base) or not re.fullmatch(_SEPARATED_QUOTES, quote):
        return None
    return f"{_RENAMED.get(base, base)}/{quote}"


def timeframe_of(file: str, opened: pd.DatetimeIndex) -> Timeframe:
    """Return the timeframe that the commonest step between sorted stamps stands for.

    Raises
    ------
    DataError
        If it is none, or there are too few rows to tell.
    """
    steps = np.diff(np.unique(opened.dropna().as_unit("ns").asi8)) // 10**9
    known = {frame.seconds: frame for frame in Timeframe}
    commonest = int(pd.Series(steps).mode().iloc[0]) if len(steps) else 0
    if commonest not in known:
        was = f"{commonest} s" if commonest else "a single row"
        wanted = ", ".join(Timeframe)
        raise DataError(f"file {file}", f"must step by one of {wanted}", was, "Name a timeframe.")
    return known[commonest]
