"""Fits of a suite beside one another: one that fails is named and harms nobody."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dexml.errors import ModelError
from dexml.experiments.leaderboards import COLUMNS
from dexml.experiments.member_fits import FitOutcome, fit_members
from dexml.experiments.suite_training import Trained, assemble, publish
from dexml.models.fits import FitLimits, FitRequest, run_fit, write_rows
from dexml.models.listing import rows_of
from dexml.models.local_signer import LocalSigner
from dexml.models.profiles import FitSpec
from dexml.models.recipe import Recipe
from dexml.models.registry import Registry
from dexml.models.suite import Suite
from dexml.promotions import promote
from tests.model_versions import NOON, signed, write_model

COLUMNS_SEEN = ("edge", "return_1", "volatility_regime")
SPEC = FitSpec(target="direction", columns=COLUMNS_SEEN, n_folds=3, embargo_bars=6)


@pytest.fixture(scope="module")
def market() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return a panel, labels of three targets, one of them of one class, and the truth."""
    rng = np.random.default_rng(0)
    at = pd.date_range("2024-01-01 01:00", periods=700, freq="h", tz="UTC")
    index = pd.MultiIndex.from_product(
        [at, ["A/USDT", "B/USDT"]], names=["closed_at", "instrument"]
    )
    panel = pd.DataFrame(rng.normal(size=(len(index), 3)), index, list(COLUMNS_SEEN))
    up = 1 / (1 + np.exp(-1.5 * panel["edge"]))
    label = (rng.random(len(index)) < up).astype(float)
    labels = pd.DataFrame({"direction": label, "volume": 1 - label, "macro": 0.0}, index)
    return panel, labels, pd.DataFrame({"direction": up, "volume": 1 - up}, index)


@pytest.fixture(scope="module")
def outcomes(
    market: tuple[pd.DataFrame, ...], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, FitOutcome]:
    specs = {name: replace(SPEC, target=name) for name in ("direction", "macro", "volume")}
    heard: list[str] = []
    ended = fit_members(
        *market[:2],
        specs,
        tmp_path_factory.mktemp("fits"),
        workers=2,
        ended=lambda name, _one: heard.append(name),
    )
    assert sorted(heard) == sorted(specs)
    return ended


@pytest.fixture(scope="module")
def trained(market: tuple[pd.DataFrame, ...], outcomes: Mapping[str, FitOutcome]) -> Trained:
    return assemble(outcomes, *market[:2], Recipe(), market[2])


def test_a_fit_that_fails_is_named_and_the_others_end(outcomes: Mapping[str, FitOutcome]) -> None:
    assert list(outcomes) == ["direction", "macro", "volume"]
    assert "training labels must hold both classes" in outcomes["macro"].reason
    assert outcomes["macro"].folder is None
    for name in ("direction", "volume"):
        one = outcomes[name]
        assert (one.reason, one.n_rows) == ("", 1_400)
        assert one.manifest["data"]["n_rows"] == 1_400
        assert {path.name for path in one.folder.iterdir()} >= {"forecaster.json", "oof.parquet"}


def test_the_suite_is_made_of_what_was_fitted(
    trained: Trained, market: tuple[pd.DataFrame, ...]
) -> None:
    assert list(trained.failed) == ["macro"]
    assert trained.suite is not None
    assert set(trained.suite.degraded) == {"macro", "sentiment", "volatility"}
    said = trained.suite.forecast(market[0])
    assert said["ensemble"].notna().all()
    assert trained.scores["log_loss"] < trained.scores["base_rate_log_loss"] - 0.05


def test_the_leaderboard_stands_beside_the_truth(trained: Trained) -> None:
    board = trained.board.set_index(["target", "model"])
    assert list(trained.board.columns) == list(COLUMNS)
    for name in ("direction", "volume"):
        assert board.loc[name]["log_loss"].is_monotonic_increasing
        whole, base = board.loc[(name, "forecaster")], board.loc[(name, "base_rate")]
        assert whole["baseline"] == base["log_loss"]
        assert whole["gain"] == pytest.approx(base["log_loss"] - whole["log_loss"])
        assert 0.5 < whole["gap_reached"] < 1
        assert 0.8 < whole["edge_reached"] < 1
        assert base["gap_reached"] == pytest.approx(0, abs=0.01)
    assert ("ensemble", "forecaster") in board.index


def test_what_was_fitted_is_a_signed_challenger_and_the_champion_stays(
    trained: Trained, market: tuple[pd.DataFrame, ...], tmp_path: Path
) -> None:
    registry = Registry.of(tmp_path)
    old = signed(registry, tmp_path, write_model(tmp_path / "old", a="old"), {"kind": "suite"})
    promote(registry, old, at=NOON, by="ada", why="", ledger=None)
    digests = publish(trained, registry, LocalSigner(tmp_path), NOON)
    assert sorted(digests) == ["direction", "suite", "volume"]
    standing = registry.stages.read()
    assert standing.champion("suite") == old
    listed = {row["digest"]: row for row in rows_of(registry, standing, NOON, everything=True)}
    assert {listed[one]["stage"] for one in digests.values()} == {"challenger"}
    assert listed[digests["suite"]]["members"] == {
        name: digests[name] for name in ("direction", "volume")
    }
    manifest, _ = registry.verify(digests["suite"])
    assert "both classes" in manifest["failed"]["macro"]
    again = Suite.load(registry, digests["suite"]).forecast(market[0])
    assert trained.suite is not None
    pd.testing.assert_frame_equal(again, trained.suite.forecast(market[0]), rtol=0, atol=0)


def test_targets_that_were_asked_for_stand_alone(trained: Trained, tmp_path: Path) -> None:
    registry = Registry.of(tmp_path)
    digests = publish(trained, registry, LocalSigner(tmp_path), NOON, alone=True)
    assert sorted(digests) == ["direction", "volume"]
    assert registry.verify(digests["volume"])[0]["target"] == "volume"


def test_fits_that_break_their_limit_are_killed_and_leave_nothing(
    market: tuple[pd.DataFrame, ...], tmp_path: Path
) -> None:
    limits = FitLimits(wall_s=0.05)
    ended = fit_members(*market[:2], {"direction": SPEC}, tmp_path / "fits", limits=limits)
    assert "must end within 0.05 s" in ended["direction"].reason
    assert list((tmp_path / "fits").iterdir()) == []
    trained = assemble(ended, *market[:2], Recipe())
    assert trained.suite is None
    assert trained.board.empty
    assert publish(trained, Registry.of(tmp_path), LocalSigner(tmp_path), NOON) == {}


def test_a_fit_that_is_stopped_from_outside_is_killed(
    market: tuple[pd.DataFrame, ...], tmp_path: Path
) -> None:
    stop = threading.Event()
    stop.set()
    rows = write_rows(market[0], market[1]["direction"], tmp_path / "rows.parquet")
    with pytest.raises(ModelError, match="must be let to its end"):
        run_fit(FitRequest(rows=str(rows), spec=SPEC), tmp_path / "model", stop=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]
