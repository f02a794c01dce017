"""A training as the driver runs it, in one process and without Ray: signed, scored, promoted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from actors import runtime
from actors.crew import Place
from actors.fitting import Trained, train
from actors.sandbox import MemoryWatch
from actors.stages import Stages
from actors.trainer import TrainerActor
from actors.verdict import Evidence, score
from dexml.data.storage.store import Store
from dexml.errors import ModelRefused
from dexml.experiments.specifications import specifications
from dexml.experiments.training import split_in_time
from dexml.features.panel import build_panel
from dexml.models.fits import FitLimits, FitRequest
from dexml.models.listing import rows_of
from dexml.models.recipe import Recipe
from dexml.models.registry import Registry
from dexml.simulation.market import MarketConfig, plant
from dexml.targets import labels
from tests.live_run import NAMES, PlainCrew
from tests.model_versions import NOON

VENUE, N_BARS = "binance", 1_300
MARKET = plant(MarketConfig(instruments=NAMES, n_bars=N_BARS, bayes_accuracy=0.8))


@dataclass(frozen=True)
class Training:
    crew: PlainCrew
    trained: Trained
    evidence: Evidence
    result: dict[str, Any]


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Training]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patched, MemoryWatch() as memory:
        stand_in_for_ray(patched)
        crew = PlainCrew(Place(home=home, run="demo-1"), NAMES, {VENUE: ""}, ())
        _store_bars(crew.store)
        history = crew.history()
        split, found = split_in_time(build_panel(history)), labels(history.bars)
        with Stages(Console(quiet=True), memory).stage("training", total=6) as step:
            trained = train(crew, step, split, found, 0, Recipe())
        evidence = Evidence(crew=crew, trained=trained, split=split, truth=None, seed=0)
        yield Training(crew, trained, evidence, score(evidence))
        crew.ledger.close()


def stand_in_for_ray(patched: pytest.MonkeyPatch) -> None:
    """Let a task be a call."""
    patched.setattr(runtime, "submit", lambda run, *args, num_cpus: run(*args))
    patched.setattr(runtime, "is_ready", lambda _: True)
    patched.setattr(runtime, "result", lambda report: report)


def _store_bars(store: Store) -> None:
    for bars in MARKET.history.bars.values():
        store.append_bars(VENUE, bars)


@pytest.mark.slow
def test_what_a_training_leaves_is_signed_scored_and_champion(training: Training) -> None:
    registry = training.crew.place.registry
    suite, *_ = rows = rows_of(registry, registry.stages.read(), NOON, everything=True)
    assert suite["digest"] == training.trained.suite.digest
    assert all(row["signed_by"].endswith("this home") for row in rows)
    assert {row["stage"] for row in rows} == {"champion"}
    assert set(suite["scores"]) == {*training.trained.digests, "ensemble"}
    assert (
        suite["scores"]["ensemble"]["log_loss"] < suite["scores"]["ensemble"]["base_rate_log_loss"]
    )
    members = {row["digest"]: row for row in rows if row["part_of"]}
    assert set(members) == set(training.trained.digests.values())
    assert all(row["facts"]["seconds"] > 0 for row in members.values())
    statuses = {row["status"] for row in training.crew.ledger.models()}
    assert statuses == {"champion", "degraded"}


@pytest.mark.slow
def test_the_same_fit_has_the_same_name_in_any_home_and_is_not_loaded_unsigned(
    training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in_for_ray(monkeypatch)
    rows = training.crew.place.folder / "training" / "volume.parquet"
    spec = specifications(tuple(training.evidence.split.train.columns), 0)["volume"]
    trainer = TrainerActor("volume", str(tmp_path))
    trainer.start(1)
    trainer.submit("again", FitRequest(rows=str(rows), spec=spec), FitLimits(), 1)
    digest = trainer.status("again").digest
    assert digest == training.trained.digests["volume"]
    with pytest.raises(ModelRefused, match="must be signed"):
        Registry.of(tmp_path).open(digest)
    assert not (tmp_path / "keys").exists()
