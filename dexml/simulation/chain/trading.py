"""Others who trade on the local chain: noise, and arbitrage that pegs the pools to a price."""

from __future__ import annotations

import math
import random
from decimal import Decimal

from dexml.execution.abi import Method
from dexml.execution.market import Market, Pool, Version
from dexml.execution.uniswap.reading import read_pair, read_pool
from dexml.simulation.chain.deployment import APPROVE, MINT, UNLIMITED
from dexml.simulation.chain.local import LocalChain

__all__ = ["PoolTrader", "pool_price"]

_FOREVER = 1 << 40
_V2_SWAP = Method(
    "swapExactTokensForTokens", ("uint256", "uint256", "address[]", "address", "uint256")
)
_V3_SWAP = Method("exactInputSingle", ("(address,address,uint24,address,uint256,uint256,uint160)",))
_NOISE_SPREAD = 1.0  # of the logarithm of a size


def pool_price(chain: LocalChain, market: Market, pool: Pool) -> Decimal:
    """Return the mid price of a pool, quote per base, at the chain's head."""
    square = _sqrt_price(chain, pool) ** 2 / Decimal(1 << 192)
    of_base = square if pool.token0 == market.base.address else 1 / square
    return of_base.scaleb(market.base.decimals - market.quote.decimals)


def _sqrt_price(chain: LocalChain, pool: Pool) -> Decimal:
    number = chain.head().number
    if pool.version is Version.V3:
        return Decimal(read_pool(chain.node, pool, number)[0].sqrt_price_x96)
    pair = read_pair(chain.node, pool, number)
    return Decimal(math.isqrt((pair.reserve1 << 192) // pair.reserve0))


class PoolTrader:
    """Everybody else in the pools of a market; what they do is decided by a seed.

    The trades are sent and mined with the next block; the chain must not mine by itself meanwhile.

    Parameters
    ----------
    noise_quote : Decimal
        Median size of a noise trade, in quote tokens.
    """

    def __init__(
        self, chain: LocalChain, market: Market, seed: int, noise_quote: Decimal = Decimal(2_000)
    ) -> None:
        self._chain, self._market, self._noise = chain, market, noise_quote
        self._random = random.Random(seed)
        self._hands = chain.trader
        routers = chain.world.routers
        for token in (market.base, market.quote):
            self._hands.send(token.address, MINT.call(self._hands.account, 10**60))
            for router in (routers.v2, routers.v3):
                self._hands.send(token.address, APPROVE.call(router, 0))
                self._hands.send(token.address, APPROVE.call(router, UNLIMITED))
        chain.mine()

    def follow(self, price: Decimal, n_noise: int = 2) -> None:
        """Trade some noise in a block, and move every pool to `price` in the next."""
        for _one in range(n_noise):
            self._trade_noise(price)
        self._chain.mine()
        for pool in self._market.pools:
            self._peg(pool, price)
        self._chain.mine()

    def _trade_noise(self, price: Decimal) -> None:
        pool = self._random.choice(self._market.pools)
        size = Decimal(repr(self._random.lognormvariate(0, _NOISE_SPREAD))) * self._noise
        token_in, token_out = self._random.sample([self._market.base, self._market.quote], 2)
        amount = size if token_in is self._market.quote else size / price
        self._swap(pool, token_in.address, token_out.address, token_in.units(amount), 0)

    def _peg(self, pool: Pool, price: Decimal) -> None:
        target = self._target(pool, price)
        down = target < _sqrt_price(self._chain, pool)
        tokens = (pool.token0, pool.token1) if down else (pool.token1, pool.token0)
        if pool.version is Version.V3:
            self._swap(pool, *tokens, 10**40, target)  # stops at the target, takes what it needs
            return
        amount = self._needed(pool, target, down=down)
        if amount > 0:
            self._swap(pool, *tokens, amount, 0)

    def _target(self, pool: Pool, price: Decimal) -> int:
        units = price.scaleb(self._market.quote.decimals - self._market.base.decimals)
        ratio = units if pool.token0 == self._market.base.address else 1 / units
        return int((ratio * (1 << 192)).sqrt())

    def _needed(self, pool: Pool, target: int, *, down: bool) -> int:
        pair = read_pair(self._chain.node, pool, self._chain.head().number)
        product = pair.reserve0 * pair.reserve1
        if down:
            return math.isqrt((product << 192) // target**2) - pair.reserve0
        return math.isqrt(product * target**2 >> 192) - pair.reserve1

    def _swap(self, pool: Pool, token_in: str, token_out: str, amount: int, limit: int) -> None:
        routers, account = self._chain.world.routers, self._hands.account
        if pool.version is Version.V2:
            data = _V2_SWAP.call(amount, 0, [token_in, token_out], account, _FOREVER)
        else:
            where = (token_in, token_out, pool.fee_pips, account, amount, 0, limit)
            data = _V3_SWAP.call(where)
        self._hands.send(routers.of(pool.version), data)
