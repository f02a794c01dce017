from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.domain import Bars, History, Timeframe
from dexml.features.indicators import compute_columns
from dexml.features.live import LivePanel
from dexml.features.panel import WARM_UP, build_panel
from tests.dexml.features.histories import walk

HIGHER = [
    *("h4_return_1", "h4_return_6", "h4_range_position_20"),
    *("d1_return_1", "d1_return_7", "d1_range_position_14", "d1_distance", "d1_range_ratio"),
]


def _starting(hour: int, n: int, seed: int, missing: float) -> Bars:
    bars = walk(n=n, seed=seed)
    bars = replace(bars, closed_at=bars.closed_at + np.timedelta64(hour, "h"))
    kept = np.random.default_rng(seed).random(n) >= missing
    return Bars.from_frame("BTC/USDT", Timeframe.H1, bars.frame()[kept])


def _closed(bars: Bars, at: pd.Timestamp, rule: str) -> pd.DataFrame:
    known = bars.frame().loc[:at]
    how = {"high": "max", "low": "min", "close": "last"}
    higher = known.resample(rule, closed="right", label="right").agg(how).dropna()
    return higher[higher.index <= at]


def _brute_force(bars: Bars, at: pd.Timestamp) -> dict[str, float]:
    four, day = _closed(bars, at, "4h"), _closed(bars, at, "1D")
    close, span = bars.frame()["close"].loc[at], np.log(day["high"] / day["low"])

    def place(higher: pd.DataFrame, n: int) -> float:
        low, high = higher["low"].iloc[-n:].min(), higher["high"].iloc[-n:].max()
        return float((higher["close"].iloc[-1] - low) / (high - low))

    def moved(higher: pd.DataFrame, n: int) -> float:
        return float(np.log(higher["close"].iloc[-1] / higher["close"].iloc[-1 - n]))

    return {
        "h4_return_1": moved(four, 1),
        "h4_return_6": moved(four, 6),
        "h4_range_position_20": place(four, 20),
        "d1_return_1": moved(day, 1),
        "d1_return_7": moved(day, 7),
        "d1_range_position_14": place(day, 14),
        "d1_distance": float(np.log(close / day["close"].iloc[-1])),
        "d1_range_ratio": float(np.log(span.iloc[-1] / span.iloc[-8:-1].mean())),
    }


@given(
    hour=st.integers(0, 30),
    seed=st.integers(0, 1_000),
    missing=st.sampled_from([0.0, 0.02, 0.3]),
    row=st.integers(0, 60),
)
@settings(max_examples=60, deadline=None)
def test_values_are_those_of_the_bars_that_had_closed(
    hour: int, seed: int, missing: float, row: int
) -> None:
    bars = _starting(hour, 700, seed, missing)
    found = compute_columns(bars)
    row += WARM_UP
    at = pd.Timestamp(bars.closed_at[row], tz="UTC")
    for name, expected in _brute_force(bars, at).items():
        assert found[name][row] == pytest.approx(expected, rel=1e-9, abs=1e-12), name


# The bar that is still open is made absurd: nothing may change before it closes, in either mode.
@given(hour=st.integers(0, 30), seed=st.integers(0, 100), seconds=st.sampled_from([4, 24]))
@settings(max_examples=25, deadline=None)
def test_no_higher_bar_is_used_before_it_closed(hour: int, seed: int, seconds: int) -> None:
    bars = _starting(hour, WARM_UP + 60, seed, 0.0)
    stamps = bars.closed_at.astype("datetime64[h]").astype(np.int64)
    ends = np.flatnonzero(stamps % seconds == 0)
    end = int(ends[ends > WARM_UP + 26][0])
    inside = slice(end - seconds + 1, end)
    loud = np.ones(len(bars))
    loud[inside] = 50.0
    changed = replace(bars, high=bars.high * loud)
    columns = [name for name in HIGHER if name.startswith("d1" if seconds == 24 else "h4")]
    quiet, shaken = (
        build_panel(History(bars={"BTC/USDT": one}))[columns] for one in (bars, changed)
    )
    before = slice(end - seconds + 1 - WARM_UP, end - WARM_UP)
    np.testing.assert_array_equal(quiet.iloc[before], shaken.iloc[before])
    assert (quiet.iloc[end - WARM_UP] != shaken.iloc[end - WARM_UP]).any()
    live = LivePanel(History(bars={"BTC/USDT": changed.take(slice(0, inside.start))}))
    for row in range(inside.start, end + 1):
        found = live.append([changed.bar(row)])[columns]
        np.testing.assert_array_equal(found.to_numpy()[0], shaken.iloc[row - WARM_UP])
