"""Ticks of Uniswap V3: prices of powers of 1.0001, and where liquidity changes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

from dexml.errors import ExecutionError

__all__ = [
    "MAX_SQRT_RATIO",
    "MAX_TICK",
    "MIN_SQRT_RATIO",
    "MIN_TICK",
    "TickTable",
    "Ticks",
    "next_tick",
    "sqrt_ratio_at_tick",
    "tick_at_sqrt_ratio",
]

MIN_TICK, MAX_TICK = -887_272, 887_272
MIN_SQRT_RATIO = 4_295_128_739
MAX_SQRT_RATIO = 1461446703485210103287273052203988822378723970342

# 1.0001^(-2^k / 2) in 128 fractional bits, for the bits k of |tick|
_POWERS = (
    0xFFFCB933BD6FAD37AA2D162D1A594001,
    0xFFF97272373D413259A46990580E213A,
    0xFFF2E50F5F656932EF12357CF3C7FDCC,
    0xFFE5CACA7E10E4E61C3624EAA0941CD0,
    0xFFCB9843D60F6159C9DB58835C926644,
    0xFF973B41FA98C081472E6896DFB254C0,
    0xFF2EA16466C96A3843EC78B326B52861,
    0xFE5DEE046A99A2A811C461F1969C3053,
    0xFCBE86C7900A88AEDCFFC83B479AA3A4,
    0xF987A7253AC413176F2B074CF7815E54,
    0xF3392B0822B70005940C7A398E4B70F3,
    0xE7159475A2C29B7443B29C7FA6E889D9,
    0xD097F3BDFD2022B8845AD8F792AA5825,
    0xA9F746462D870FDF8A65DC1F90E061E5,
    0x70D869A156D2A1B890BB3DF62BAF32F7,
    0x31BE135F97D08FD981231505542FCFA6,
    0x9AA508B5B7A84E1C677DE54F3E99BC9,
    0x5D6AF8DEDB81196699C329225EE604,
    0x2216E584F5FA1EA926041BEDFE98,
    0x48A170391F7DC42444E8FA2,
)


def sqrt_ratio_at_tick(tick: int) -> int:
    """Return sqrt(1.0001^tick) with 96 fractional bits, rounded as the contract rounds it.

    Raises
    ------
    ExecutionError
        If the tick is outside the contract's range.

    References
    ----------
    Uniswap v3-core, TickMath.getSqrtRatioAtTick.

    Examples
    --------
    >>> sqrt_ratio_at_tick(0) == 1 << 96
    True
    """
    if not MIN_TICK <= tick <= MAX_TICK:
        rule = f"must be in {MIN_TICK}..{MAX_TICK}"
        raise ExecutionError("tick", rule, tick, "Ask for a price that a pool can have.")
    ratio = 1 << 128
    for bit, power in enumerate(_POWERS):
        if abs(tick) >> bit & 1:
            ratio = ratio * power >> 128
    if tick > 0:
        ratio = ((1 << 256) - 1) // ratio
    return -(-ratio >> 32)  # up, so that the tick of the ratio is the tick


def tick_at_sqrt_ratio(sqrt_ratio_x96: int) -> int:
    """Return the greatest tick whose ratio is not above `sqrt_ratio_x96`.

    Raises
    ------
    ExecutionError
        If no tick has such a ratio.

    References
    ----------
    Uniswap v3-core, TickMath.getTickAtSqrtRatio.

    Examples
    --------
    >>> tick_at_sqrt_ratio(sqrt_ratio_at_tick(-60)), tick_at_sqrt_ratio(sqrt_ratio_at_tick(-60) - 1)
    (-60, -61)
    """
    if not MIN_SQRT_RATIO <= sqrt_ratio_x96 < MAX_SQRT_RATIO:
        rule = f"must be in {MIN_SQRT_RATIO}..{MAX_SQRT_RATIO - 1}"
        raise ExecutionError("square root of the price", rule, sqrt_ratio_x96, "Read it again.")
    tick = math.floor(2 * math.log(sqrt_ratio_x96 / 2**96) / math.log(1.0001))
    tick = min(max(tick, MIN_TICK), MAX_TICK - 1)
    while sqrt_ratio_at_tick(tick) > sqrt_ratio_x96:  # the float is off by one at most
        tick -= 1
    while sqrt_ratio_at_tick(tick + 1) <= sqrt_ratio_x96:
        tick += 1
    return tick


class Ticks(Protocol):
    """Where a pool's liquidity changes, as the contract stores it."""

    def word(self, position: int) -> int:
        """Return 256 bits of the bitmap: which multiples of the spacing are initialised."""
        ...

    def net(self, tick: int) -> int:
        """Return what is added to the liquidity when the price rises through `tick`."""
        ...


class TickTable:
    """Ticks held in memory.

    Parameters
    ----------
    nets : mapping of tick to its net liquidity
        Every tick that is initialised, also with a net of 0.
    spacing : int
        Ticks are multiples of it.

    Examples
    --------
    >>> table = TickTable({-60: 5, 60: -5}, spacing=60)
    >>> table.word(-1) == 1 << 255, table.word(0) == 1 << 1, table.net(60)
    (True, True, -5)
    """

    def __init__(self, nets: Mapping[int, int], spacing: int) -> None:
        self._nets = dict(nets)
        self._words: dict[int, int] = {}
        for tick in nets:
            position, bit = divmod(tick // spacing, 256)
            self._words[position] = self._words.get(position, 0) | 1 << bit

    def word(self, position: int) -> int:
        return self._words.get(position, 0)

    def net(self, tick: int) -> int:
        return self._nets[tick]


def next_tick(ticks: Ticks, tick: int, spacing: int, *, down: bool) -> tuple[int, bool]:
    """Return the next initialised tick within one word of the bitmap, else the word's edge.

    A swap stops at both, and rounds at each stop: who skips the edges is off by some units.

    References
    ----------
    Uniswap v3-core, TickBitmap.nextInitializedTickWithinOneWord.
    """
    position, bit = divmod(tick // spacing + (0 if down else 1), 256)
    word = ticks.word(position)
    if down:
        found = word & ((1 << bit + 1) - 1)
        nearest = found.bit_length() - 1 if found else 0
    else:
        found = word >> bit << bit
        nearest = (found & -found).bit_length() - 1 if found else 255
    return (position * 256 + nearest) * spacing, found != 0
