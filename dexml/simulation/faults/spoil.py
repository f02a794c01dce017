"""How an exchange's answer goes wrong: rows from the wire, and what is done to them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from math import inf, nan
from typing import Any

from dexml.data.feeds.hearing import Row
from dexml.simulation.faults.kinds import Fault

__all__ = ["SPOILING", "WireRow", "wire"]

WireRow = list[Any]  # a stamp in milliseconds and five numbers, if all is well
Rows = list[WireRow]


def wire(row: Row) -> WireRow:
    """Return a row as an exchange writes it.

    Examples
    --------
    >>> wire(Row(60, 1.0, 2.0, 1.0, 2.0, 5.0))
    [60000, 1.0, 2.0, 1.0, 2.0, 5.0]
    """
    return [row.opened_s * 1_000, *row[1:]]


# Each spoils the newest closed row, which is the last but one of those given; the last is open.
def _with(column: int, value: Any) -> Callable[[Rows, random.Random], Rows]:
    def spoil(rows: Rows, rng: random.Random) -> Rows:
        rows[-2][column] = value
        return rows

    return spoil


def _negative(rows: Rows, rng: random.Random) -> Rows:
    rows[-2][3] = -rows[-2][3]
    return rows


def _crossed(rows: Rows, rng: random.Random) -> Rows:
    row = rows[-2]
    row[2], row[3] = row[3] * 0.99, row[2]
    return rows


def _short(rows: Rows, rng: random.Random) -> Rows:
    rows[-2].pop()
    return rows


def _thousandfold(rows: Rows, rng: random.Random) -> Rows:
    rows[-2][1:5] = [value * 1_000 for value in rows[-2][1:5]]
    return rows


def _seconds(rows: Rows, rng: random.Random) -> Rows:
    rows[-2][0] //= 1_000
    return rows


def _future(rows: Rows, rng: random.Random) -> Rows:
    later = rows[-2].copy()
    later[0] += 3_600_000 * rng.randrange(2, 10_000)
    return [*rows, later]


def _frozen(rows: Rows, rng: random.Random) -> Rows:
    if len(rows) > 2:
        rows[-2][1:] = rows[-3][1:]
    return rows


def _repeated(rows: Rows, rng: random.Random) -> Rows:
    return [*rows[:-1], rows[-2].copy(), rows[-1]]


def _disordered(rows: Rows, rng: random.Random) -> Rows:
    rng.shuffle(rows)
    return rows


def _absent(rows: Rows, rng: random.Random) -> Rows:
    return [*rows[:-2], rows[-1]]


SPOILING: dict[Fault, Callable[[Rows, random.Random], Rows]] = {
    Fault.ROW_NAN: _with(4, nan),
    Fault.ROW_INFINITE: _with(2, inf),
    Fault.ROW_ZERO: _with(3, 0.0),
    Fault.ROW_NEGATIVE: _negative,
    Fault.ROW_CROSSED: _crossed,
    Fault.ROW_TEXT: _with(4, "12.5"),
    Fault.ROW_SHORT: _short,
    Fault.ROW_THOUSANDFOLD: _thousandfold,
    Fault.ROW_SECONDS: _seconds,
    Fault.ROW_FUTURE: _future,
    Fault.ROW_FROZEN: _frozen,
    Fault.ROW_REPEATED: _repeated,
    Fault.ROWS_DISORDERED: _disordered,
    Fault.ROW_LATE: _absent,
    Fault.ROW_MISSING: _absent,
}


def usable(rows: Sequence[WireRow]) -> bool:
    """Say whether there is a closed row to spoil, and an open one."""
    return len(rows) >= 2
