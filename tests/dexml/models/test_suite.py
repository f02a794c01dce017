from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dexml.errors import ModelError
from dexml.models.local_signer import LocalSigner
from dexml.models.registry import Registry
from dexml.models.rules import BaseRate
from dexml.models.suite import ENSEMBLE, Suite, fit_ensemble, member_oof
from dexml.models.tabular import FitSpec, TabularForecaster
from dexml.validation.metrics import log_loss
from tests.model_versions import NOON, signed, write_model

Rows = tuple[pd.DataFrame, pd.Series]


@dataclass(frozen=True)
class Broken:
    columns: tuple[str, ...] = ()

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        raise ModelError("broken", "must work", "not", "Mend it.")


@pytest.fixture(scope="module")
def suite(fitted: Path, rows: Rows, spec: FitSpec) -> Suite:
    folders = {"direction": fitted, "macro": fitted, "sentiment": None}
    ensemble, _ = fit_ensemble(member_oof(folders), rows[1], spec)
    members = {name: TabularForecaster.load(one) if one else None for name, one in folders.items()}
    return Suite(members=members, ensemble=ensemble)


def test_a_degraded_member_is_silent_and_the_ensemble_speaks(suite: Suite, rows: Rows) -> None:
    said = suite.forecast(rows[0])
    assert list(said.columns) == ["direction", "macro", "sentiment", ENSEMBLE]
    assert said["sentiment"].isna().all()
    assert said[ENSEMBLE].between(0, 1, inclusive="neither").all()
    assert suite.degraded == ("sentiment",)


def test_a_member_that_fails_degrades_the_ensemble_and_does_not_stop_it(
    suite: Suite, rows: Rows
) -> None:
    harmed = Suite(members={**suite.members, "macro": Broken()}, ensemble=suite.ensemble)
    said = harmed.forecast(rows[0])
    assert said["macro"].isna().all()
    assert said[ENSEMBLE].notna().all()
    silent = Suite(members={"direction": Broken()}, ensemble=suite.ensemble)
    assert silent.forecast(rows[0])[ENSEMBLE].isna().all()


def test_a_suite_comes_back_from_the_registry_with_the_same_bits(
    suite: Suite, rows: Rows, tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "models")
    digest = suite.publish(registry, {"seed": 0})
    with pytest.raises(ModelError, match="must be signed"):
        Suite.load(registry, digest)
    registry.sign(digest, LocalSigner(tmp_path), NOON)
    again = Suite.load(registry, digest)
    assert again.digest == digest
    pd.testing.assert_frame_equal(again.forecast(rows[0]), suite.forecast(rows[0]), rtol=0, atol=0)
    np.testing.assert_array_equal(
        again.forecast(rows[0].iloc[30:36]), suite.forecast(rows[0]).iloc[30:36]
    )
    (tmp_path / "models" / digest / "direction" / "FixedGBM_stiff.txt").write_text("tree")
    with pytest.raises(ModelError, match=r"must have the direction/FixedGBM_stiff\.txt"):
        Suite.load(registry, digest)


def test_the_ensemble_is_judged_on_blocks_its_weights_did_not_see(
    fitted: Path, rows: Rows, spec: FitSpec
) -> None:
    oof = member_oof({"direction": fitted})
    ensemble, judged = fit_ensemble(oof, rows[1], spec)
    y = rows[1].dropna()
    assert judged.index.equals(y.index)
    assert log_loss(y, judged) < log_loss(y, np.full(len(y), y.mean())) - 0.05
    assert log_loss(y, judged) == pytest.approx(ensemble.losses[ensemble.combiner.kind])


def test_a_member_without_files_cannot_be_saved(suite: Suite, tmp_path: Path) -> None:
    ruled = Suite(members={"direction": BaseRate()}, ensemble=suite.ensemble)
    with pytest.raises(ModelError, match="must be saved in files"):
        ruled.save(tmp_path / "suite")


def test_a_suite_is_a_suite_and_says_what_its_members_are_fed(
    suite: Suite, rows: Rows, tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "models")
    manifest, _ = registry.describe(suite.publish(registry))
    assert manifest["kind"] == "suite"
    assert sorted(manifest["features"]) == sorted(suite.columns) == sorted(rows[0].columns)
    other = signed(registry, tmp_path, write_model(tmp_path / "other", a="one"), {})
    with pytest.raises(ModelError, match="must be a suite"):
        Suite.load(registry, other)


def test_members_that_were_loaded_from_the_registry_leave_their_seals_behind(
    fitted: Path, suite: Suite, tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "models")
    member = signed(registry, tmp_path, fitted, {"target": "direction"})
    loaded = TabularForecaster.load(registry.open(member)[0])
    made = Suite(members={"direction": loaded}, ensemble=suite.ensemble).save(tmp_path / "suite")
    assert not {"manifest.json", "seal.json"} & {path.name for path in made.rglob("*")}
