from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.errors import UsageError
from dexml.experiments.training import shortest_panel, split_in_time

NAMES = ("BTC/USDT", "ETH/USDT")


def panel(n_instants: int) -> pd.DataFrame:
    closed_at = pd.date_range("2024-01-01 01:00", periods=n_instants, freq="h", tz="UTC")
    index = pd.MultiIndex.from_product([closed_at, NAMES], names=["closed_at", "instrument"])
    return pd.DataFrame({"bar": range(len(index))}, index)


def instants(rows: pd.DataFrame) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(rows.index.get_level_values("closed_at").unique())


@given(st.integers(728, 900), st.floats(0.05, 0.28))
def test_a_whole_day_of_bars_is_neither_learnt_from_nor_judged(n: int, test_share: float) -> None:
    rows = panel(n)
    split = split_in_time(rows, test_share)
    first, last = instants(split.test)[0], instants(split.train)[-1]
    between = [at for at in instants(rows) if last < at < first]
    assert len(between) == 24
    assert len(instants(split.test)) == pytest.approx(test_share * n, abs=0.5 + 1e-9)


def test_all_bars_but_the_embargo_are_used_once_with_all_their_instruments() -> None:
    rows = panel(1_000)
    split = split_in_time(rows)
    pd.testing.assert_frame_equal(split.train, rows.iloc[: 2 * (720 - 24)])
    pd.testing.assert_frame_equal(split.test, rows.iloc[2 * 720 :])


def test_the_shortest_panel_is_the_first_length_that_is_accepted() -> None:
    with pytest.raises(UsageError, match="must leave at least 500 bars to learn from, was 499"):
        split_in_time(panel(shortest_panel() - 1))
    assert len(instants(split_in_time(panel(shortest_panel())).train)) == 500
