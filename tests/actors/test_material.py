from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from actors.material import parse_targets, write_predictions
from dexml.errors import UsageError


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
