"""What a stream's message says of bars and trades; one function for each exchange.

A message that is none of these says nothing (an empty list). One that should be and is not raises
`KeyError`, `TypeError`, `ValueError` or `ArithmeticError`; the listener counts it and goes on.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

__all__ = ["Row", "Said", "TradeBars", "Traded", "binance", "coinbase", "kraken"]

MAX_WAITING = 5_000  # trades kept while those before them are missing


class Row(NamedTuple):
    """One bar as exchanges stamp it."""

    opened_s: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Said(NamedTuple):
    """A bar as a stream showed it.

    Attributes
    ----------
    market : str
        The exchange's own name of the instrument.
    final : bool
        The exchange, or an unbroken row of trades, says that it will not change.
    """

    market: str
    row: Row
    final: bool


class Traded(NamedTuple):
    """One trade; `number` counts the trades of a market without gaps."""

    market: str
    number: int
    at_s: float
    price: Decimal
    size: Decimal


def binance(message: Any) -> list[Said | Traded]:
    """Read a kline event, alone or inside a combined stream.

    Examples
    --------
    >>> bar = {"t": 60_000, "o": "1", "h": "3", "l": "1", "c": "2", "v": "9", "x": True}
    >>> said = binance({"e": "kline", "s": "BTCUSDT", "k": bar})[0]
    >>> said.market, said.row.close, said.final
    ('BTCUSDT', 2.0, True)
    """
    event = message.get("data", message) if isinstance(message, dict) else None
    if not isinstance(event, dict) or event.get("e") != "kline":
        return []
    kline = event["k"]
    return [Said(str(event["s"]), _row(kline["t"] / 1_000, kline, "ohlcv"), kline["x"] is True)]


def kraken(message: Any) -> list[Said | Traded]:
    """Read `ohlc` of stream v2, which never says that a bar is final.

    Examples
    --------
    >>> bar = {"symbol": "BTC/USD", "interval_begin": "2024-01-01T00:00:00.000000000Z"}
    >>> bar |= {"open": 1, "high": 3, "low": 1, "close": 2, "volume": 9}
    >>> kraken({"channel": "ohlc", "type": "update", "data": [bar]})[0].final
    False
    """
    if not isinstance(message, dict) or message.get("channel") != "ohlc":
        return []
    names = ("open", "high", "low", "close", "volume")
    return [
        Said(str(bar["symbol"]), _row(_seconds(bar["interval_begin"]), bar, names), False)
        for bar in message["data"]
    ]


def coinbase(message: Any) -> list[Said | Traded]:
    """Read a trade of the channel `matches`.

    Examples
    --------
    >>> trade = {"type": "match", "trade_id": 7, "product_id": "BTC-USD", "price": "2.5"}
    >>> coinbase(trade | {"size": "0.1", "time": "1970-01-01T00:01:00.5Z"})[0].at_s
    60.5
    """
    if not isinstance(message, dict) or message.get("type") != "match":
        return []
    number, at_s = int(message["trade_id"]), _seconds(message["time"])
    price, size = Decimal(message["price"]), Decimal(message["size"])
    if not price.is_finite() or not size.is_finite():
        raise ValueError("a trade needs finite numbers")
    return [Traded(str(message["product_id"]), number, at_s, price, size)]


def _row(opened_s: float, bar: Any, names: Any) -> Row:
    if opened_s != int(opened_s):
        raise ValueError("a bar opens on a whole second")
    return Row(int(opened_s), *(float(bar[name]) for name in names))


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class TradeBars:
    """Bars of one market from its trades; a bar is final once every trade of it is known.

    Trades are numbered without gaps, so a missing, repeated or late one shows. The first bar heard
    of is never final, for nobody knows what went before.

    Parameters
    ----------
    step_s : int
        Length of a bar in seconds.

    Examples
    --------
    >>> bars = TradeBars(60)
    >>> one = Decimal(1)
    >>> for number, at_s in enumerate((50.0, 60.0, 110.0, 120.0)):
    ...     said = bars.add(Traded("BTC-USD", number, at_s, one, one))
    >>> said[0].row, said[0].final
    (Row(opened_s=60, open=1.0, high=1.0, low=1.0, close=1.0, volume=2.0), True)
    """

    def __init__(self, step_s: int) -> None:
        self._step_s = step_s
        self._waiting: dict[int, Traded] = {}
        self._newest_waiting_s = 0
        self._next: int | None = None
        self._bar: _Growing | None = None
        self._whole_from = 0

    def add(self, trade: Traded) -> list[Said]:
        """Return what is known since `trade`: bars that ended, then the one that is open."""
        if self._next is None or trade.number < self._next - MAX_WAITING:
            self._begin_anew(trade)  # so far back that the numbers before were none
        if trade.number >= (self._next or 0):
            self._waiting.setdefault(trade.number, trade)
            self._newest_waiting_s = max(self._newest_waiting_s, self._opened_s(trade))
        self._give_up_on_the_lost()
        said = []
        while self._next in self._waiting:
            said += self._take(self._waiting.pop(self._next))
            self._next += 1
        return said if self._bar is None else [*said, self._bar.said(final=False)]

    def _take(self, trade: Traded) -> list[Said]:
        opened_s, bar = self._opened_s(trade), self._bar
        if bar is not None and opened_s < bar.opened_s:  # time went back: this bar may lack it
            self._whole_from = bar.opened_s + self._step_s
            return []
        if bar is not None and opened_s == bar.opened_s:
            bar.add(trade)
            return []
        self._bar = _Growing(opened_s, trade)
        return [] if bar is None else [bar.said(final=bar.opened_s >= self._whole_from)]

    def _give_up_on_the_lost(self) -> None:
        if self._next in self._waiting or not self._waiting:
            return
        current = self._newest_waiting_s if self._bar is None else self._bar.opened_s
        if len(self._waiting) > MAX_WAITING or self._newest_waiting_s > current + self._step_s:
            self._begin_anew(self._waiting[min(self._waiting)])

    def _begin_anew(self, trade: Traded) -> None:
        self._next, self._bar = trade.number, None
        self._whole_from = self._opened_s(trade) + self._step_s

    def _opened_s(self, trade: Traded) -> int:
        return int(trade.at_s // self._step_s) * self._step_s


class _Growing:
    def __init__(self, opened_s: int, first: Traded) -> None:
        self.opened_s, self._market = opened_s, first.market
        self._open = self._high = self._low = self._close = first.price
        self._volume = first.size

    def add(self, trade: Traded) -> None:
        self._high, self._low = max(self._high, trade.price), min(self._low, trade.price)
        self._close = trade.price
        self._volume += trade.size

    def said(self, *, final: bool) -> Said:
        numbers = (self._open, self._high, self._low, self._close, self._volume)
        return Said(self._market, Row(self.opened_s, *map(float, numbers)), final)
