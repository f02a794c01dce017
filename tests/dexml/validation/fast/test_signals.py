from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.errors import DataError
from dexml.validation.fast.signals import Exits, Prices, signal_equity


def prices(seed: int, n: int) -> Prices:
    generator = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(generator.normal(0, 0.02, n)))
    fill = np.append(close[:-1] * np.exp(generator.normal(0, 0.005, n - 1)), close[-1])
    reach = 1 + np.abs(generator.normal(0, 0.01, (2, n)))
    return Prices(
        fill, np.minimum(fill, close) / reach[0], np.maximum(fill, close) * reach[1], close
    )


def by_hand(
    market: Prices, entries: np.ndarray, exits: np.ndarray, fee: float, levels: Exits
) -> list[float]:
    cash, coins, bought_at, worth = 100.0, 0.0, 0.0, []
    for t in range(len(market.close)):
        sold_at = None
        if coins and market.low[t] <= bought_at * (1 - levels.stop):
            sold_at = market.low[t]
        elif coins and market.high[t] >= bought_at * (1 + levels.target):
            sold_at = bought_at * (1 + levels.target)
        elif coins and exits[t] and not entries[t]:
            sold_at = market.fill[t]
        elif not coins and entries[t] and not exits[t]:
            bought_at = market.fill[t]
            cash, coins = 0.0, cash / (bought_at * (1 + fee))
        if sold_at is not None:
            cash, coins = coins * sold_at * (1 - fee), 0.0
        worth.append(cash + coins * market.close[t])
    return worth


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(2, 120),
    fee=st.sampled_from([0.0, 0.001, 0.01]),
    stop=st.sampled_from([np.inf, 0.03, 0.01]),
    target=st.sampled_from([np.inf, 0.05, 0.01]),
)
@settings(max_examples=60, deadline=None)
def test_the_equity_is_that_of_the_trades_by_hand(
    seed: int, n: int, fee: float, stop: float, target: float
) -> None:
    market, levels = prices(seed, n), Exits(stop, target)
    entries, exits = np.random.default_rng(seed).random((2, 3, n)) < 0.2
    found = signal_equity(market, entries, exits, fee, levels)
    expected = [by_hand(market, *pair, fee, levels) for pair in zip(entries, exits, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_bar_that_touches_stop_and_target_is_paid_at_its_low() -> None:
    close = np.array([100.0, 100.0])
    market = Prices(close, np.array([100.0, 80.0]), np.array([100.0, 120.0]), close)
    found = signal_equity(market, [[True, False]], [[False, False]], levels=Exits(0.1, 0.1))
    assert found.tolist() == [[100.0, 80.0]]


@pytest.mark.parametrize(
    ("entries", "fee", "message"),
    [([[True]], 0.0, "signals must be"), ([[True] * 3], 1.0, "prices, fee and cash must be pos")],
)
def test_bad_input_is_named(entries: list[list[bool]], fee: float, message: str) -> None:
    with pytest.raises(DataError, match=message):
        signal_equity(prices(0, 3), entries, entries, fee)


def test_a_missing_price_is_named() -> None:
    market = prices(0, 3)._replace(low=np.array([1.0, np.nan, 1.0]))
    with pytest.raises(DataError, match="low must be given and finite"):
        signal_equity(market, [[True] * 3], [[False] * 3])
