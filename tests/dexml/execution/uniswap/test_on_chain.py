"""The integers computed here are those of the contracts."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from dexml.execution.abi import Method
from dexml.execution.market import Market, Pool, Version
from dexml.execution.rpc import bytes_of, quantity
from dexml.execution.uniswap.reading import quote, read_pair, read_pool
from dexml.execution.uniswap.v3 import swap
from dexml.simulation.chain import LocalChain
from dexml.simulation.chain.deployment import APPROVE, MINT, UNLIMITED

_QUOTE = Method(
    "quoteExactInputSingle",
    ("(address,address,uint256,uint24,uint160)",),
    ("uint256", "uint160", "uint32", "uint256"),
)
_QUOTE_OUT = Method("quoteExactOutputSingle", _QUOTE.takes, _QUOTE.gives)
_AMOUNTS_OUT = Method("getAmountsOut", ("uint256", "address[]"), ("uint256[]",))
_ADD_LIQUIDITY = Method(
    "mint",
    ("(address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256)",),
)
_V3_SWAP = Method(
    "exactInputSingle", ("(address,address,uint24,address,uint256,uint256,uint160)",), ("uint256",)
)
_V2_SWAP = Method(
    "swapExactTokensForTokens",
    ("uint256", "uint256", "address[]", "address", "uint256"),
    ("uint256[]",),
)


def _pool(market: Market, version: Version) -> Pool:
    return next(one for one in market.pools if one.version is version)


def _size(rng: random.Random, decimals: int) -> int:
    return max(1, int(10 ** rng.uniform(0, decimals + 8)))


def _add_random_ranges(chain: LocalChain, pool: Pool, rng: random.Random, count: int) -> None:
    state, _ticks = read_pool(chain.node, pool, chain.head().number)
    at = state.tick // pool.tick_spacing
    tokens_of = (token for one in chain.world.markets for token in (one.base, one.quote))
    decimals = {token.address: token.decimals for token in tokens_of}
    for _one in range(count):
        low = (at + rng.randint(-300, 300)) * pool.tick_spacing
        high = low + rng.randint(1, 400) * pool.tick_spacing
        amounts = [10 ** (decimals[one] + rng.randint(2, 5)) for one in (pool.token0, pool.token1)]
        tokens = (pool.token0, pool.token1, pool.fee_pips)
        place = (*tokens, low, high, *amounts, 0, 0, chain.builder.account, 1 << 40)
        chain.builder.do(chain.world.positions, _ADD_LIQUIDITY.call(place))


@pytest.mark.parametrize("seed", range(6))
def test_a_v3_quote_equals_the_quoter_through_many_ticks(chain: LocalChain, seed: int) -> None:
    rng = random.Random(seed)
    market = chain.world.markets[seed % 2]
    pool = _pool(market, Version.V3)
    _add_random_ranges(chain, pool, rng, 8)
    block = chain.head()
    state, ticks = read_pool(chain.node, pool, block.number)
    crossed = []
    for _one in range(25):
        token_in, token_out = rng.sample([market.base, market.quote], 2)
        amount = _size(rng, token_in.decimals)
        asked = (token_in.address, token_out.address, amount, pool.fee_pips, 0)
        data = chain.node.call(chain.world.quoter, _QUOTE.call(asked))
        out, price_after, n_crossed, _gas = _QUOTE.answer(data)
        down = pool.zero_for_one(token_in.address)
        ours = swap(state, ticks, amount, zero_for_one=down)
        assert (ours.amount_out, ours.pool.sqrt_price_x96) == (out, price_after)
        assert ours.amount_in == amount
        assert quote(chain.node, pool, token_in.address, amount, block).amount_out == out
        crossed.append(n_crossed)
    assert max(crossed) >= 5, "the sizes must reach through several ticks"


@pytest.mark.parametrize("seed", range(3))
def test_an_exact_output_equals_the_quoter_too(chain: LocalChain, seed: int) -> None:
    rng = random.Random(100 + seed)
    market = chain.world.markets[seed % 2]
    pool = _pool(market, Version.V3)
    _add_random_ranges(chain, pool, rng, 5)
    state, ticks = read_pool(chain.node, pool, chain.head().number)
    for _one in range(15):
        token_in, token_out = rng.sample([market.base, market.quote], 2)
        amount = max(1, int(10 ** rng.uniform(0, token_out.decimals + 2)))
        asked = (token_in.address, token_out.address, amount, pool.fee_pips, 0)
        data = chain.node.call(chain.world.quoter, _QUOTE_OUT.call(asked))
        paid, price_after, _crossed, _gas = _QUOTE_OUT.answer(data)
        down = pool.zero_for_one(token_in.address)
        ours = swap(state, ticks, -amount, zero_for_one=down)
        assert (ours.amount_in, ours.pool.sqrt_price_x96) == (paid, price_after)


@pytest.mark.parametrize("seed", range(3))
def test_v3_swaps_leave_the_pool_as_computed(chain: LocalChain, seed: int) -> None:
    rng = random.Random(200 + seed)
    market = chain.world.markets[seed % 2]
    pool = _pool(market, Version.V3)
    _add_random_ranges(chain, pool, rng, 6)
    state, ticks = read_pool(chain.node, pool, chain.head().number)
    for _one in range(12):
        token_in, token_out = rng.sample([market.base, market.quote], 2)
        amount = _size(rng, token_in.decimals)
        expected = swap(state, ticks, amount, zero_for_one=pool.zero_for_one(token_in.address))
        before = chain.balance(token_out, chain.builder.account)
        where = (token_in.address, token_out.address, pool.fee_pips, chain.builder.account)
        chain.builder.do(chain.world.routers.v3, _V3_SWAP.call((*where, amount, 0, 0)))
        got = chain.balance(token_out, chain.builder.account) - before
        state, ticks = read_pool(chain.node, pool, chain.head().number)
        assert (got, state) == (expected.amount_out, expected.pool)


@pytest.mark.parametrize("seed", range(3))
def test_v2_quotes_and_swaps_equal_the_router(chain: LocalChain, seed: int) -> None:
    rng = random.Random(300 + seed)
    market = chain.world.markets[seed % 2]
    pool = _pool(market, Version.V2)
    router = chain.world.routers.v2
    for _one in range(20):
        token_in, token_out = rng.sample([market.base, market.quote], 2)
        amount, path = _size(rng, token_in.decimals) + 10**13, [token_in.address, token_out.address]
        told = _AMOUNTS_OUT.answer(chain.node.call(router, _AMOUNTS_OUT.call(amount, path)))
        pair = read_pair(chain.node, pool, chain.head().number)
        out, after = pair.swapped(amount, zero_for_one=pool.zero_for_one(token_in.address))
        assert out == told[0][1]
        if out == 0:
            continue  # dust: the router refuses it
        before = chain.balance(token_out, chain.builder.account)
        account = chain.builder.account
        chain.builder.do(router, _V2_SWAP.call(amount, 1, path, account, 1 << 40))
        assert chain.balance(token_out, account) - before == out
        assert read_pair(chain.node, pool, chain.head().number) == after
        assert after.reserve0 * after.reserve1 >= pair.reserve0 * pair.reserve1


def test_a_donation_to_a_pair_does_not_change_what_it_pays(chain: LocalChain) -> None:
    market = chain.world.markets[0]
    pool = _pool(market, Version.V2)
    before = read_pair(chain.node, pool, chain.head().number)
    chain.builder.do(market.base.address, MINT.call(pool.address, 10**21))
    assert read_pair(chain.node, pool, chain.head().number) == before


def test_the_quote_token_lets_an_allowance_rise_only_from_zero(chain: LocalChain) -> None:
    token = chain.world.markets[0].quote
    approve = APPROVE.call(chain.world.routers.v2, UNLIMITED)
    tx = chain.builder.send(token.address, approve)
    receipt = chain.builder.receipt(tx)
    assert receipt is not None
    assert quantity(receipt["status"]) == 0
    assert bytes_of(chain.node.ask("eth_getCode", token.address, "latest"))


def test_units_and_amounts_of_tokens_are_exact(chain: LocalChain) -> None:
    token = chain.token("USDT")
    assert token.units(Decimal("0.0000019")) == 1
    assert token.amount(token.units(Decimal("123456789.123456"))) == Decimal("123456789.123456")
