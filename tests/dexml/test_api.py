"""The doors of a notebook, as far as they open without a fit; docs/python.md walks through them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dexml
from dexml.domain import Bars, Timeframe
from dexml.errors import DataError, UsageError
from dexml.experiments.given_bars import bars_of
from tests.dexml.features.histories import walk


def frame(n: int = 5, step: str = "h") -> pd.DataFrame:
    at = pd.date_range("2024-01-01 01:00", periods=n, freq=step, tz="UTC")
    prices = {name: np.full(n, 2.0) for name in ("open", "high", "low", "close")}
    return pd.DataFrame({**prices, "volume": 1.0}, at)


def test_frames_bars_and_folders_give_the_same_bars(tmp_path: Path) -> None:
    bars = walk(n=30)
    (found,) = bars_of({"BTC/USDT": bars.frame()}).values()
    assert isinstance(found, Bars)
    for name in ("closed_at", "open", "close", "volume"):
        np.testing.assert_array_equal(getattr(found, name), getattr(bars, name))
    assert bars_of({"BTC/USDT": bars})["BTC/USDT"] is bars
    opened = bars.frame().reset_index()
    opened["timestamp"] = opened.pop("closed_at") - pd.Timedelta("1h")  # files tell the open
    opened.to_csv(tmp_path / "BTC_USDT_1h.csv", index=False)
    np.testing.assert_array_equal(bars_of(tmp_path)["BTC/USDT"].closed_at, bars.closed_at)


@pytest.mark.parametrize("step", [frame.value for frame in Timeframe])
def test_the_timeframe_is_the_usual_step(step: str) -> None:
    given = frame(6, step.replace("m", "min")).drop(
        index=frame(6, step.replace("m", "min")).index[2]
    )
    assert str(bars_of({"BTC/USDT": given})["BTC/USDT"].timeframe) == step


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "bars must hold at least one instrument"),
        ({"BTC/USDT": frame().drop(columns="close")}, "bars of BTC/USDT must have close"),
        ({"BTC/USDT": frame().reset_index(drop=True)}, "index of BTC/USDT must be a DatetimeIndex"),
        ({"BTC/USDT": frame(step="7h")}, "bars of BTC/USDT must be 1m, 5m, 15m, 1h, 4h, 1d apart"),
        ({"btc": frame()}, "instrument"),
        ({"BTC/USDT": frame() * -1}, "must have positive prices"),
    ],
)
def test_bars_that_cannot_be_used_are_refused(given: dict, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        dexml.fit(given)


def test_what_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="champion must have been promoted"):
        dexml.load("champion", home=tmp_path)
    with pytest.raises(UsageError, match="digest of a model must name one version"):
        dexml.load("abcdef12", home=tmp_path)
    with pytest.raises(AttributeError, match="module 'dexml' has no attribute 'fitt'"):
        dexml.fitt  # noqa: B018
    assert {"fit", "load", "backtest"} <= set(dir(dexml))
