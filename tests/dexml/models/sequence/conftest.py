from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dexml.models.profiles import FitSpec
from dexml.models.sequence.config import SequenceConfig
from dexml.models.sequence.fitting import fit_sequence

INSTRUMENTS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
TINY = SequenceConfig.from_dict(
    {
        "enabled": True,
        "model": {"cnn_channels": [8, 8], "lstm_hidden": 8, "dropout": 0.1},
        "trainer": {
            "epochs": 4,
            "batch_size": 64,
            "learning_rate": 0.01,
            "patience": 3,
            "max_samples": 60_000,
            "device": "cpu",
            "checkpoint_steps": 5,
        },
        "data": {"sequence_length": 8},
        "balancing": {"focal_gamma": 1.0},
    }
)


@pytest.fixture(scope="session")
def bars() -> tuple[pd.DataFrame, pd.Series]:
    """Return a panel whose label is known from the mean of the last four rows of one column."""
    rng = np.random.default_rng(1)
    at = pd.date_range("2024-01-01 01:00", periods=700, freq="h", tz="UTC")
    index = pd.MultiIndex.from_product([at, INSTRUMENTS], names=["closed_at", "instrument"])
    n = len(index)
    frame = pd.DataFrame(
        {
            "edge": rng.normal(size=n),
            "constant": 3.0,
            "holed": np.where(rng.random(n) < 0.1, np.nan, rng.normal(5.0, 2.0, n)),
        },
        index,
    )
    trend = frame["edge"].unstack().rolling(4).sum().stack(future_stack=True).reindex(index)
    chance = 1 / (1 + np.exp(-1.5 * trend.fillna(0.0)))
    label = pd.Series((rng.random(n) < chance).astype(float), index, name="label")
    label.iloc[-3:] = np.nan
    return frame, label


@pytest.fixture(scope="session")
def asked(bars: tuple[pd.DataFrame, pd.Series]) -> FitSpec:
    return FitSpec(
        target="direction",
        columns=tuple(bars[0].columns),
        n_folds=3,
        embargo_bars=6,
        sequence=TINY,
    )


@pytest.fixture(scope="session")
def learnt(
    bars: tuple[pd.DataFrame, pd.Series], asked: FitSpec, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the folder of a CNN-LSTM fitted on `bars`."""
    folder = tmp_path_factory.mktemp("sequence") / "model"
    fit_sequence(*bars, asked, folder)
    return folder
