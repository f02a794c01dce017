from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from dexml.assessment import assess
from dexml.book.standing import MOST_INSTRUMENTS, correlations, stress_losses
from dexml.costs import exit_cost
from dexml.errors import DataError
from dexml.risk.episodes import EPISODES
from dexml.state import State
from tests.planted_track import planted_state


def with_returns(state: State, **columns: list[float | None]) -> State:
    for coin, values in columns.items():
        book = state.book(f"{coin}/USDT")
        assert book is not None
        state = state.having(replace(book, returns=tuple(values)))
    return state


def returns_of(state: State, coin: str) -> np.ndarray:
    book = state.book(f"{coin}/USDT")
    assert book is not None
    return np.array(book.returns, dtype=float)


def test_each_stress_loss_is_that_of_a_calculation_by_hand() -> None:
    state = planted_state(4)  # BTC and DOGE: 30 at 100 each, 4,200 in cash: 10,200
    held = {book.instrument for book in state.books if book.position}
    assert held == {"BTC/USDT", "DOGE/USDT"}
    losses = {one.scenario: one for one in stress_losses(state, assess(state))}
    costs = state.config.costs
    assert losses["all -40%"].market == pytest.approx(0.4 * 6_000 / 10_200)
    assert losses["all -40%"].leaving == pytest.approx(2 * exit_cost(1_800, costs) / 10_200)
    assert losses["all -40%"].quote == 0
    assert losses["stablecoin depeg"].quote == pytest.approx(0.12 * 4_200 / 10_200)
    luna = next(one for one in EPISODES if one.name == "2022-05 Luna and UST")
    moved = 3_000 * (luna.moves["BTC"] + luna.moves["DOGE"])
    assert losses[luna.name].market == pytest.approx(-moved / 10_200)
    daily = [np.sqrt((returns_of(state, coin) ** 2).mean() * 24) for coin in ("BTC", "DOGE")]
    assert losses["correlation to one, -3 sigma"].market == pytest.approx(
        3 * 3_000 * sum(daily) / 10_200
    )
    dry = replace(costs, pool_depth_usd=costs.pool_depth_usd // 10)
    assert losses["pool liquidity -90%"].total == pytest.approx(2 * exit_cost(3_000, dry) / 10_200)


def test_the_worst_scenario_stands_first() -> None:
    state = planted_state(4)
    totals = [one.total for one in stress_losses(state, assess(state))]
    assert totals == sorted(totals, reverse=True)


def test_a_book_of_cash_can_only_lose_its_stablecoin() -> None:
    state = planted_state(2)
    for book in state.books:
        state = state.having(replace(book, position=None))
    losses = stress_losses(state, assess(state))
    assert {one.scenario for one in losses if one.total > 0} == {
        "stablecoin depeg",
        "all at once",
        "2023-03 USDC depeg",
    }
    assert losses[0].total == pytest.approx(0.12)


def test_without_returns_no_day_of_correlation_one_is_made_up() -> None:
    state = planted_state(2, n_bars=19)
    names = {one.scenario for one in stress_losses(state, assess(state))}
    assert not any("sigma" in name for name in names)
    assert "all -40%" in names
    known = planted_state(2, n_bars=20)
    assert any("sigma" in one.scenario for one in stress_losses(known, assess(known)))


def test_a_book_without_equity_is_not_stressed() -> None:
    state = replace(planted_state(1), cash=Decimal(-3_000))
    with pytest.raises(DataError, match="equity under stress"):
        stress_losses(state, assess(planted_state(1)))


def test_correlations_are_those_of_numpy() -> None:
    state = planted_state(4)
    found = correlations(assess(state))
    assert found["instruments"] == ["BTC/USDT", "DOGE/USDT", "ETH/USDT", "SOL/USDT"]
    table = np.corrcoef([returns_of(state, coin) for coin in ("BTC", "DOGE", "ETH", "SOL")])
    assert np.allclose(found["matrix"], table, atol=1e-12)
    assert (found["n_bars"], found["n_instruments"]) == (768, 4)


def test_what_is_held_stands_first_and_sixteen_at_most() -> None:
    state = planted_state(40)
    book = state.books[-1]
    state = state.having(replace(book, position=state.books[0].position))
    found = correlations(assess(state))
    held = [one.instrument for one in state.books if one.position]
    assert set(found["instruments"][:3]) == set(held)
    assert len(found["instruments"]) == len(found["matrix"]) == MOST_INSTRUMENTS
    assert found["n_instruments"] == 40


def test_one_instrument_has_nothing_to_correlate_with() -> None:
    found = correlations(assess(planted_state(1)))
    assert (found["matrix"], found["p_value"]) == (None, None)
    assert found["note"] == "Two instruments with 20 returns are needed: 1 of 1."


def test_what_stands_still_or_was_hardly_seen_is_left_out() -> None:
    still: list[float | None] = [0.001] * 768
    seldom: list[float | None] = [None] * 749 + [0.01, -0.02] * 9 + [0.01]
    state = with_returns(planted_state(4), SOL=still, ETH=seldom)
    assert correlations(assess(state))["instruments"] == ["BTC/USDT", "DOGE/USDT"]


def test_holes_are_no_diversification_and_the_test_leaves_them_out() -> None:
    state = planted_state(2)
    whole = returns_of(state, "BTC").tolist()
    same: list[float | None] = [None if k % 50 == 7 else 2 * whole[k] for k in range(768)]
    found = correlations(assess(with_returns(state, ETH=[2 * x for x in whole])))
    assert found["matrix"][0][1] == pytest.approx(1.0)
    holed = correlations(assess(with_returns(state, ETH=same)))
    assert holed["matrix"][0][1] > 0.97
    assert "and the 584 before" in holed["note"]  # 768 - 168 - 16 holes


@pytest.mark.parametrize(("n_bars", "tested"), [(191, False), (192, True)])
def test_a_change_is_tested_only_with_enough_bars(n_bars: int, tested: bool) -> None:
    found = correlations(assess(planted_state(2, n_bars=n_bars)))
    assert (found["p_value"] is not None) == tested
    if not tested:
        said = "192 are needed in which all were seen, 191 so far"
        assert found["note"] == f"Too few bars to test for a change: {said}."


def test_a_planted_change_is_seen_and_an_unchanged_market_is_not_called_changed() -> None:
    rng = np.random.default_rng(8)
    first = rng.normal(0, 0.01, 768)
    second = np.where(np.arange(768) < 600, first, -first) + rng.normal(0, 0.002, 768)
    state = planted_state(2)
    changed = correlations(assess(with_returns(state, BTC=first.tolist(), ETH=second.tolist())))
    assert changed["p_value"] == pytest.approx(0.005)
    assert "more than chance makes them" in changed["note"]
    assert "no more than chance" in correlations(assess(planted_state(2, seed=11)))["note"]
