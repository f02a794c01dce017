from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
# A process of its own: Ray reads RAY_AUTH_MODE once, when it is imported.
FAILING = """
import sys
from pathlib import Path
from dexml.cli_options import guard_ray
guard_ray()
import ray
import pandas as pd
from actors import cluster
from actors.sandbox import sandbox
from actors.tuning import FoldPlan, Window, refuse_unshared, run_folds
from dexml.domain import Target
from dexml.errors import ModelError
from dexml.experiments.folds import FoldSpec

folder = Path(sys.argv[1])
stamps = pd.read_parquet(folder / "panel.parquet").index.get_level_values("closed_at")
window = Window(
    train_from=stamps[0], train_to=stamps[199], test_from=stamps[210], test_to=stamps[219]
)
plan = FoldPlan(
    panel=str(folder / "panel.parquet"),
    labels=str(folder / "labels.parquet"),
    folder=str(folder),
    windows=(window, window),
    spec=FoldSpec(targets=(Target.VOLUME,)),
)
ended = []
with sandbox() as place:
    cluster.start_local(place, num_cpus=1, dashboard=False)
    refuse_unshared(folder)
    try:
        run_folds(plan, 1, ended.append)
    except ModelError as error:
        print(f"{type(error).__name__}: {error}")
    print(ended)
    ray.shutdown()
"""


@pytest.mark.ray
@pytest.mark.slow
def test_a_fold_that_cannot_be_fitted_says_why_and_costs_no_other_fold(tmp_path: Path) -> None:
    stamps = pd.date_range("2024-01-01", periods=220, freq="h", tz="UTC")
    index = pd.MultiIndex.from_product([stamps, ["BTC/USDT"]], names=("closed_at", "instrument"))
    columns = ["volume_ratio_24", "momentum_1", "bar_body", "bar_location", "return_dispersion_1"]
    values = np.random.default_rng(0).normal(size=(220, len(columns)))
    pd.DataFrame(values, index, columns).to_parquet(tmp_path / "panel.parquet")
    pd.DataFrame({"volume": 1.0}, index).to_parquet(tmp_path / "labels.parquet")
    done = pd.DataFrame(
        {"symbol": "BTC/USDT", "closed_at": stamps[:1], "target": "volume", "y": 1.0, "p": 0.5}
    )
    done.to_parquet(tmp_path / "fold-1.parquet")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    said = subprocess.run(
        [sys.executable, "-c", FAILING, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert said.stdout.splitlines() == [
        "ModelError: training labels must hold both classes, was 200 rows. Give more bars.",
        "[0, 1]",
    ], said.stderr[-2_000:]
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
