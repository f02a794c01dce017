"""Pools read from a node, all at one block, and what they would pay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dexml.execution.abi import Method
from dexml.execution.market import Pool, Version
from dexml.execution.rpc import Block, Node
from dexml.execution.uniswap.v2 import PairState
from dexml.execution.uniswap.v3 import PoolState, swap

__all__ = ["ChainTicks", "Quote", "best", "quote", "read_pair", "read_pool"]

_RESERVES = Method("getReserves", (), ("uint112", "uint112", "uint32"))
_SLOT = Method("slot0", (), ("uint160", "int24", "uint16", "uint16", "uint16", "uint8", "bool"))
_LIQUIDITY = Method("liquidity", (), ("uint128",))
_WORD = Method("tickBitmap", ("int16",), ("uint256",))
_TICK = Method(
    "ticks",
    ("int24",),
    ("uint128", "int128", "uint256", "uint256", "int56", "uint160", "uint32", "bool"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a pool would pay for an amount at a block, in smallest units."""

    pool: Pool
    token_in: str
    amount_in: int
    amount_out: int
    block: Block


class ChainTicks:
    """The ticks of a pool on a chain at one block, read as a swap comes to them."""

    def __init__(self, node: Node, pool: str, block: str) -> None:
        self._node, self._pool, self._block = node, pool, block
        self._words: dict[int, int] = {}
        self._nets: dict[int, int] = {}

    def word(self, position: int) -> int:
        if position not in self._words:
            self._words[position] = int(self._ask(_WORD, position)[0])
        return self._words[position]

    def net(self, tick: int) -> int:
        if tick not in self._nets:
            self._nets[tick] = int(self._ask(_TICK, tick)[1])
        return self._nets[tick]

    def _ask(self, method: Method, key: int) -> tuple[int, ...]:
        return method.answer(self._node.call(self._pool, method.call(key), self._block))


def read_pair(node: Node, pool: Pool, block: int) -> PairState:
    """Return a V2 pair as it was after a block."""
    reserves = _RESERVES.answer(node.call(pool.address, _RESERVES.call(), hex(block)))
    return PairState(reserve0=reserves[0], reserve1=reserves[1], fee_bps=pool.fee_pips // 100)


def read_pool(node: Node, pool: Pool, block: int) -> tuple[PoolState, ChainTicks]:
    """Return a V3 pool as it was after a block, and its ticks."""
    price, tick, *_rest = _SLOT.answer(node.call(pool.address, _SLOT.call(), hex(block)))
    (liquidity,) = _LIQUIDITY.answer(node.call(pool.address, _LIQUIDITY.call(), hex(block)))
    state = PoolState(
        sqrt_price_x96=price,
        tick=tick,
        liquidity=liquidity,
        fee_pips=pool.fee_pips,
        tick_spacing=pool.tick_spacing,
    )
    return state, ChainTicks(node, pool.address, hex(block))


def quote(node: Node, pool: Pool, token_in: str, amount_in: int, block: Block) -> Quote:
    """Return what `pool` would pay for `amount_in` right after `block`; computed here.

    A V3 pool that runs dry before it has taken everything pays nothing: the router would revert.
    """
    down = pool.zero_for_one(token_in)
    if pool.version is Version.V2:
        pair = read_pair(node, pool, block.number)
        out = pair.amount_out(amount_in, zero_for_one=down)
    else:
        state, ticks = read_pool(node, pool, block.number)
        done = swap(state, ticks, amount_in, zero_for_one=down)
        out = done.amount_out if done.amount_in == amount_in else 0
    return Quote(pool=pool, token_in=token_in, amount_in=amount_in, amount_out=out, block=block)


def best(quotes: Iterable[Quote], gas_cost: Callable[[Pool], int]) -> Quote:
    """Return the quote that leaves most after gas.

    Parameters
    ----------
    gas_cost : callable
        What a swap in a pool costs, in smallest units of the token that comes out.
    """
    return max(quotes, key=lambda one: one.amount_out - gas_cost(one.pool))
