"""Macro and social series by name: what each means, and when a value of it is first known.

A source stamps a value with the day or hour it describes; nobody knows it then. Each series has a
rule of release, so that a value is joined to bars only when it could have been read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import pandas as pd

from dexml.errors import DataError

__all__ = ["SERIES", "AfterPeriod", "AtClose", "Release", "SeriesSpec", "series", "series_named"]


class Release(Protocol):
    """From when the value of a period can be used."""

    def known_at(self, period_at: pd.DatetimeIndex) -> pd.DatetimeIndex: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterPeriod:
    """Known a fixed time after the stamp of its period (the start of the day or hour).

    Examples
    --------
    >>> day = pd.DatetimeIndex(["2024-01-05"], tz="UTC")
    >>> AfterPeriod(lag=timedelta(hours=25)).known_at(day)[0].isoformat()
    '2024-01-06T01:00:00+00:00'
    """

    lag: timedelta

    def known_at(self, period_at: pd.DatetimeIndex) -> pd.DatetimeIndex:
        return period_at + pd.Timedelta(self.lag)


@dataclass(frozen=True, slots=True, kw_only=True)
class AtClose:
    """Known from a time of day in the market's own zone, on the day that the stamp names.

    Examples
    --------
    >>> days = pd.DatetimeIndex(["2024-01-05", "2024-07-05"], tz="UTC")
    >>> [at.hour for at in AtClose(at=time(17), zone="America/New_York").known_at(days)]
    [22, 21]
    """

    at: time
    zone: str

    def known_at(self, period_at: pd.DatetimeIndex) -> pd.DatetimeIndex:
        # a source may stamp the day at midnight UTC or somewhere within it
        days = period_at.tz_convert("UTC").tz_localize(None).normalize()
        local = days + pd.Timedelta(hours=self.at.hour, minutes=self.at.minute)
        return local.tz_localize(ZoneInfo(self.zone)).tz_convert("UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSpec:
    """A series of values.

    Attributes
    ----------
    name : str
        As it is stored, and as its columns in the panel are called (`macro_{name}_...`). One that
        begins with `social_` speaks of sentiment; its columns are `{name}_...`.
    release : Release
        When a value is first known.
    unit, doc : str
    words : tuple of str
        What file names and columns call it.
    symbol : str or None
        Its name at Yahoo Finance.
    grid : timedelta or None
        Periods must start on multiples of it since 1970 (UTC); a file that does not is in another
        zone.
    plausible : tuple of two float, optional
        Between which its values lie; generous bounds, beyond which a value is an error of its
        source. Without them a lone value 50 times its neighbours is one.
    """

    name: str
    release: Release
    unit: str
    doc: str
    words: tuple[str, ...] = ()
    symbol: str | None = None
    grid: timedelta | None = None
    plausible: tuple[float, float] | None = None


SERIES: dict[str, SeriesSpec] = {}


def series(spec: SeriesSpec) -> SeriesSpec:
    """Register a series, so that import, backfill and live reading know it.

    Raises
    ------
    DataError
        If the name is taken by another, or is not lower-case words joined by underscores.

    Examples
    --------
    >>> gold = SeriesSpec(name="gld", release=AfterPeriod(lag=timedelta(days=2)), unit="", doc="")
    >>> series(gold)
    Traceback (most recent call last):
    dexml.errors.DataError: series gld must be registered once, was taken. Choose another name.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", spec.name):
        raise DataError("series name", "must be lower-case words", spec.name, "Write us_cpi.")
    if SERIES.get(spec.name, spec) != spec:
        raise DataError(
            f"series {spec.name}", "must be registered once", "taken", "Choose another name."
        )
    SERIES[spec.name] = spec
    return spec


def series_named(names: Sequence[str]) -> SeriesSpec | None:
    """Return the series that file names or columns speak of; None if they name none or several.

    Examples
    --------
    >>> series_named(["us10y_tnx_daily.parquet"]).name
    'us10y'
    """
    said = "_".join(re.findall(r"[a-z0-9]+", " ".join(names).lower()))
    found = [spec for spec in SERIES.values() if any(f"_{w}_" in f"_{said}_" for w in _calls(spec))]
    return found[0] if len(found) == 1 else None


def _calls(spec: SeriesSpec) -> tuple[str, ...]:
    return (spec.name, *spec.words)


# An hour after the close: late prints and the source's own delay are over by then.
_NEW_YORK = AtClose(at=time(17), zone="America/New_York")
_SETTLED = AfterPeriod(lag=timedelta(minutes=1))
_8H = timedelta(hours=8)

series(
    SeriesSpec(
        name="fear_greed",
        release=AfterPeriod(lag=timedelta(hours=25)),
        unit="0 to 100",
        doc="Crypto Fear & Greed index of alternative.me; dated by the day it describes.",
        words=("fng", "fgi"),
        grid=timedelta(days=1),
        plausible=(0, 100),
    )
)
series(
    SeriesSpec(
        name="dxy",
        release=AtClose(at=time(18), zone="America/New_York"),
        unit="index",
        doc="US dollar index of ICE, close; traded until 17:00 in New York.",
        words=("dx",),
        symbol="DX-Y.NYB",
        plausible=(20, 500),
    )
)
_DOLLARS = (1, 100_000)
for _name, _unit, _plausible, _doc, _words, _symbol in (
    ("vix", "percent a year", (1, 500), "Implied volatility of the S&P 500, close.", (), "^VIX"),
    ("us10y", "percent", (-5, 50), "Yield of ten-year Treasury notes, close.", ("tnx",), "^TNX"),
    ("spy", "dollars", _DOLLARS, "SPDR S&P 500 fund, close.", (), "SPY"),
    ("qqq", "dollars", _DOLLARS, "Invesco Nasdaq-100 fund, close.", (), "QQQ"),
    ("gld", "dollars", _DOLLARS, "SPDR Gold fund, close.", (), "GLD"),
):
    series(
        SeriesSpec(
            name=_name,
            release=_NEW_YORK,
            unit=_unit,
            doc=_doc,
            words=_words,
            symbol=_symbol,
            plausible=_plausible,
        )
    )
for _venue in ("binance", "gate"):
    series(
        SeriesSpec(
            name=f"funding_{_venue}_btc",
            release=_SETTLED,
            unit="fraction of notional for eight hours",
            doc=f"Funding rate of the BTC perpetual of {_venue}, stamped when it is paid.",
            grid=_8H,
            plausible=(-0.1, 0.1),
        )
    )
series(
    SeriesSpec(
        name="gas_price",
        release=AfterPeriod(lag=timedelta(minutes=1)),
        unit="gwei",
        doc="Gas price by the minute.",
        words=("gas",),
        plausible=(0, 1e6),
    )
)
series(
    SeriesSpec(
        name="social_btc",
        release=AfterPeriod(lag=timedelta(hours=1)),
        unit="-1 to 1",
        doc="Hourly mean sentiment of tweets about Bitcoin, known when the hour has ended.",
        words=("tweet", "tweets"),
        grid=timedelta(hours=1),
        plausible=(-1, 1),
    )
)
