"""The CNN-LSTM among the other members: in a suite, in a child process, in a fold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dexml.domain import Target
from dexml.ensemble import Ensemble, Stacker
from dexml.experiments.folds import FoldSpec, forecast_fold
from dexml.experiments.sources import plant_market
from dexml.experiments.specifications import SEQUENCE, specifications
from dexml.experiments.training import split_in_time
from dexml.features.panel import build_panel
from dexml.models.fits import FitRequest, run_fit, write_rows
from dexml.models.loading import load_forecaster
from dexml.models.profiles import FitSpec
from dexml.models.recipe import Recipe
from dexml.models.rules import BaseRate
from dexml.models.sequence.config import SequenceConfig
from dexml.models.sequence.fitting import Watch, fit_sequence
from dexml.models.sequence.forecaster import SequenceForecaster
from dexml.models.sequence.training import Progress
from dexml.models.suite import ENSEMBLE, Suite, member_oof
from dexml.targets import labels
from tests.dexml.models.sequence.conftest import TINY

Rows = tuple[pd.DataFrame, pd.Series]


@pytest.fixture(scope="module")
def suite(learnt: Path, bars: Rows) -> Suite:
    oof = member_oof({SEQUENCE: learnt}).assign(direction=0.5)
    ensemble = Ensemble(combiner=Stacker.fit(oof, bars[1].reindex(oof.index)))
    members = {SEQUENCE: load_forecaster(learnt), "direction": BaseRate()}
    return Suite(members=members, ensemble=ensemble)


def test_a_close_has_the_bits_of_the_panel_if_the_member_sees_what_was_before(
    suite: Suite, bars: Rows
) -> None:
    frame = bars[0].iloc[:300]
    whole, newest = suite.forecast(frame), frame.iloc[-3:]
    assert suite.lookback == 8
    one = suite.forecast(newest, frame)
    pd.testing.assert_frame_equal(one, whole.loc[newest.index], rtol=0, atol=0)
    later = bars[0].iloc[:600]  # what is later than the close changes nothing
    pd.testing.assert_frame_equal(suite.forecast(newest, later), one, rtol=0, atol=0)


def test_without_what_was_before_it_is_silent_and_the_ensemble_goes_on(
    suite: Suite, bars: Rows
) -> None:
    said = suite.forecast(bars[0].iloc[300:303])
    assert said[SEQUENCE].isna().all()
    assert said[ENSEMBLE].between(0, 1, inclusive="neither").all()
    assert suite.forecast(bars[0].iloc[:0], bars[0]).empty


def test_its_files_are_saved_with_the_suite(learnt: Path, bars: Rows, tmp_path: Path) -> None:
    oof = member_oof({SEQUENCE: learnt})
    ensemble = Ensemble(combiner=Stacker.fit(oof, bars[1].reindex(oof.index)))
    folder = Suite(members={SEQUENCE: load_forecaster(learnt)}, ensemble=ensemble).save(
        tmp_path / "suite"
    )
    again = load_forecaster(folder / SEQUENCE)
    assert isinstance(again, SequenceForecaster)
    frame = bars[0].iloc[:60]
    np.testing.assert_array_equal(again.predict(frame), load_forecaster(learnt).predict(frame))


def test_a_child_makes_the_same_files_and_leaves_no_checkpoint(
    learnt: Path, bars: Rows, asked: FitSpec, tmp_path: Path
) -> None:
    rows = write_rows(*bars, tmp_path / "rows.parquet")
    run_fit(FitRequest(rows=str(rows), spec=asked), tmp_path / "model")
    for path in learnt.iterdir():
        assert path.read_bytes() == (tmp_path / "model" / path.name).read_bytes(), path.name
    assert sorted(one.name for one in tmp_path.iterdir()) == ["model", "rows.parquet"]


def test_a_fit_that_was_stopped_between_networks_repeats_none_of_them(
    learnt: Path, bars: Rows, asked: FitSpec, tmp_path: Path
) -> None:
    class Stopped(Exception):
        pass

    class Heard(Watch):
        def __init__(self, stop_in: str) -> None:
            self.stop_in, self.steps = stop_in, dict[str, int]()

        def begin(self, name: str) -> None:
            self.name = name

        def report(self, progress: Progress) -> None:
            self.steps[self.name] = self.steps.get(self.name, 0) + 1
            if self.name == self.stop_in:
                raise Stopped

    with pytest.raises(Stopped):
        fit_sequence(*bars, asked, tmp_path / "model", tmp_path / "kept", Heard("fold 3"))
    assert [one.name for one in tmp_path.iterdir()] == ["kept"]
    second = Heard("nowhere")
    fit_sequence(*bars, asked, tmp_path / "model", tmp_path / "kept", second)
    assert list(second.steps) == ["fold 3", "all"]
    for path in learnt.iterdir():
        assert path.read_bytes() == (tmp_path / "model" / path.name).read_bytes(), path.name
    assert not (tmp_path / "kept").exists()


def test_it_is_fitted_only_where_it_is_enabled_and_the_direction_has_inputs() -> None:
    columns = ("return_1", "volume_ratio_1")
    enabled = SequenceConfig(enabled=True)
    assert SEQUENCE not in specifications(columns, 0)
    assert SEQUENCE not in specifications(columns, 0, recipe=Recipe())
    assert SEQUENCE not in specifications(columns, 0, (Target.VOLUME,), Recipe(sequence=enabled))
    specs = specifications(columns, 0, recipe=Recipe(sequence=enabled))
    assert specs[SEQUENCE] == replace(specs["direction"], sequence=enabled)


@pytest.mark.slow
def test_a_fold_judges_it_beside_the_others_and_the_ensemble_hears_it(tmp_path: Path) -> None:
    market = plant_market(("BTC/USDT", "ETH/USDT"), n_bars=1_200, seed=0, bayes_accuracy=0.8)
    panel = build_panel(market.history)
    price = panel[[name for name in panel if name.startswith(("return", "volume", "hour"))]]
    split = split_in_time(price)
    spec = FoldSpec(targets=(Target.DIRECTION,), recipe=Recipe(sequence=TINY))
    known = labels(market.history.bars)
    said = forecast_fold(split.train, split.test, known, spec, tmp_path / "models", past=price)
    assert sorted(set(said["target"])) == ["cnn_lstm", "direction", "ensemble"]
    mine = said[said["target"] == SEQUENCE]
    assert mine["p"].notna().all()  # it sees the rows before the first that is judged
    assert len(mine) == len(split.test)
