from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import StationaryBootstrap
from scipy.stats import norm
from scipy.stats import t as student

from dexml.errors import ConfigError, DataError
from dexml.validation.blocks import optimal_block_length
from dexml.validation.bootstrap import (
    Bootstrap,
    automatic_block_length,
    bootstrap_draws,
    bootstrap_intervals,
)
from tests.dexml.validation.simulated import autoregressive, garch

NAMES = ["closed_at", "instrument"]


def hours(n: int) -> pd.DatetimeIndex:
    return pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC", name="closed_at")


def panel(n_hours: int, instruments: tuple[str, ...] = ("A", "B", "C")) -> pd.DataFrame:
    index = pd.MultiIndex.from_product([hours(n_hours), instruments], names=NAMES)
    hour = np.repeat(np.arange(n_hours), len(instruments))
    who = np.tile(np.arange(len(instruments)), n_hours)
    return pd.DataFrame({"hour": hour, "who": who}, index)


def test_the_standard_error_is_that_of_arch() -> None:
    values = autoregressive(500, 0.5, seed=1)
    returns = pd.Series(values, hours(500))
    settings = Bootstrap(n_resamples=4_000, block_length=12.0)
    mine = bootstrap_intervals(returns, {"mean": np.mean, "sd": np.std}, settings)
    theirs = StationaryBootstrap(12, values, seed=2)
    n = 500 / 12
    tail = norm.cdf(student.ppf(0.025, n) / np.sqrt(1 - 2 / n))
    for name, statistic in (("mean", np.mean), ("sd", np.std)):
        drawn = theirs.apply(statistic, 4_000)
        assert mine[name].standard_error == pytest.approx(drawn.std(ddof=1), rel=0.05)
        ends = np.quantile(drawn, [tail, 1 - tail])
        np.testing.assert_allclose(
            [mine[name].low, mine[name].high], ends, atol=0.12 * drawn.std(ddof=1)
        )


def test_instruments_of_one_instant_are_drawn_together_and_in_order() -> None:
    def parted(rows: pd.DataFrame) -> float:
        by = rows.groupby(level="instant")
        whole = (by["who"].apply(list).map(lambda one: one == [0, 1, 2])).all()
        return float(by["hour"].nunique().max() == 1 and whole and len(by) == 30)

    drawn = bootstrap_draws(panel(30), {"whole": parted}, Bootstrap(n_resamples=100))
    assert drawn["whole"].eq(1.0).all()


def test_an_instrument_that_was_listed_late_is_drawn_where_it_was() -> None:
    rows = panel(40)
    late = rows[(rows["who"] != 2) | (rows["hour"] >= 30)]

    def right(drawn: pd.DataFrame) -> float:
        n = drawn.groupby(level="instant")["who"].count()
        hour = drawn.groupby(level="instant")["hour"].first()
        return float((n == np.where(hour >= 30, 3, 2)).all() and len(n) == 40)

    assert bootstrap_draws(late, {"right": right}, Bootstrap(n_resamples=100))["right"].all()


def test_ten_copies_of_each_instant_are_no_more_certain_than_one() -> None:
    values = np.random.default_rng(0).normal(size=200)
    alone = pd.DataFrame({"gain": values}, hours(200))
    copied = panel(200, tuple("ABCDEFGHIJ")).assign(gain=np.repeat(values, 10))[["gain"]]
    settings = Bootstrap(n_resamples=500, block_length=4.0)
    mean = {"mean": lambda rows: float(rows["gain"].mean())}
    one, ten = (bootstrap_intervals(table, mean, settings)["mean"] for table in (alone, copied))
    assert ten.standard_error == pytest.approx(one.standard_error, rel=1e-9)
    assert automatic_block_length(copied) == pytest.approx(automatic_block_length(alone))


def test_a_resample_depends_on_its_number_and_the_seed_alone() -> None:
    returns = pd.Series(autoregressive(100, 0.3, seed=0), hours(100))
    few = bootstrap_draws(returns, {"mean": np.mean}, Bootstrap(n_resamples=100, seed=3))
    many = bootstrap_draws(returns, {"sd": np.std, "mean": np.mean}, Bootstrap(seed=3))
    np.testing.assert_array_equal(many["mean"][:100], few["mean"])
    other = bootstrap_draws(returns, {"mean": np.mean}, Bootstrap(n_resamples=100, seed=4))
    assert not np.isin(other["mean"], few["mean"]).any()


def test_what_never_moves_has_an_interval_without_width() -> None:
    flat = pd.Series(np.zeros(50), hours(50))
    interval = bootstrap_intervals(flat, {"mean": np.mean})["mean"]
    assert (interval.low, interval.high, interval.block_length) == (0.0, 0.0, 1.0)


def test_blocks_are_long_where_calm_and_wild_spells_alternate() -> None:
    values = garch(4_000, seed=0)
    returns = pd.Series(values, hours(4_000))
    spells = optimal_block_length(np.abs(values - values.mean()))
    assert spells > 2 * optimal_block_length(values)
    assert automatic_block_length(returns) == pytest.approx(2 * spells)
    both = pd.DataFrame({"calm": autoregressive(4_000, 0.0, 1), "spells": values}, hours(4_000))
    assert automatic_block_length(both) == pytest.approx(2 * spells)
    wave = pd.Series(np.diff(np.random.default_rng(0).normal(size=61)), hours(60))
    assert automatic_block_length(wave) == 20.0  # a third of the history


def test_a_wider_level_has_wider_intervals_around_the_estimate() -> None:
    returns = pd.Series(autoregressive(300, 0.3, seed=5), hours(300))
    wide, narrow = (
        bootstrap_intervals(returns, {"mean": np.mean}, Bootstrap(level=level))["mean"]
        for level in (0.99, 0.8)
    )
    assert wide.low < narrow.low < narrow.estimate < narrow.high < wide.high
    assert wide.estimate == returns.mean()


def test_memory_is_that_of_one_more_table_not_of_all_resamples() -> None:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(2_000, 7)), hours(2_000))
    settings = Bootstrap(n_resamples=200, block_length=10.0)
    tracemalloc.start()
    bootstrap_draws(table, {"mean": lambda rows: float(rows.to_numpy().mean())}, settings)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * table.to_numpy().nbytes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_resamples": 99}, "n_resamples must be at least 100, was 99"),
        ({"block_length": 0.5}, "block_length must be at least 1, was 0.5"),
        ({"block_length": float("nan")}, "block_length must be at least 1, was nan"),
        ({"level": 95}, "Write 95% as 0.95"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Bootstrap(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.Series(np.arange(19.0), hours(19)), "must span at least 20 instants, was 19"),
        (pd.Series([0.1] * 20 + [np.nan], hours(21)), "table must be given and finite"),
        (pd.Series([], pd.DatetimeIndex([]), dtype=float), "table must be given and finite"),
        (pd.Series(np.arange(30.0), hours(30)[::-1]), "must go forward in time"),
        (pd.Series(np.arange(30.0)), "must be `closed_at`"),
    ],
)
def test_what_cannot_be_resampled_is_refused(table: pd.Series, message: str) -> None:
    with pytest.raises(DataError, match=message):
        bootstrap_draws(table, {"mean": np.mean}, Bootstrap(block_length=1.0))


def test_a_statistic_that_is_not_a_number_is_named() -> None:
    returns = pd.Series(np.arange(30.0), hours(30))
    with pytest.raises(DataError, match="gap must be a number on every resample, was nan"):
        bootstrap_intervals(returns, {"gap": lambda rows: float("nan")})


def test_an_infinite_figure_has_an_interval_too() -> None:
    returns = pd.Series(np.r_[np.full(30, 0.1), -0.1], hours(31))
    statistic = {"gain": lambda rows: float("inf") if (rows > 0).all() else 1.0}
    interval = bootstrap_intervals(returns, statistic, Bootstrap(block_length=1.0))["gain"]
    assert (interval.estimate, interval.low, interval.high) == (1.0, 1.0, float("inf"))
