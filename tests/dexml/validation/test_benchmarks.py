from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.errors import DataError
from dexml.validation.benchmarks import always_flat, buy_and_hold, random_entry, strategy_returns
from dexml.validation.performance import exposure, turnover

held = st.lists(st.sampled_from([0.0, 0.0, 0.0, 1.0, -0.5]), min_size=1, max_size=40)


def spells(positions: np.ndarray) -> list[tuple[float, ...]]:
    found: list[list[float]] = [[]]
    for position in positions.tolist():
        if position:
            found[-1].append(position)
        elif found[-1]:
            found.append([])
    return sorted(tuple(one) for one in found if one)


@given(held, st.integers(0, 50))
def test_random_entry_keeps_every_spell_and_so_exposure_and_turnover(
    positions: list[float], seed: int
) -> None:
    drawn = random_entry(positions, seed)
    assert len(drawn) == len(positions)
    assert spells(drawn) == spells(np.array(positions))
    assert exposure(drawn) == pytest.approx(exposure(positions))
    closed, original = (turnover([*one, 0.0]) for one in (drawn, positions))
    assert closed == pytest.approx(original)


def test_every_placement_is_equally_likely() -> None:
    seen: dict[tuple[float, ...], int] = {}
    for seed in range(3_000):
        drawn = tuple(random_entry([1.0, 0.0, 0.0, 0.0, -1.0, -1.0], seed).tolist())
        seen[drawn] = seen.get(drawn, 0) + 1
    # Two spells in two orders, two spare flat bars in three gaps: 2 x 6.
    assert len(seen) == 12
    assert max(seen.values()) < 1.4 * min(seen.values())


def test_instruments_are_moved_by_themselves() -> None:
    positions = np.zeros((60, 2))
    positions[5:8] = 1.0
    drawn = [random_entry(positions, seed) for seed in range(20)]
    assert all(one.shape == (60, 2) for one in drawn)
    assert any((one[:, 0] != one[:, 1]).any() for one in drawn)
    np.testing.assert_array_equal(drawn[3], random_entry(positions, 3))


def test_a_position_that_is_never_left_cannot_be_moved() -> None:
    assert random_entry([1.0, 0.5, 1.0]).tolist() == [1.0, 0.5, 1.0]
    assert random_entry([0.0, 0.0]).tolist() == [0.0, 0.0]


def test_buying_and_holding_is_money_in_each_instrument() -> None:
    returns = np.random.default_rng(0).normal(0.0, 0.05, size=(50, 3))
    money = 0.999 * (1 + returns).cumprod(axis=0).mean(axis=1)
    found = buy_and_hold(returns, cost=0.001)
    np.testing.assert_allclose(np.cumprod(1 + found), money, rtol=1e-12)


def test_holding_one_instrument_in_full_is_its_return_less_the_cost_of_buying_it() -> None:
    returns = np.array([0.1, -0.2, 0.3])
    found = strategy_returns(np.ones(3), returns, cost=0.01)
    np.testing.assert_allclose(found, [0.1 - 0.01, -0.2, 0.3])
    np.testing.assert_allclose(buy_and_hold(returns[:, None]), returns)


def test_what_is_traded_costs_on_every_instrument_and_on_the_way_out() -> None:
    positions = [[0.5, 0.0], [0.0, -0.5]]
    returns = [[0.1, 9.0], [9.0, 0.1]]
    found = strategy_returns(positions, returns, cost=0.02)
    np.testing.assert_allclose(found, [0.05 - 0.01, -0.05 - 0.02])


def test_always_flat_earns_nothing() -> None:
    assert always_flat(3).tolist() == [0.0, 0.0, 0.0]
    with pytest.raises(DataError, match="n_bars must be at least 1, was 0"):
        always_flat(0)


def test_what_cannot_be_traded_is_refused() -> None:
    with pytest.raises(DataError, match="positions and returns must have one shape"):
        strategy_returns([1.0], [0.1, 0.2])
    with pytest.raises(DataError, match=r"cost must be a fraction in \[0, 1\), was 10"):
        strategy_returns([1.0], [0.1], cost=10)
    with pytest.raises(DataError, match=r"cost must be a fraction in \[0, 1\), was -0.1"):
        buy_and_hold([[0.1]], cost=-0.1)
    with pytest.raises(DataError, match="positions must be given and finite"):
        random_entry([])
