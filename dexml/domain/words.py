"""Names and instants: sides, modes, targets, timeframes, instruments."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import numpy as np

from dexml.clock import utc
from dexml.errors import DataError

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


class Action(StrEnum):
    """What was decided for an instrument."""

    ENTER = "enter"
    INCREASE = "increase"
    HOLD = "hold"
    EXIT = "exit"
    DECLINE = "decline"


class Reason(StrEnum):
    """Why; every declined decision has one."""

    EDGE = "edge"
    BAND = "band"
    COST = "cost"
    ABSTAIN = "abstain"
    RISK = "risk"
    PORTFOLIO = "portfolio"
    LIMIT = "limit"
    CASH = "cash"
    MODE = "mode"
    DATA = "data"
    PROTECTION = "protection"
    PENDING = "pending"
    STOP = "stop"
    TAKE_PROFIT = "take_profit"
    TIME = "time"
    REQUEST = "request"
