from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from actors.training import TrainOptions, run_training
from dexml.models.recipe import Recipe
from dexml.models.registry import Registry
from dexml.models.suite import Suite


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
