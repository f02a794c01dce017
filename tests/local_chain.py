"""A local chain for tests; in CI its absence is a failure, not a skip."""

from __future__ import annotations

import os
from collections.abc import Iterator
from decimal import Decimal

import pytest

from dexml.errors import EnvironmentRefused
from dexml.simulation.chain import LocalChain
from dexml.simulation.chain.packages import cache_folder, fetched

PRICES = {"ETH/USDT": Decimal("2512.34"), "BTC/USDT": Decimal("40123.45")}


@pytest.fixture(scope="session")
def _one_chain() -> Iterator[LocalChain]:
    try:
        fetched(cache_folder())
    except EnvironmentRefused as missing:
        if os.environ.get("DEXML_REQUIRE_COMPONENTS"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    with LocalChain(PRICES, depth_quote=5_000_000) as chain:
        yield chain


@pytest.fixture
def chain(_one_chain: LocalChain) -> Iterator[LocalChain]:
    """Return a chain whose blocks are mined at once; what a test does to it is undone."""
    before = _one_chain.snapshot()
    yield _one_chain
    _one_chain.mine_at_once(True)
    _one_chain.revert(before)
    _one_chain.set_base_fee(10**9)
