from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.errors import ConfigError
from dexml.targets import TARGETS, labels, target, uniqueness
from tests.dexml.features.histories import walk


def test_every_label_matches_its_definition_by_brute_force() -> None:
    bars = walk(n=80)
    frame = labels({"BTC/USDT": bars}, horizon=2)
    for t in range(78):
        row = frame.iloc[t]
        assert row["direction"] == (bars.close[t + 2] > bars.close[t])
        assert row["volume"] == (bars.volume[t + 2] > bars.volume[t])
        if t >= 19:
            now, later = np.std(bars.close[t - 19 : t + 1]), np.std(bars.close[t - 17 : t + 3])
            assert row["volatility"] == (later > now)


@pytest.mark.parametrize("horizon", [1, 3])
def test_the_last_rows_have_no_label_and_the_row_before_them_has(horizon: int) -> None:
    frame = labels({"BTC/USDT": walk(n=60), "ETH/USDT": walk("ETH/USDT", 60, 1)}, horizon)
    for _, one in frame.groupby(level="instrument"):
        assert one.iloc[-horizon:].isna().all().all()
        assert one.iloc[-horizon - 1].notna().all()
    assert frame["volatility"].groupby(level="instrument").head(19).isna().all()


@given(n=st.integers(1, 70), cut=st.integers(1, 70), horizon=st.integers(1, 4))
@settings(max_examples=40)
def test_a_label_needs_exactly_the_horizon_more_bars(n: int, cut: int, horizon: int) -> None:
    bars = walk(n=n, seed=3)
    whole = labels({"BTC/USDT": bars}, horizon)
    part = labels({"BTC/USDT": bars.take(slice(0, cut))}, horizon)
    known = max(len(part) - horizon, 0)
    np.testing.assert_array_equal(part.to_numpy()[:known], whole.to_numpy()[:known])
    assert part.iloc[known:].isna().all().all()


def test_a_hole_has_no_next_bar() -> None:
    bars = walk(n=60)
    whole = labels({"BTC/USDT": bars}, horizon=2)
    with_hole = replace(
        bars,
        **{
            name: np.delete(getattr(bars, name), [30, 31, 32])
            for name in ("closed_at", "open", "high", "low", "close", "volume")
        },
    )
    parted = labels({"BTC/USDT": with_hole}, horizon=2)["direction"].to_numpy()
    assert np.isnan(parted[[28, 29]]).all()
    kept = np.delete(whole["direction"].to_numpy(), [30, 31, 32])
    rest = np.r_[0:28, 30:55]
    np.testing.assert_array_equal(parted[rest], kept[rest])


def test_a_price_that_stands_still_has_not_risen() -> None:
    bars = walk(n=40, tick=1e6)
    frame = labels({"BTC/USDT": bars})
    assert (frame["direction"].dropna() == 0).all()
    assert (frame["volatility"].dropna() == 0).all()


def test_the_volatility_rises_exactly_when_the_new_close_is_farther_than_the_leaving_one() -> None:
    bars = walk(n=300, seed=5)
    frame = labels({"BTC/USDT": bars})
    for t in range(19, 299):
        mean = bars.close[t - 18 : t + 1].mean()
        farther = abs(bars.close[t + 1] - mean) > abs(bars.close[t - 19] - mean)
        assert frame["volatility"].iloc[t] == farther


def test_a_user_target_is_labelled_beside_the_built_in_ones() -> None:
    @target("big_bar", view="direction")
    def big_bar(bars, horizon):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return TARGETS["volume"].label(bars, horizon)

    try:
        assert "big_bar" in labels({"BTC/USDT": walk(n=30)}).columns
        with pytest.raises(ConfigError, match="name of its own"):
            target("big_bar", view="direction")(big_bar)
    finally:
        TARGETS.pop("big_bar")


def test_a_horizon_below_one_bar_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1 bar"):
        labels({"BTC/USDT": walk(n=30)}, 0)


@given(kept=st.lists(st.booleans(), min_size=2, max_size=30), horizon=st.integers(1, 6))
@settings(max_examples=100)
def test_uniqueness_is_the_mean_share_of_a_labels_bars_by_brute_force(
    kept: list[bool], horizon: int
) -> None:
    hours = pd.date_range("2024-01-01", periods=len(kept), freq="h", tz="UTC")
    rows = [(at, "A/USDT") for at, there in zip(hours, kept, strict=True) if there]
    rows += [(at, "B/USDT") for at in hours]
    index = pd.MultiIndex.from_tuples(rows, names=["closed_at", "instrument"])
    spans = [
        {(name, at + k * pd.Timedelta("1h")) for k in range(1, horizon + 1)} for at, name in rows
    ]
    expected = [
        np.mean([1 / sum(bar in other for other in spans) for bar in span]) for span in spans
    ]
    np.testing.assert_allclose(uniqueness(index, horizon), expected, rtol=1e-12)
    if horizon == 1:
        assert (uniqueness(index, horizon) == 1).all()
