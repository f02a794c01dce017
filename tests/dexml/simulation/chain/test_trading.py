from __future__ import annotations

from decimal import Decimal

from dexml.simulation.chain import LocalChain
from dexml.simulation.chain.trading import PoolTrader, pool_price

PATH = [Decimal(one) for one in ("2512.34", "2550", "2610.5", "2400", "2399.9", "2512")]


def _followed(chain: LocalChain, seed: int) -> list[list[Decimal]]:
    chain.mine_at_once(False)
    before = chain.snapshot()
    market = chain.world.market("ETH/USDT")
    trader = PoolTrader(chain, market, seed)
    prices = []
    for price in PATH:
        trader.follow(price)
        prices.append([pool_price(chain, market, pool) for pool in market.pools])
    chain.revert(before)
    return prices


def test_the_pools_follow_a_price_path(chain: LocalChain) -> None:
    for wanted, reached in zip(PATH, _followed(chain, 1), strict=True):
        for price in reached:
            assert abs(price / wanted - 1) < Decimal("0.0005")


def test_the_same_seed_makes_the_same_market(chain: LocalChain) -> None:
    first, again, other = (_followed(chain, seed) for seed in (1, 1, 2))
    assert first == again != other
