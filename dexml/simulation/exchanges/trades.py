"""Trades that add up to a candle exactly, for exchanges that tell of trades."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_DOWN, Decimal
from typing import NamedTuple

from dexml.simulation.exchanges.book import Book, Candle, number

__all__ = ["Tick", "extremes", "newest_ticks", "sizes_of", "ticks_after"]

CANDLES_AT_ONCE = 256
OPENING_SIZE = Decimal("0.00000001")
NS = 1_000_000_000
# one order meets several others at one instant; and sevens do not fill a page of 1,000 evenly
PLACES = (0.0, 0.25, 0.25, 0.25, 0.5, 0.75, 0.75)


class Tick(NamedTuple):
    """One trade; numbers begin at 1 and grow by 1 from trade to trade of a candle."""

    number: int
    at_ns: int
    price: str
    size: str


def extremes(candle: Candle) -> tuple[float, float]:
    """Return the low and the high in the order in which a candle met them."""
    rising = candle.close >= candle.open
    return (candle.low, candle.high) if rising else (candle.high, candle.low)


def sizes_of(volume: float, n_trades: int) -> list[Decimal]:
    """Split a volume into parts that add up to it exactly; the first is known at the opening.

    Examples
    --------
    >>> [str(size) for size in sizes_of(3.0, 3)]
    ['1E-8', '1.499999', '1.50000099']
    """
    rest = Decimal(number(volume)) - OPENING_SIZE
    part = rest / (n_trades - 1)
    part = part.quantize(Decimal(1).scaleb(part.adjusted() - 6), ROUND_DOWN)
    return [OPENING_SIZE] + [part] * (n_trades - 2) + [rest - part * (n_trades - 2)]


def ticks_after(book: Book, instrument: str, since_ns: int) -> Iterator[Tick]:
    """Yield the known trades later than `since_ns`, oldest first.

    A candle without volume has none; one that is still open has its first.
    """
    first_s = since_ns // NS - book.step_s
    while candles := book.candles(instrument, first_s, oldest=CANDLES_AT_ONCE):
        for candle in candles:
            yield from (tick for tick in _ticks(book, instrument, candle) if tick.at_ns > since_ns)
        first_s = candles[-1].opened_s + 1


def newest_ticks(book: Book, instrument: str, count: int) -> list[Tick]:
    """Return the last `count` known trades, oldest first; fewer after candles without any."""
    candles = book.candles(instrument, newest=count // len(PLACES) + 2)
    return [tick for candle in candles for tick in _ticks(book, instrument, candle)][-count:]


def _ticks(book: Book, instrument: str, candle: Candle) -> list[Tick]:
    if candle.closed and candle.volume == 0:
        return []
    first = book.place(instrument, candle.opened_s) * len(PLACES) + 1
    middle = (*extremes(candle), candle.open, candle.close, candle.open)
    prices = (candle.open, *middle, candle.close)
    sizes = sizes_of(candle.volume, len(PLACES)) if candle.closed else [OPENING_SIZE]
    return [
        Tick(
            number=first + place,
            at_ns=candle.opened_s * NS + int(PLACES[place] * book.step_s * NS),
            price=number(prices[place]),
            size=format(size, "f"),
        )
        for place, size in enumerate(sizes)
    ]
