from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from actors.training import TrainOptions, run_training
from dexml.models.recipe import Recipe
from dexml.models.registry import Registry
from dexml.models.suite import Suite

# A process of its own: Ray reads RAY_AUTH_MODE once, when it is imported.
ON_CLUSTER = """
import sys
from pathlib import Path
from dexml.cli_options import guard_ray
guard_ray()
import pandas as pd
from actors.cluster_fits import fit_on_cluster, joined
from actors.sandbox import sandbox
from dexml.experiments.member_fits import fit_members
from dexml.models.profiles import FitSpec

home = Path(sys.argv[1])
panel = pd.read_parquet(home / "panel.parquet")
spec = FitSpec(target="volume", columns=tuple(panel), n_folds=3, profile="light")
labels = pd.DataFrame({"volume": (panel["a"] > 0) * 1.0, "macro": 0.0})
specs = {"volume": spec, "macro": FitSpec(target="macro", columns=("a",), n_folds=3)}
with sandbox(home) as place, joined(home / "fits" / "train", place) as folder:
    ended = fit_members(panel, labels, specs, folder, workers=2, run=fit_on_cluster)
    print(sorted(path.name for path in folder.iterdir()))
for name, one in ended.items():
    print(name, one.report and one.report.models, one.reason)
"""


@pytest.mark.ray
@pytest.mark.whole
def test_fits_on_a_cluster_end_as_fits_at_home_do_and_leave_nothing(tmp_path: Path) -> None:
    stamps = pd.date_range("2024-01-01", periods=300, freq="h", tz="UTC")
    index = pd.MultiIndex.from_product([stamps, ["BTC/USDT"]], names=("closed_at", "instrument"))
    values = np.random.default_rng(0).normal(size=(300, 2))
    pd.DataFrame(values, index, ["a", "b"]).to_parquet(tmp_path / "panel.parquet")
    ended = subprocess.run(
        [sys.executable, "-c", ON_CLUSTER, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    left, volume, macro = ended.stdout.splitlines()[-3:]
    assert left == "['volume']"
    assert volume.startswith("volume ('FixedGBM_light'")
    assert "training labels must hold both classes" in macro
    assert not list((tmp_path / "fits").iterdir())


@pytest.mark.slow
def test_all_targets_and_their_ensemble_become_one_signed_version(tmp_path: Path) -> None:
    options = TrainOptions(
        home=tmp_path / "home",
        storage=str(tmp_path / "home" / "store"),
        symbols=("BTC/USDT", "ETH/USDT"),
        planted=True,
        history=1_100,
        promote=True,
        recipe=Recipe(ensemble="meta"),
    )
    console = Console(record=True, width=100, file=(tmp_path / "screen").open("w"))
    result = run_training(options, console)
    members = {"direction", "volatility", "volume", "sentiment", "macro", "joint"}
    assert set(result["targets"]) == members
    assert result["degraded"] == []
    assert result["ensemble"]["kind"] == "meta"
    assert result["targets"]["volatility"]["gap_reached"] > 0.8
    registry = Registry.of(tmp_path / "home")
    champion = registry.stages.read().champion("suite")
    assert champion == result["digests"]["suite"]
    suite = Suite.load(registry, champion)
    assert set(suite.members) == members
    assert "volatility_regime" in suite.columns
    screen = console.export_text()
    assert screen.index("estimated time") < screen.index("out of fold")
    assert f"suite {champion[:12]} is champion." in screen
