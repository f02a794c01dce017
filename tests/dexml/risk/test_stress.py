from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.costs import CostConfig, exit_cost
from dexml.errors import ConfigError, DataError
from dexml.risk.episodes import EPISODES
from dexml.risk.stress import Scenario, from_episode, library, stress, stress_table, together

BOOK = {"BTC/USDT": 3_000.0, "SOL/USDT": 1_000.0, "NEW/USDT": 1_000.0}
CASH = 5_000.0
COSTS = CostConfig()
VOLATILITIES = {"BTC/USDT": 0.03, "SOL/USDT": 0.06, "NEW/USDT": 0.50}
LIBRARY = {one.name: one for one in library(VOLATILITIES)}


def test_the_library_holds_every_stress_that_was_promised() -> None:
    assert set(LIBRARY) == {
        "all -10%", "all -20%", "all -40%", "all +20%",
        "correlation to one, -3 sigma", "correlation to one, +3 sigma",
        "pool liquidity -90%", "gas x50", "stablecoin depeg", "all at once",
        "2020-03 covid crash", "2021-05 deleveraging", "2022-05 Luna and UST", "2022-11 FTX",
        "2023-03 USDC depeg",
    }  # fmt: skip


def test_an_episode_takes_what_each_coin_lost_then() -> None:
    loss = stress(LIBRARY["2022-11 FTX"], BOOK, CASH, COSTS)
    # NEW has no record of it and falls as the worst that has: SOL
    assert loss.market == pytest.approx((3_000 * 0.249 + 1_000 * 0.693 + 1_000 * 0.693) / 10_000)
    assert loss.quote == 0


def test_when_all_correlations_are_one_everything_moves_by_its_own_size() -> None:
    falls, rises = together(VOLATILITIES)
    assert stress(falls, BOOK, CASH, COSTS).market == pytest.approx(
        (3_000 * 0.09 + 1_000 * 0.18 + 1_000 * 1.0) / 10_000  # nothing falls by more than all
    )
    assert stress(rises, {"BTC/USDT": -1_000.0}, 2_000.0, COSTS).market == pytest.approx(0.09)
    assert falls.move_of("DOGE/USDT") == -1.0
    assert [one.others for one in together({})] == [0, 0]


def test_a_dry_pool_makes_leaving_dearer_and_moves_no_price() -> None:
    calm, dry = (
        stress(one, BOOK, CASH, COSTS)
        for one in (Scenario(name="calm"), LIBRARY["pool liquidity -90%"])
    )
    assert (calm.market, dry.market) == (0, 0)
    expected = sum(exit_cost(value, CostConfig(pool_depth_usd=500_000)) for value in BOOK.values())
    assert dry.leaving == pytest.approx(expected / 10_000)
    assert dry.leaving > 1.5 * calm.leaving


def test_gas_is_paid_once_for_each_position() -> None:
    calm, dear = (
        stress(one, BOOK, CASH, COSTS) for one in (Scenario(name="calm"), LIBRARY["gas x50"])
    )
    assert dear.leaving - calm.leaving == pytest.approx(3 * 49 * 0.05 / 10_000)


def test_a_stablecoin_that_falls_takes_from_the_cash() -> None:
    loss = stress(LIBRARY["stablecoin depeg"], BOOK, CASH, COSTS)
    assert (loss.market, loss.quote) == (0, pytest.approx(0.06))
    assert stress(LIBRARY["stablecoin depeg"], {"BTC/USDT": 20.0}, -10.0, COSTS).quote == 0


@given(
    st.dictionaries(st.sampled_from(["BTC/USDT", "SOL/USDT", "X/USDT"]), st.floats(0, 1e6)),
    st.floats(1, 1e6),
)
def test_a_long_book_loses_no_more_than_it_has_and_the_worst_comes_first(
    positions: dict[str, float], cash: float
) -> None:
    table = stress_table(
        library(VOLATILITIES), positions, cash, CostConfig(gas_per_swap_usd=Decimal(0))
    )
    totals = [loss.total for loss in table]
    assert totals == sorted(totals, reverse=True)
    assert len(table) == len(LIBRARY)
    assert totals[0] <= 1 + 1e-9
    assert all(loss.leaving >= 0 and loss.quote >= 0 for loss in table)


def test_a_book_of_cash_pays_nothing_to_leave() -> None:
    loss = stress(LIBRARY["all at once"], {}, 100.0, COSTS)
    assert (loss.market, loss.leaving, loss.total) == (0, 0, pytest.approx(0.12))
    gone = stress(Scenario(name="gone", others=-1.0), {"BTC/USDT": 50.0}, 50.0, COSTS)
    assert (gone.market, gone.leaving) == (0.5, 0)


def test_an_instrument_is_known_by_its_own_name_before_its_coin() -> None:
    scenario = Scenario(name="x", moves={"BTC": -0.1, "BTC/EUR": -0.2}, others=-0.3)
    assert [scenario.move_of(n) for n in ("BTC/USDT", "BTC/EUR", "ETH/USDT")] == [-0.1, -0.2, -0.3]


def test_every_episode_was_bad_for_every_coin_on_record() -> None:
    for episode in EPISODES:
        assert len(episode.moves) >= 4
        assert all(-1 < move < -0.05 for move in episode.moves.values())
        assert from_episode(episode).others == min(episode.moves.values())


@pytest.mark.parametrize(
    "changed",
    [{"others": -1.1}, {"others": float("nan")}, {"moves": {"BTC": float("inf")}}, {"quote": -2.0}],
)
def test_a_move_that_cannot_be_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(DataError, match="move in x must be -1 or more"):
        Scenario(name="x", **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [{"depth": 0.0}, {"depth": 1.1}, {"gas": 0.9}, {"gas": float("inf")}, {"quote": 0.1}],
)
def test_a_better_market_is_no_stress(changed: dict[str, float]) -> None:
    with pytest.raises(DataError, match="x must be a worse market than today's"):
        Scenario(name="x", **changed)  # type: ignore[arg-type]


def test_what_cannot_be_valued_is_refused() -> None:
    for cash in (-5_000.0, float("nan"), float("inf")):
        with pytest.raises(DataError, match="equity under stress must be positive"):
            stress(LIBRARY["gas x50"], BOOK, cash, COSTS)
    with pytest.raises(DataError, match=r"volatility of X must be 0 or more, was -1"):
        together({"X": -1})
    with pytest.raises(DataError, match=r"volatility of X must be 0 or more, was nan"):
        together({"X": float("nan")})
    with pytest.raises(ConfigError, match="notional must be positive"):
        exit_cost(0.0, COSTS)
