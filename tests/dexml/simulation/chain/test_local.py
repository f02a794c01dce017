from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from dexml.errors import EnvironmentRefused
from dexml.execution.market import Token, Version
from dexml.execution.uniswap.reading import read_pair, read_pool
from dexml.simulation.chain import LocalChain, cache_folder
from dexml.simulation.chain.packages import PACKAGES

_HOLDS_A_CHAIN = """
import sys, time
from decimal import Decimal
from dexml.simulation.chain import LocalChain
chain = LocalChain({"ETH/USDT": Decimal("2512.34"), "BTC/USDT": Decimal("40123.45")})
print(chain.pid, flush=True)
time.sleep(600)
"""


def test_pools_start_at_the_price_asked_for(chain: LocalChain) -> None:
    market = chain.world.market("ETH/USDT")
    number = chain.head().number
    for pool in market.pools:
        if pool.version is Version.V2:
            pair = read_pair(chain.node, pool, number)
            ratio = Decimal(pair.reserve1) / Decimal(pair.reserve0)
        else:
            state, _ticks = read_pool(chain.node, pool, number)
            ratio = (Decimal(state.sqrt_price_x96) / 2**96) ** 2
        of_base = ratio if pool.zero_for_one(market.base.address) else 1 / ratio
        price = of_base.scaleb(market.base.decimals - market.quote.decimals)
        assert abs(price / Decimal("2512.34") - 1) < Decimal("1e-6")


def test_a_cached_state_is_the_deployed_one(chain: LocalChain, tmp_path: Path) -> None:
    for package in PACKAGES:
        for _inside, name in package.kept:
            shutil.copy(cache_folder() / name, tmp_path / name)
    prices = {"ETH/USDT": Decimal(2_000)}
    worlds, held = [], []
    for _one in ("deployed", "loaded"):
        with LocalChain(prices, 1_000, folder=tmp_path) as other:
            worlds.append(other.world)
            account = other.builder.account
            held.append([other.balance(token, account) for token in _tokens(other)])
            held[-1].append(other.head().number)
    assert worlds[0] == worlds[1]
    assert held[0] == held[1]
    assert len(list(tmp_path.glob("state-*.json"))) == 1


def _tokens(chain: LocalChain) -> list[Token]:
    return [token for one in chain.world.markets for token in (one.base, one.quote)]


def test_blocks_are_twelve_seconds_apart_on_the_chains_own_clock(chain: LocalChain) -> None:
    before = chain.head()
    chain.mine(3)
    after = chain.head()
    assert after.number - before.number == 3
    assert after.timestamp - before.timestamp == 36


def test_a_reorganisation_takes_back_what_was_mined(chain: LocalChain) -> None:
    token, account = chain.token("USDT"), "0x" + "ab" * 20
    chain.mine(2)
    chain.fund(account, 1, {"USDT": Decimal(5)})
    assert chain.balance(token, account) == 5_000_000
    old = chain.head()
    chain.reorganise(1)
    new = chain.head()
    assert (new.number, new.hash != old.hash) == (old.number, True)
    assert chain.balance(token, account) == 0


def test_without_the_packages_it_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentRefused, match="Run dexml chain fetch"):
        LocalChain({"ETH/USDT": Decimal(2_000)}, folder=tmp_path)


def test_a_binary_that_does_not_run_is_said_in_a_sentence(tmp_path: Path) -> None:
    for package in PACKAGES:
        for _inside, name in package.kept:
            (tmp_path / name).write_text("no program")
            (tmp_path / name).chmod(0o755)
    with pytest.raises(EnvironmentRefused, match="anvil must start on the loopback"):
        LocalChain({"ETH/USDT": Decimal(2_000)}, folder=tmp_path)


def test_the_chain_dies_with_its_parent(chain: LocalChain) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _HOLDS_A_CHAIN], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    end = time.monotonic() + 30
    while _alive(child) and time.monotonic() < end:
        time.sleep(0.02)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_nothing_of_the_fetched_packages_is_committed() -> None:
    folder = Path(__file__).resolve().parents[4] / "dexml" / "simulation" / "chain"
    names = {path.name for path in folder.rglob("*") if path.suffix not in (".py", ".pyc")}
    assert names - {"__pycache__"} == {"contracts", "TestTokens.sol", "TestTokens.json"}
    compiled = json.loads((folder / "contracts" / "TestTokens.json").read_text())
    assert set(compiled["contracts"]) == {"TestToken", "StrictToken"}


def test_contracts_outlive_a_reorganisation_however_long_the_chain_has_lived(
    chain: LocalChain,
) -> None:
    quote = chain.world.market("ETH/USDT").quote
    for _ in range(100):
        before = chain.snapshot()
        chain.mine(8)
        chain.node.ask("anvil_reorg", 3, [])
        chain.mine()
        assert len(chain.node.ask("eth_getCode", quote.address, "latest")) > 1_000
        chain.revert(before)
