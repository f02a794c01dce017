"""A chain on this machine with a world on it, started in less than a second from a cached state."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import TypeAdapter

from dexml.execution.abi import Method
from dexml.execution.market import Token
from dexml.execution.rpc import Block, Node
from dexml.folders import write_durably
from dexml.simulation.chain.anvil import CHAIN_ID, GENESIS_AT, Anvil
from dexml.simulation.chain.compiling import COMPILED
from dexml.simulation.chain.deployment import MINT, Hands, World, deploy
from dexml.simulation.chain.packages import PACKAGES, cache_folder

__all__ = ["LocalChain"]

BLOCK_S = 12
BASE_FEE_WEI = 10**9
_BALANCE = Method("balanceOf", ("address",), ("uint256",))
_STATE_VERSION = 1
_WORLD = TypeAdapter(World)


class LocalChain:
    """Anvil with WETH, Uniswap V2 and V3, and pools of test tokens; a context that ends it.

    The chain's time is its own: it starts in 2024 and each block is 12 seconds after the last.

    Parameters
    ----------
    prices : mapping of instrument to Decimal
        Quote per base at which the pools start.
    depth_quote : int
        Whole quote tokens on each side of each pair.
    strict : bool
        Whether the quote token has the manners of USDT.
    folder : Path, optional
        Where `fetch` keeps the packages; the state is cached there too.

    Raises
    ------
    EnvironmentRefused
        If the packages are not there (it says how to get them) or anvil does not start.
    """

    def __init__(
        self,
        prices: Mapping[str, Decimal],
        depth_quote: int = 5_000_000,
        *,
        strict: bool = True,
        folder: Path | None = None,
    ) -> None:
        folder = folder or cache_folder()
        self._anvil = Anvil(folder)
        try:
            accounts = self.node.ask("eth_accounts")
            self.builder, self.trader = (Hands(self.node, one) for one in accounts[:2])
            wanted = {one: str(price) for one, price in prices.items()}
            known = [_STATE_VERSION, wanted, depth_quote, strict, GENESIS_AT]
            state = folder / f"state-{_digest(known)}.json"
            if not self._loaded(state):
                self.world = deploy(self.builder, folder, prices, depth_quote, strict=strict)
                self._keep(state)
            self.node.ask("anvil_setBlockTimestampInterval", BLOCK_S)
            self.set_base_fee(BASE_FEE_WEI)
        except BaseException:
            self.close()
            raise

    chain_id = CHAIN_ID

    @property
    def url(self) -> str:
        """Address of its JSON-RPC."""
        return self._anvil.url

    @property
    def node(self) -> Node:
        return self._anvil.node

    @property
    def pid(self) -> int:
        """Number of its process."""
        return self._anvil.pid

    def mine(self, n_blocks: int = 1) -> None:
        """Mine blocks, each with what waits for it."""
        for _one in range(n_blocks):
            self.node.ask("evm_mine")

    def mine_at_once(self, wanted: bool) -> None:
        """Mine each transaction as it comes, or only when `mine` is called."""
        self.node.ask("evm_setAutomine", wanted)

    def mine_every(self, seconds: int) -> None:
        """Mine a block each so many seconds of the wall clock; 0: never by itself."""
        self.node.ask("evm_setIntervalMining", seconds)

    def snapshot(self) -> str:
        """Return the name of the present, to which `revert` goes back once."""
        return str(self.node.ask("evm_snapshot"))

    def revert(self, snapshot: str) -> None:
        """Go back, and forget what waits to be mined."""
        self.node.ask("anvil_dropAllTransactions")
        self.node.ask("evm_revert", snapshot)

    def reorganise(self, depth: int) -> None:
        """Replace the newest blocks by empty ones; what was in them is lost."""
        self.node.ask("anvil_reorg", depth, [])

    def set_base_fee(self, wei: int) -> None:
        """Set the base fee of the next block."""
        self.node.ask("anvil_setNextBlockBaseFeePerGas", hex(wei))

    def head(self) -> Block:
        """Return the newest block."""
        found = self.node.block()
        assert found is not None
        return found

    def fund(self, account: str, wei: int, amounts: Mapping[str, Decimal]) -> None:
        """Give an account ether, and tokens by address of its token's symbol."""
        self.node.ask("anvil_setBalance", account, hex(wei))
        for symbol, amount in amounts.items():
            token = self.token(symbol)
            self.builder.do(token.address, MINT.call(account, token.units(amount)))

    def token(self, symbol: str) -> Token:
        """Return a token of a market by its symbol."""
        every = (token for one in self.world.markets for token in (one.base, one.quote))
        return next(token for token in every if token.symbol == symbol)

    def balance(self, token: Token, account: str) -> int:
        """Return what an account holds, in smallest units."""
        return int(_BALANCE.answer(self.node.call(token.address, _BALANCE.call(account)))[0])

    def close(self) -> None:
        """End the chain."""
        self._anvil.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def _loaded(self, state: Path) -> bool:
        if not state.is_file():
            return False
        kept = json.loads(state.read_text())
        self.world = _WORLD.validate_python(kept["world"])
        return bool(self.node.ask("anvil_loadState", kept["state"]))

    def _keep(self, state: Path) -> None:
        kept = {
            "world": _WORLD.dump_python(self.world, mode="json"),
            "state": self.node.ask("anvil_dumpState"),
        }
        write_durably(state, json.dumps(kept).encode())


def _digest(known: list[Any]) -> str:
    packages = [one.sha256 for one in PACKAGES]
    source = Path(__file__).with_name("deployment.py").read_bytes() + COMPILED.read_bytes()
    told = json.dumps([known, packages]).encode() + source
    return hashlib.sha256(told).hexdigest()[:16]
