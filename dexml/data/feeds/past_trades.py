"""Bars summed up from the trades of the past, for exchanges that show only their newest bars.

Nothing here reads or waits. Sums are Decimal, so a bar has the bits of the exchange's own. A bar in
which nobody traded stands at the close before it with no volume, as Kraken shows it, but for
`SILENCE_S` after a trade only: a market that is silent for longer is halted or dead, and its bars
are missing until somebody trades again. The rule looks back alone, so that a bar is the same
whether or not the next trade is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from dexml.data.feeds.hearing import Row
from dexml.errors import DataError

__all__ = [
    "NS",
    "SILENCE_S",
    "PastTrade",
    "Tape",
    "TradeCandles",
    "TradePage",
    "TradesCost",
    "kraken_page",
]

NS = 1_000_000_000
SILENCE_S = 86_400  # the kernel, too, sells what was silent for a day


class PastTrade(NamedTuple):
    """One trade; a market numbers its trades upwards, each once."""

    number: int
    at_s: float
    price: Decimal
    size: Decimal


class TradePage(NamedTuple):
    """An answer: trades in order, and the instant of its last one to the nanosecond."""

    trades: list[PastTrade]
    last_ns: int
    now_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TradesCost:
    """What reading a span of trades takes, at most.

    Attributes
    ----------
    n_trades, n_requests : int
    seconds : float
        At the pace that the exchange allows.
    """

    n_trades: int
    n_requests: int
    seconds: float


def kraken_page(answer: Any) -> TradePage:
    """Read an answer of `/0/public/Trades`.

    Raises
    ------
    LookupError, TypeError, ValueError, ArithmeticError
        If it is not one.

    Examples
    --------
    >>> row = ["30243.4", "0.34507674", 1688669597.8277369, "b", "m", "", 61044952]
    >>> page = kraken_page({"result": {"XXBTZUSD": [row], "last": "1688669597827736881"}})
    >>> page.trades[0].number, page.trades[0].price, page.last_ns
    (61044952, Decimal('30243.4'), 1688669597827736881)
    """
    result = answer["result"]
    (rows,) = (rows for name, rows in result.items() if name != "last")
    trades = sorted(map(_kraken_trade, rows), key=lambda trade: (trade.at_s, trade.number))
    numbers = {trade.number for trade in trades}
    if len(numbers) < len(trades):
        raise ValueError("trades must be numbered, each once")
    return TradePage(trades, int(result["last"]))


def _kraken_trade(row: Any) -> PastTrade:
    price, size, at_s, number = Decimal(row[0]), Decimal(row[1]), float(row[2]), row[6]
    if type(number) is not int or not (price.is_finite() and size.is_finite() and 0 < at_s < 1e11):
        raise ValueError("a trade needs finite numbers, an instant and a number of its own")
    if price <= 0 or size < 0:
        raise ValueError("a trade needs a positive price")
    return PastTrade(number, at_s, price, size)


class Tape:
    """Where to read on, and what is new in each page.

    The next page is asked for from just before the last instant of this one: trades of one instant
    may be parted by the end of a page, and numbers tell those already seen, whether an exchange
    counts `since` in or out.

    Examples
    --------
    >>> one, two, three = (PastTrade(n, 5.0, Decimal(1), Decimal(1)) for n in (1, 2, 3))
    >>> tape = Tape(5, n_page=2)
    >>> len(tape.new(TradePage([one, two], 5 * NS))), tape.cursor_ns, tape.ended
    (2, 4999999999, False)
    >>> tape = Tape(5, n_page=3)
    >>> n_new = [len(tape.new(TradePage(seen, 5 * NS))) for seen in ([one, two], [two, three])]
    >>> n_new, tape.new(TradePage([three], 5 * NS)), tape.ended
    ([2, 1], [], True)
    """

    def __init__(self, first_s: int, n_page: int) -> None:
        self.cursor_ns = max(0, first_s * NS - 1)
        self.ended = False
        self._n_page = n_page
        self._seen: set[int] = set()

    def new(self, page: TradePage) -> list[PastTrade]:
        """Return the trades that no page before held, and move on.

        Raises
        ------
        DataError
            If a whole page shares one instant: the exchange shows no way past it.
        """
        fresh = [trade for trade in page.trades if trade.number not in self._seen]
        self.ended = not fresh
        if self.ended and len(page.trades) >= self._n_page:
            raise DataError(
                "a page of trades",
                "must lead on in time",
                f"{len(page.trades)} trades up to {page.last_ns} ns again",
                "Read this span from another exchange.",
            )
        self.cursor_ns = max(self.cursor_ns, page.last_ns - 1)
        self._seen = {trade.number for trade in page.trades}
        return fresh


class TradeCandles:
    """Sums trades up into bars; each comes out once it is over.

    After a bar with trades the flat bars of `SILENCE_S` follow (at least one), and then none until
    the next trade.

    Parameters
    ----------
    step_s : int
        Length of a bar in seconds.
    first_s : int
        Opening of the first bar.
    before : PastTrade or None
        The last trade before it; None: nobody had traded, and bars begin with the first trade.

    Examples
    --------
    >>> candles = TradeCandles(60, 0, None)
    >>> sizes = {60: "0.1", 61: "0.2", 62: "0.3"}
    >>> candles.add(PastTrade(at_s, at_s, Decimal(7), Decimal(sizes[at_s])) for at_s in sizes)
    []
    >>> for row in candles.end(180):
    ...     print(row.opened_s, row.close, row.volume)
    60 7.0 0.6
    120 7.0 0.0
    """

    def __init__(self, step_s: int, first_s: int, before: PastTrade | None) -> None:
        self._step_s, self._first_s, self._opened_s = step_s, first_s, first_s
        self._last = before
        self._sum: _Sum | None = None

    def add(self, trades: Iterable[PastTrade]) -> list[Row]:
        """Return the bars that are over, as later trades show.

        Raises
        ------
        DataError
            If a trade belongs to a bar that was over.
        """
        rows = []
        for trade in trades:
            if trade.at_s < self._first_s:
                self._last = trade
                continue
            if trade.at_s < self._opened_s:
                raise DataError(
                    f"trade {trade.number}",
                    "must not be older than those before it",
                    trade.at_s,
                    "Read this span from another exchange.",
                )
            rows += self.end(int(trade.at_s) // self._step_s * self._step_s)
            self._sum = _Sum.of(trade) if self._sum is None else self._sum.and_(trade)
            self._last = trade
        return rows

    def end(self, until_s: int) -> list[Row]:
        """Return the bars that close at `until_s` or before and did not come out yet."""
        rows = []
        while self._opened_s + self._step_s <= until_s:
            summed = self._sum or self._flat()
            if summed is not None:
                rows.append(Row(self._opened_s, *map(float, summed)))
            self._sum = None
            self._opened_s += self._step_s
        return rows

    def _flat(self) -> _Sum | None:
        if self._last is None:
            return None
        traded_until_s = (int(self._last.at_s) // self._step_s + 1) * self._step_s
        if self._opened_s + self._step_s > traded_until_s + max(SILENCE_S, self._step_s):
            return None
        price = self._last.price
        return _Sum(price, price, price, price, Decimal(0))


class _Sum(NamedTuple):
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    @classmethod
    def of(cls, trade: PastTrade) -> _Sum:
        return cls(trade.price, trade.price, trade.price, trade.price, trade.size)

    def and_(self, trade: PastTrade) -> _Sum:
        high, low = max(self.high, trade.price), min(self.low, trade.price)
        return _Sum(self.open, high, low, trade.price, self.volume + trade.size)
