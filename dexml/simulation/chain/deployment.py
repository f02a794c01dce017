"""What is deployed on a local chain: WETH, Uniswap V2 and V3, test tokens, pools with liquidity."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from eth_abi.abi import encode

from dexml.errors import EnvironmentRefused
from dexml.execution.abi import Method
from dexml.execution.market import Market, Pool, Routers, Token, Version
from dexml.execution.rpc import Node, bytes_of, quantity
from dexml.execution.uniswap.ticks import MAX_TICK, tick_at_sqrt_ratio
from dexml.simulation.chain.compiling import COMPILED

__all__ = ["APPROVE", "MINT", "UNLIMITED", "Hands", "World", "deploy"]

APPROVE = Method("approve", ("address", "uint256"))
MINT = Method("mint", ("address", "uint256"))
UNLIMITED = (1 << 256) - 1
_FOREVER = 1 << 40
_MINED_LIMIT_S = 20.0
_GAS = 6_000_000  # enough for every contract, and several fit into a block
_V3_FEE, _V3_SPACING = 500, 10
_RANGES = (MAX_TICK, 2_000, 400, 60)  # ticks on both sides of the price that hold liquidity

_GET_PAIR = Method("getPair", ("address", "address"), ("address",))
_GET_POOL = Method("getPool", ("address", "address", "uint24"), ("address",))
_ADD = Method("addLiquidity", ("address",) * 2 + ("uint256",) * 4 + ("address", "uint256"))
_CREATE_POOL = Method(
    "createAndInitializePoolIfNecessary", ("address", "address", "uint24", "uint160")
)
_POSITION = "(address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256)"
_ADD_POSITION = Method("mint", (_POSITION,))


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Addresses of what is deployed."""

    weth: str
    v2_factory: str
    v3_factory: str
    positions: str
    quoter: str
    routers: Routers
    markets: tuple[Market, ...]

    def market(self, instrument: str) -> Market:
        """Return a market by its instrument."""
        return next(one for one in self.markets if one.instrument == instrument)


class Hands:
    """An unlocked account of the local chain, which builds its world and moves its prices."""

    def __init__(self, node: Node, account: str) -> None:
        self.node, self.account = node, account

    def send(self, to: str | None, data: bytes) -> str:
        """Send a transaction and return its hash; it is mined when the chain mines."""
        message = {"from": self.account, "data": "0x" + data.hex(), "gas": hex(_GAS)}
        return str(self.node.ask("eth_sendTransaction", message | ({"to": to} if to else {})))

    def do(self, to: str, data: bytes) -> None:
        """Send a transaction to a chain that mines at once; raises if it reverts."""
        self._mined(self.send(to, data), to)

    def create(self, code: str, types: Sequence[str] = (), arguments: Sequence[Any] = ()) -> str:
        """Deploy a contract and return its address."""
        tx = self.send(None, bytes_of(code) + encode(types, arguments))
        return str(self._mined(tx, "a new contract")["contractAddress"])

    def _mined(self, tx: str, to: str) -> dict[str, Any]:
        receipt = self.receipt(tx)
        if receipt is None or quantity(receipt["status"]) != 1:
            was = "pending" if receipt is None else "reverted"
            raise EnvironmentRefused(f"set-up of {to}", "must succeed", was, "Mine at once.")
        return receipt

    def receipt(self, tx: str) -> dict[str, Any] | None:
        """Return the receipt of what a chain mines at once; None if it does not."""
        end = time.monotonic() + _MINED_LIMIT_S
        found: dict[str, Any] | None = None
        while found is None and time.monotonic() < end:
            found = self.node.ask("eth_getTransactionReceipt", tx)
            time.sleep(0 if found else 0.002)
        return found


def deploy(
    hands: Hands, folder: Path, prices: Mapping[str, Decimal], depth_quote: int, *, strict: bool
) -> World:
    """Deploy everything, with one V2 pair and one V3 pool for each instrument.

    Parameters
    ----------
    prices : mapping of instrument to Decimal
        Quote per base at which the pools start; all in one quote currency.
    depth_quote : int
        Whole quote tokens on each side of each V2 pair; as much again goes into each V3 pool.
    strict : bool
        Whether the quote token has the manners of USDT.
    """
    tokens = json.loads(COMPILED.read_text())["contracts"]
    contracts = _contracts(hands, folder)
    quote_symbol = next(iter(prices)).split("/")[1]
    quote = _token(hands, tokens["StrictToken" if strict else "TestToken"], quote_symbol, 6)
    markets = []
    for instrument, price in prices.items():
        base = _token(hands, tokens["TestToken"], instrument.split("/")[0], 18)
        _stock(hands, contracts, (base, quote))
        amounts = (base.units(depth_quote / price), quote.units(Decimal(depth_quote)))
        make = (_pair, _pool)
        pools = tuple(one(hands, contracts, base, quote, amounts) for one in make)
        markets.append(Market(instrument=instrument, base=base, quote=quote, pools=pools))
    return World(
        weth=contracts["WETH9"],
        v2_factory=contracts["UniswapV2Factory"],
        v3_factory=contracts["UniswapV3Factory"],
        positions=contracts["NonfungiblePositionManager"],
        quoter=contracts["QuoterV2"],
        routers=Routers(v2=contracts["UniswapV2Router02"], v3=contracts["SwapRouter02"]),
        markets=tuple(markets),
    )


def _contracts(hands: Hands, folder: Path) -> dict[str, str]:
    made: dict[str, str] = {}

    def create(name: str, *arguments: str) -> None:
        code = json.loads((folder / f"{name}.json").read_text())["bytecode"]
        values = [made.get(one, one) for one in arguments]
        made[name] = hands.create(code, ["address"] * len(values), values)

    create("WETH9")
    create("UniswapV2Factory", hands.account)
    create("UniswapV2Router02", "UniswapV2Factory", "WETH9")
    create("UniswapV3Factory")
    create("NonfungiblePositionManager", "UniswapV3Factory", "WETH9", hands.account)
    create("QuoterV2", "UniswapV3Factory", "WETH9")
    create(
        "SwapRouter02",
        *("UniswapV2Factory", "UniswapV3Factory", "NonfungiblePositionManager", "WETH9"),
    )
    return made


def _token(hands: Hands, artifact: dict[str, Any], symbol: str, decimals: int) -> Token:
    arguments = (f"Test {symbol}", symbol, decimals)
    address = hands.create(artifact["bytecode"], ("string", "string", "uint8"), arguments)
    return Token(symbol=symbol, address=address, decimals=decimals)


def _stock(hands: Hands, contracts: Mapping[str, str], tokens: Sequence[Token]) -> None:
    spenders = ("UniswapV2Router02", "SwapRouter02", "NonfungiblePositionManager")
    for token in tokens:
        hands.do(token.address, MINT.call(hands.account, 10**60))
        for spender in spenders:
            for value in (0, UNLIMITED):  # strict tokens let an allowance rise only from zero
                hands.do(token.address, APPROVE.call(contracts[spender], value))


def _pair(
    hands: Hands, contracts: Mapping[str, str], base: Token, quote: Token, amounts: tuple[int, int]
) -> Pool:
    tokens = (base.address, quote.address)
    supply = _ADD.call(*tokens, *amounts, 0, 0, hands.account, _FOREVER)
    hands.do(contracts["UniswapV2Router02"], supply)
    found = hands.node.call(contracts["UniswapV2Factory"], _GET_PAIR.call(*tokens))
    token0, token1 = _sorted(tokens)
    (address,) = _GET_PAIR.answer(found)
    return Pool(version=Version.V2, address=address, token0=token0, token1=token1)


def _pool(
    hands: Hands, contracts: Mapping[str, str], base: Token, quote: Token, amounts: tuple[int, int]
) -> Pool:
    tokens = (base.address, quote.address)
    token0, token1 = _sorted(tokens)
    amount0, amount1 = amounts if token0 == tokens[0] else amounts[::-1]
    price = math.isqrt((amount1 << 192) // amount0)
    manager = contracts["NonfungiblePositionManager"]
    hands.do(manager, _CREATE_POOL.call(token0, token1, _V3_FEE, price))
    at = tick_at_sqrt_ratio(price) // _V3_SPACING * _V3_SPACING
    for reach in _RANGES:
        low, high = (_within(at + side * reach) for side in (-1, 1))
        share = (amount0 // len(_RANGES), amount1 // len(_RANGES))
        place = (token0, token1, _V3_FEE, low, high, *share, 0, 0, hands.account, _FOREVER)
        hands.do(manager, _ADD_POSITION.call(place))
    found = hands.node.call(contracts["UniswapV3Factory"], _GET_POOL.call(token0, token1, _V3_FEE))
    (address,) = _GET_POOL.answer(found)
    return Pool(
        version=Version.V3,
        address=address,
        token0=token0,
        token1=token1,
        fee_pips=_V3_FEE,
        tick_spacing=_V3_SPACING,
    )


def _within(tick: int) -> int:
    end = MAX_TICK // _V3_SPACING * _V3_SPACING
    return max(-end, min(end, tick // _V3_SPACING * _V3_SPACING))


def _sorted(tokens: tuple[str, str]) -> tuple[str, str]:
    first, second = sorted(tokens, key=lambda address: int(address, 16))
    return first, second
