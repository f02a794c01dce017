from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dexml.models.tabular import FitSpec, fit_tabular

INSTRUMENTS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")


@pytest.fixture(scope="session")
def rows() -> tuple[pd.DataFrame, pd.Series]:
    """Return a small panel whose label is known from two of its columns, and that label."""
    rng = np.random.default_rng(0)
    at = pd.date_range("2024-01-01 01:00", periods=700, freq="h", tz="UTC")
    index = pd.MultiIndex.from_product([at, INSTRUMENTS], names=["closed_at", "instrument"])
    n = len(index)
    frame = pd.DataFrame(
        {
            "edge": rng.normal(size=n),
            "return_1": rng.normal(0, 0.01, n),
            "flags": rng.choice([-100.0, 0.0], n),
            "constant": 3.0,
            "noise": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
        },
        index,
    )
    chance = 1 / (1 + np.exp(-1.2 * frame["edge"] + 60 * frame["return_1"]))
    label = pd.Series((rng.random(n) < chance).astype(float), index, name="label")
    label.iloc[-3:] = np.nan
    return frame, label


@pytest.fixture(scope="session")
def spec(rows: tuple[pd.DataFrame, pd.Series]) -> FitSpec:
    return FitSpec(target="direction", columns=tuple(rows[0].columns), n_folds=3, embargo_bars=6)


@pytest.fixture(scope="session")
def fitted(
    rows: tuple[pd.DataFrame, pd.Series], spec: FitSpec, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the folder of a direction model fitted on `rows`."""
    folder = tmp_path_factory.mktemp("fit") / "direction"
    fit_tabular(*rows, spec, folder)
    return folder
