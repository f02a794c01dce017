"""The words of the field as frozen values that cannot be wrong.

Bars are stamped with their *close*; ccxt gives the open, so adapters convert at the border. Money
that moves is `Decimal`, statistics are `float`; fractions are never percent; times are UTC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.clock import utc
from dexml.errors import DataError

__all__ = [
    "MACRO_COLUMNS",
    "NEWS_COLUMNS",
    "PRICE_COLUMNS",
    "Bar",
    "Bars",
    "Fill",
    "Forecast",
    "History",
    "Intent",
    "Mode",
    "Side",
    "Signal",
    "Target",
    "Timeframe",
    "check_instrument",
    "empty_macro",
    "empty_news",
    "to_datetime",
    "to_datetime64",
]

Times = NDArray[np.datetime64]
Floats = NDArray[np.float64]

PRICE_COLUMNS = ("open", "high", "low", "close", "volume")
_INSTRUMENT = re.compile(r"[A-Z0-9]{1,20}/[A-Z0-9]{1,20}")


class Side(StrEnum):
    """Direction of an order, seen from the base token."""

    BUY = "buy"
    SELL = "sell"


class Mode(StrEnum):
    """What the risk state allows: anything, only reductions, nothing."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


class Target(StrEnum):
    """What a model predicts about the next `horizon` bars; see `dexml.targets`."""

    DIRECTION = "direction"
    VOLATILITY = "volatility"
    VOLUME = "volume"
    SENTIMENT = "sentiment"
    MACRO = "macro"


class Timeframe(StrEnum):
    """Length of a bar.

    Examples
    --------
    >>> Timeframe("1h").seconds
    3600
    """

    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    H1 = "1h"
    H4 = "4h"
    D1 = "1d"

    @property
    def seconds(self) -> int:
        return int(self[:-1]) * {"m": 60, "h": 3_600, "d": 86_400}[self[-1]]

    @property
    def step(self) -> timedelta:
        return timedelta(seconds=self.seconds)


def check_instrument(name: str) -> str:
    """Return `name` if it reads BASE/QUOTE in capitals.

    Examples
    --------
    >>> check_instrument("BTC/USDT")
    'BTC/USDT'
    """
    if not _INSTRUMENT.fullmatch(name):
        raise DataError("instrument", "must read BASE/QUOTE", repr(name), "Write BTC/USDT.")
    return name


def to_datetime64(instant: datetime) -> np.datetime64:
    """Turn an aware instant into a UTC nanosecond stamp, as arrays hold it."""
    return np.datetime64(utc(instant).replace(tzinfo=None), "ns")


def to_datetime(stamp: np.datetime64) -> datetime:
    """Turn an array's stamp into an aware UTC instant."""
    return datetime.fromtimestamp(0, UTC) + timedelta(
        microseconds=int(stamp.astype("datetime64[us]").astype(np.int64))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One closed bar of one instrument.

    Attributes
    ----------
    closed_at : datetime
        The instant the bar ended, UTC.
    open, high, low, close : float
        Positive prices in quote currency; low <= open, close <= high.
    volume : float
        Base currency, at least 0.
    """

    instrument: str
    closed_at: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float

    def __post_init__(self) -> None:
        check_instrument(self.instrument)
        object.__setattr__(self, "closed_at", utc(self.closed_at))
        fault = price_fault(self.open, self.high, self.low, self.close, self.volume)
        if fault is not None:
            raise DataError(
                f"bar of {self.instrument} closed at {self.closed_at:%Y-%m-%d %H:%M}",
                fault,
                (self.open, self.high, self.low, self.close, self.volume),
                "Quarantine it and fetch it again.",
            )


def price_fault(open_: float, high: float, low: float, close: float, volume: float) -> str | None:
    """Name the first rule that the numbers of a bar break, or return None."""
    if not all(np.isfinite((open_, high, low, close, volume))):
        return "must hold finite numbers"
    if min(open_, high, low, close) <= 0:
        return "must have positive prices"
    if volume < 0:
        return "must have a volume of at least 0"
    if high < max(open_, close) or low > min(open_, close):
        return "must have low <= open, close <= high"
    return None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bars:
    """Closed bars of one instrument, oldest first.

    Attributes
    ----------
    closed_at : ndarray of datetime64[ns], shape (n_bars,)
        Strictly increasing, UTC. Gaps are allowed; they are facts.
    open, high, low, close, volume : ndarray of float64, shape (n_bars,)
        As in `Bar`. No NaN.

    Raises
    ------
    DataError
        If a rule of `Bar` is broken or the stamps do not increase.

    Examples
    --------
    >>> frame = pd.DataFrame(
    ...     {"open": [1.0], "high": [2.0], "low": [1.0], "close": [2.0], "volume": [5.0]},
    ...     index=pd.DatetimeIndex(["2024-01-01 01:00"], tz="UTC"),
    ... )
    >>> len(Bars.from_frame("BTC/USDT", Timeframe.H1, frame))
    1
    """

    instrument: str
    timeframe: Timeframe
    closed_at: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __post_init__(self) -> None:
        check_instrument(self.instrument)
        for name in PRICE_COLUMNS:
            values = np.ascontiguousarray(getattr(self, name), dtype=np.float64)
            object.__setattr__(self, name, values)
            if values.shape != self.closed_at.shape:
                raise DataError(
                    f"{self.instrument} {name}",
                    f"must have {self.closed_at.shape[0]} values",
                    values.shape,
                    "Give one value for each bar.",
                )
        self._refuse_broken_rows()

    def _refuse_broken_rows(self) -> None:
        if len(self) > 1 and not (np.diff(self.closed_at) > np.timedelta64(0)).all():
            first = int(np.argmin(np.diff(self.closed_at) > np.timedelta64(0))) + 1
            raise DataError(
                f"{self.instrument} closed_at",
                "must strictly increase",
                self.closed_at[first],
                "Sort the bars and drop duplicates.",
            )
        columns = np.vstack([getattr(self, name) for name in PRICE_COLUMNS])
        o, h, low, c, v = columns
        good = np.isfinite(columns).all(axis=0) & (columns[:4] > 0).all(axis=0) & (v >= 0)
        good &= (h >= np.maximum(o, c)) & (low <= np.minimum(o, c))
        if not good.all():
            self.bar(int(np.argmin(good)))  # raises with the row's own message

    def __len__(self) -> int:
        return int(self.closed_at.shape[0])

    def bar(self, row: int) -> Bar:
        """Return row `row` as a `Bar`."""
        values = {name: float(getattr(self, name)[row]) for name in PRICE_COLUMNS}
        closed_at = to_datetime(self.closed_at[row])
        return Bar(instrument=self.instrument, closed_at=closed_at, **values)

    def take(self, rows: slice) -> Bars:
        """Return the bars of a slice of rows."""
        columns = {name: getattr(self, name)[rows] for name in ("closed_at", *PRICE_COLUMNS)}
        return Bars(instrument=self.instrument, timeframe=self.timeframe, **columns)

    def until(self, closed_at: np.datetime64) -> Bars:
        """Return the bars closed at or before `closed_at`."""
        return self.take(slice(0, int(np.searchsorted(self.closed_at, closed_at, side="right"))))

    def frame(self) -> pd.DataFrame:
        """Return a frame of the price columns indexed by `closed_at` (UTC-aware)."""
        index = pd.DatetimeIndex(self.closed_at, tz="UTC", name="closed_at")
        return pd.DataFrame({name: getattr(self, name) for name in PRICE_COLUMNS}, index=index)

    @classmethod
    def from_frame(cls, instrument: str, timeframe: Timeframe, frame: pd.DataFrame) -> Bars:
        """Build bars from a frame with the price columns, indexed by an aware `closed_at`."""
        index = pd.DatetimeIndex(frame.index)
        stamps = (index.tz_convert("UTC").tz_localize(None) if index.tz else index).to_numpy()
        columns: dict[str, Any] = {name: frame[name].to_numpy() for name in PRICE_COLUMNS}
        return cls(
            instrument=instrument,
            timeframe=timeframe,
            closed_at=stamps.astype("datetime64[ns]"),
            **columns,
        )


NEWS_COLUMNS = ("published_at", "known_at", "source", "title", "instruments", "score")
MACRO_COLUMNS = ("series", "period_at", "known_at", "value")


def empty_news() -> pd.DataFrame:
    """Return a news table without rows."""
    frame = pd.DataFrame({name: pd.Series(dtype="object") for name in NEWS_COLUMNS})
    for name in ("published_at", "known_at"):
        frame[name] = pd.Series(dtype="datetime64[ns, UTC]")
    frame["score"] = pd.Series(dtype="float64")
    return frame


def empty_macro() -> pd.DataFrame:
    """Return a macro table without rows."""
    frame = pd.DataFrame({"series": pd.Series(dtype="object"), "value": pd.Series(dtype="float64")})
    for name in ("period_at", "known_at"):
        frame[name] = pd.Series(dtype="datetime64[ns, UTC]")
    return frame[list(MACRO_COLUMNS)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Everything known about a set of instruments up to some instant.

    Attributes
    ----------
    bars : mapping of instrument to Bars
        All of one timeframe.
    news : DataFrame
        Columns `NEWS_COLUMNS`: when a headline was published, from when it could be used, its
        source and title, the instruments it names separated by spaces ("" means the whole market),
        and its sentiment in [-1, 1] as scored when it came in.
    macro : DataFrame
        Columns `MACRO_COLUMNS`: series name, the period a value describes, the instant from which
        it is known, the value.
    """

    bars: Mapping[str, Bars]
    news: pd.DataFrame = field(default_factory=empty_news)
    macro: pd.DataFrame = field(default_factory=empty_macro)

    @property
    def timeframe(self) -> Timeframe:
        return next(iter(self.bars.values())).timeframe

    def until(self, instant: np.datetime64) -> History:
        """Return what was known at `instant`: closed bars, news and macro values by `known_at`."""
        aware = pd.Timestamp(instant, tz="UTC")
        return History(
            bars={name: bars.until(instant) for name, bars in self.bars.items()},
            news=self.news[self.news["known_at"] <= aware].reset_index(drop=True),
            macro=self.macro[self.macro["known_at"] <= aware].reset_index(drop=True),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Calibrated probability of one target for one instrument, made at a bar's close.

    Attributes
    ----------
    probability : float or None
        In (0, 1); None when the model has no inputs or failed.
    model : str
        Digest of the model version.
    """

    instrument: str
    closed_at: datetime
    target: Target
    probability: float | None
    model: str

    def __post_init__(self) -> None:
        _check_probability(f"{self.target} forecast of {self.instrument}", self.probability)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """The ensemble's word on an instrument at a bar's close.

    Attributes
    ----------
    probability : float or None
        Calibrated probability that the price is higher after `horizon` bars; None: no signal.
    members : tuple of (target, probability)
        What the members said, sorted by name; a member that failed is absent.
    """

    instrument: str
    closed_at: datetime
    probability: float | None
    members: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        _check_probability(f"signal of {self.instrument}", self.probability)


def _check_probability(subject: str, probability: float | None) -> None:
    if probability is not None and not 0 < probability < 1:
        raise DataError(
            subject, "must be a probability in (0, 1)", probability, "Clip it or send none."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A decision to trade, journalled before anything is sent. Swaps are exact-input.

    Attributes
    ----------
    intent_id : str
        Digest of what decided it; the same decision always has the same id.
    amount_in : Decimal
        Quote currency for a buy, base currency for a sell; positive.
    minimum_out : Decimal
        Slippage floor in the other currency; positive.
    reference_price : Decimal
        Quote per base at which the kernel saw the market.
    reason : str
        Why, in one word: "enter", "exit", "stop", "take_profit", "time".
    """

    intent_id: str
    instrument: str
    side: Side
    amount_in: Decimal
    minimum_out: Decimal
    reference_price: Decimal
    reason: str
    decided_at: datetime

    def __post_init__(self) -> None:
        for name in ("amount_in", "minimum_out", "reference_price"):
            value = getattr(self, name)
            if not value.is_finite() or value <= 0:
                raise DataError(f"intent {name}", "must be positive", value, "Do not trade dust.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """What a swap really did.

    Attributes
    ----------
    base, quote : Decimal
        Amounts that moved, both positive; quote includes the pool fee.
    gas : Decimal
        Network cost in quote currency, at least 0; paid on top.
    """

    intent_id: str
    instrument: str
    side: Side
    base: Decimal
    quote: Decimal
    gas: Decimal
    filled_at: datetime

    def __post_init__(self) -> None:
        for name in ("base", "quote"):
            if getattr(self, name) <= 0:
                raise DataError(
                    f"fill {name}", "must be positive", getattr(self, name), "Read it again."
                )
        if self.gas < 0:
            raise DataError("fill gas", "must be at least 0", self.gas, "Read the receipt again.")

    @property
    def price(self) -> Decimal:
        return self.quote / self.base
