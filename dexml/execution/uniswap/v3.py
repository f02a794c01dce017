"""A swap in a Uniswap V3 pool, step by step as the contract takes it, to the smallest unit.

Names and rounding follow v3-core: SqrtPriceMath, SwapMath.computeSwapStep, UniswapV3Pool.swap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from dexml.errors import ExecutionError
from dexml.execution.uniswap.ticks import (
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    Ticks,
    next_tick,
    sqrt_ratio_at_tick,
    tick_at_sqrt_ratio,
)

__all__ = ["PoolState", "Swapped", "amount0_delta", "amount1_delta", "swap"]

_Q96 = 1 << 96
_WORD = 1 << 256
_PIPS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolState:
    """What a swap in a pool depends on.

    Attributes
    ----------
    sqrt_price_x96 : int
        Square root of token1 per token0 in smallest units, with 96 fractional bits.
    tick : int
        The pool's own tick; at a price exactly on a tick it may be one less than the price's.
    liquidity : int
        In range.
    fee_pips : int
        Millionths of the amount in.
    tick_spacing : int
        Ticks that can be initialised are its multiples.
    """

    sqrt_price_x96: int
    tick: int
    liquidity: int
    fee_pips: int
    tick_spacing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Swapped:
    """What a swap took and paid, in smallest units, and the pool after it.

    Attributes
    ----------
    amount_in : int
        With the fee; less than was offered if the pool has run dry.
    n_crossed : int
        Initialised ticks that the price went through.
    """

    amount_in: int
    amount_out: int
    pool: PoolState
    n_crossed: int


def amount0_delta(low: int, high: int, liquidity: int, *, up: bool) -> int:
    """Return the token0 between two square roots of prices, low <= high; `up` rounds up."""
    product = (liquidity << 96) * (high - low)
    return _ceil(_ceil(product, high), low) if up else product // high // low


def amount1_delta(low: int, high: int, liquidity: int, *, up: bool) -> int:
    """Return the token1 between two square roots of prices, low <= high; `up` rounds up."""
    product = liquidity * (high - low)
    return _ceil(product, _Q96) if up else product // _Q96


def swap(
    pool: PoolState,
    ticks: Ticks,
    amount: int,
    *,
    zero_for_one: bool,
    limit_x96: int | None = None,
) -> Swapped:
    """Swap `amount` and return what happens.

    Parameters
    ----------
    amount : int
        As in the contract: an exact amount in if positive, an exact amount out if negative.
    zero_for_one : bool
        Whether token0 goes in, which makes its price fall.
    limit_x96 : int, optional
        Square root of the price at which the swap stops; by default the end of all prices.

    Raises
    ------
    ExecutionError
        If the amount is 0 or the limit is not on the way.

    Examples
    --------
    >>> from dexml.execution.uniswap.ticks import TickTable
    >>> pool = PoolState(
    ...     sqrt_price_x96=1 << 96, tick=0, liquidity=10**18, fee_pips=3000, tick_spacing=60
    ... )
    >>> everywhere = TickTable({-887220: 10**18, 887220: -(10**18)}, spacing=60)
    >>> swap(pool, everywhere, 10**15, zero_for_one=True).amount_out
    996006981039903
    """
    limit = _limit(pool, limit_x96, zero_for_one=zero_for_one)
    if amount == 0:
        raise ExecutionError("amount to swap", "must not be 0", amount, "Do not trade dust.")
    left, paid, n_crossed = amount, 0, 0
    while left != 0 and pool.sqrt_price_x96 != limit:
        stop, step = _step(pool, ticks, left, limit, down=zero_for_one)
        took = step.amount_in + step.fee
        left -= took if amount > 0 else -step.amount_out
        paid += step.amount_out if amount > 0 else took
        n_crossed += stop.initialised and step.sqrt_price_x96 == stop.sqrt_ratio_x96
        pool = _moved(pool, ticks, stop, step.sqrt_price_x96, down=zero_for_one)
    took, paid = (amount - left, paid) if amount > 0 else (paid, left - amount)
    return Swapped(amount_in=took, amount_out=paid, pool=pool, n_crossed=n_crossed)


class _Stop(NamedTuple):
    tick: int
    initialised: bool
    sqrt_ratio_x96: int


class _Step(NamedTuple):
    sqrt_price_x96: int
    amount_in: int
    amount_out: int
    fee: int


def _limit(pool: PoolState, limit: int | None, *, zero_for_one: bool) -> int:
    price = pool.sqrt_price_x96
    if limit is None:
        return MIN_SQRT_RATIO + 1 if zero_for_one else MAX_SQRT_RATIO - 1
    on_the_way = MIN_SQRT_RATIO < limit < price if zero_for_one else price < limit < MAX_SQRT_RATIO
    if not on_the_way:
        rule = f"must be {'below' if zero_for_one else 'above'} the pool's {price}"
        raise ExecutionError("limit of a swap", rule, limit, "Leave it away, or read the pool.")
    return limit


def _step(
    pool: PoolState, ticks: Ticks, left: int, limit: int, *, down: bool
) -> tuple[_Stop, _Step]:
    tick, initialised = next_tick(ticks, pool.tick, pool.tick_spacing, down=down)
    tick = min(max(tick, MIN_TICK), MAX_TICK)
    stop = _Stop(tick, initialised, sqrt_ratio_at_tick(tick))
    target = max(stop.sqrt_ratio_x96, limit) if down else min(stop.sqrt_ratio_x96, limit)
    return stop, _swap_step(pool, target, left)


def _moved(pool: PoolState, ticks: Ticks, stop: _Stop, price: int, *, down: bool) -> PoolState:
    if price == stop.sqrt_ratio_x96:
        net = ticks.net(stop.tick) if stop.initialised else 0
        return replace(
            pool,
            sqrt_price_x96=price,
            tick=stop.tick - 1 if down else stop.tick,
            liquidity=pool.liquidity + (-net if down else net),
        )
    if price == pool.sqrt_price_x96:
        return pool
    return replace(pool, sqrt_price_x96=price, tick=tick_at_sqrt_ratio(price))


def _swap_step(pool: PoolState, target: int, left: int) -> _Step:
    price, liquidity, fee = pool.sqrt_price_x96, pool.liquidity, pool.fee_pips
    down, exact_in = price >= target, left >= 0
    if exact_in:
        after_fee = left * (_PIPS - fee) // _PIPS
        reaches = after_fee >= _taken(price, target, liquidity, down=down)
        reached = target if reaches else _after_input(price, liquidity, after_fee, down=down)
    else:
        reaches = -left >= _paid(price, target, liquidity, down=down)
        reached = target if reaches else _after_output(price, liquidity, -left, down=down)
    amount_in = _taken(price, reached, liquidity, down=down)
    amount_out = _paid(price, reached, liquidity, down=down)
    if not exact_in:
        amount_out = min(amount_out, -left)
    if exact_in and reached != target:
        return _Step(reached, amount_in, amount_out, left - amount_in)  # what is left is the fee
    return _Step(reached, amount_in, amount_out, _ceil(amount_in * fee, _PIPS - fee))


def _taken(price: int, to: int, liquidity: int, *, down: bool) -> int:
    if down:
        return amount0_delta(to, price, liquidity, up=True)
    return amount1_delta(price, to, liquidity, up=True)


def _paid(price: int, to: int, liquidity: int, *, down: bool) -> int:
    if down:
        return amount1_delta(to, price, liquidity, up=False)
    return amount0_delta(price, to, liquidity, up=False)


def _after_input(price: int, liquidity: int, amount: int, *, down: bool) -> int:
    if not down:
        return price + (amount << 96) // liquidity
    scaled, product = liquidity << 96, amount * price
    if scaled + product < _WORD:
        return _ceil(scaled * price, scaled + product)
    return _ceil(scaled, scaled // price + amount)  # the contract's way when 256 bits overflow


def _after_output(price: int, liquidity: int, amount: int, *, down: bool) -> int:
    if down:
        return price - _ceil(amount << 96, liquidity)
    scaled = liquidity << 96
    return _ceil(scaled * price, scaled - amount * price)


def _ceil(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
