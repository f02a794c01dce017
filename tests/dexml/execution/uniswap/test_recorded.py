"""Every swap that a pool of the main chain recorded comes out again, to the integer."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dexml.execution.uniswap.ticks import (
    MIN_SQRT_RATIO,
    MIN_TICK,
    TickTable,
    sqrt_ratio_at_tick,
    tick_at_sqrt_ratio,
)
from dexml.execution.uniswap.v3 import PoolState, amount0_delta, swap

pytestmark = pytest.mark.shared
_BURN = 2


def _events(folder: Path) -> list[dict[str, Any]]:
    liquidity = pd.read_parquet(folder / "uniswap_v3_weth_ens_03_liquidity_events.parquet")
    swaps = pd.read_parquet(folder / "uniswap_v3_weth_ens_03_swap_events.parquet")
    rows = liquidity.to_dict("records") + swaps.to_dict("records")
    return sorted(rows, key=lambda one: (one["block_number"], one["log_index"]))


def _provided(pool: PoolState, nets: Counter[int], event: dict[str, Any]) -> PoolState:
    amount = int(event["liquidity"]) * (-1 if event["type"] == _BURN else 1)
    low, high = int(event["tick_lower"]), int(event["tick_upper"])
    nets[low] += amount
    nets[high] -= amount
    in_range = low <= pool.tick < high
    return replace(pool, liquidity=pool.liquidity + amount) if in_range else pool


def test_a_recorded_pool_replays_to_the_exact_integers(shared: Path) -> None:
    # nothing is known of the first price but that it was below all liquidity: any such price does
    pool = PoolState(
        sqrt_price_x96=MIN_SQRT_RATIO + 1,
        tick=MIN_TICK,
        liquidity=0,
        fee_pips=3_000,
        tick_spacing=60,
    )
    nets: Counter[int] = Counter()
    replayed = 0
    for event in _events(shared / "data" / "dex"):
        if "type" in event:
            pool = _provided(pool, nets, event)
            continue
        amounts = (int(event["amount0"]), int(event["amount1"]))
        zero_for_one = amounts[0] > 0
        ticks = TickTable({tick: net for tick, net in nets.items() if net}, spacing=60)
        done = swap(pool, ticks, int(event["amount_specified"]), zero_for_one=zero_for_one)
        pool = done.pool
        moved = (done.amount_in, -done.amount_out)
        assert (moved if zero_for_one else moved[::-1]) == amounts, event["id"]
        recorded = tuple(int(event[one]) for one in ("sqrt_price_x96", "liquidity", "tick"))
        assert (pool.sqrt_price_x96, pool.liquidity, pool.tick) == recorded, event["id"]
        replayed += 1
    assert replayed == 63


def test_the_ticks_of_recorded_pools_add_up_to_their_liquidity(shared: Path) -> None:
    path = shared / "data" / "dex" / "uniswap_v3_pool_state_snapshots.json.gz"
    for kept in json.loads(gzip.decompress(path.read_bytes())):
        nets = {one["key"]: int(one["value"]["liquidityNet"]) for one in kept["ticks"]}
        price, tick = int(kept["sqrtPriceX96"]), int(kept["tickCurrent"])
        assert tick_at_sqrt_ratio(price) == tick
        assert sum(net for at, net in nets.items() if at <= tick) == int(kept["liquidity"])
        pool = PoolState(
            sqrt_price_x96=price,
            tick=tick,
            liquidity=int(kept["liquidity"]),
            fee_pips=kept["fee"],
            tick_spacing=kept["tickSpacing"],
        )
        _there_and_back(pool, TickTable(nets, kept["tickSpacing"]))


def _there_and_back(pool: PoolState, ticks: TickTable) -> None:
    into_range = amount0_delta(
        sqrt_ratio_at_tick(pool.tick - 5_000), pool.sqrt_price_x96, pool.liquidity, up=True
    )
    there = swap(pool, ticks, into_range, zero_for_one=True)
    back = swap(there.pool, ticks, there.amount_out, zero_for_one=False)
    assert there.n_crossed > 3
    assert back.amount_out < into_range  # the fee is lost twice
    assert there.pool.sqrt_price_x96 < back.pool.sqrt_price_x96 < pool.sqrt_price_x96
