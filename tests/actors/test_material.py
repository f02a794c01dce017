from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from actors.material import parse_targets, prepare, write_predictions
from actors.sandbox import MemoryWatch
from actors.stages import Stages
from dexml.domain import to_datetime
from dexml.errors import UsageError
from dexml.experiments.sources import plant_market
from dexml.universe import Listing, UniverseConfig


def test_an_unknown_target_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"--targets must be among .*, was weather\."):
        parse_targets(("direction", "weather"))
    with pytest.raises(UsageError, match=r"was none\."):
        parse_targets(())


def test_predictions_hold_known_outcomes_of_targets_only(tmp_path: Path) -> None:
    stamps = pd.date_range("2024-01-01", periods=4, freq="h", tz="UTC")
    forecasts = pd.DataFrame(
        {
            "symbol": "BTC/USDT",
            "closed_at": stamps,
            "target": ["direction", "direction", "ensemble", "volume"],
            "fold": 0,
            "y": [1.0, np.nan, 0.0, 1.0],
            "p": [0.6, 0.5, 0.4, np.nan],
            "rule": 0.5,
            "train_rate": 0.5,
        }
    )
    write_predictions(tmp_path / "deep" / "p.parquet", forecasts)
    written = pd.read_parquet(tmp_path / "deep" / "p.parquet")
    assert list(written.columns) == ["symbol", "closed_at", "target", "fold", "y", "p"]
    assert written[["target", "y", "p"]].to_numpy().tolist() == [["direction", 1.0, 0.6]]
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["p.parquet"]


def test_an_instrument_is_learnt_from_only_while_it_could_be_traded() -> None:
    market = plant_market(("BTC/USDT", "ETH/USDT"), n_bars=600, seed=1, bayes_accuracy=0.7)
    stamps = market.history.bars["ETH/USDT"].closed_at
    gone = Listing(
        instrument="ETH/USDT",
        listed_at=to_datetime(stamps[0]),
        delisted_at=to_datetime(stamps[500]),
    )
    said = io.StringIO()
    with MemoryWatch() as watch:
        material = prepare(
            lambda: (market.history, market.truth),
            Stages(Console(file=said, width=200), watch),
            1,
            UniverseConfig(listings=(gone,)),
        )
    closes = material.panel.groupby(level="instrument").apply(lambda rows: rows.index[-1][0])
    assert closes["BTC/USDT"] == pd.Timestamp(stamps[599], tz="UTC")
    assert closes["ETH/USDT"] == pd.Timestamp(stamps[499], tz="UTC")
    assert "left out as no members of the universe: ETH/USDT 100" in said.getvalue()
