from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dexml.errors import ConfigError, ModelError
from dexml.models.profiles import FitSpec, learners
from dexml.models.tabular import FitReport, TabularForecaster, fit_tabular, read_oof
from dexml.validation.metrics import log_loss
from dexml.validation.splits import block_splits

Rows = tuple[pd.DataFrame, pd.Series]


def test_the_report_judges_every_row_with_a_label_out_of_fold(fitted: Path, rows: Rows) -> None:
    report = FitReport.read(fitted, 1.0, 1.0)
    assert len(report.oof) == rows[1].notna().sum()
    assert report.models == ("FixedGBM_stiff", "FixedGBM_middle", "FixedDense", "reversal")
    scores = report.scores
    assert scores["forecaster"]["log_loss"] < scores["reversal"]["log_loss"]
    assert scores["reversal"]["log_loss"] < scores["base_rate"]["log_loss"]
    assert scores["forecaster"]["t"] > 5
    y = rows[1].dropna()
    assert scores["forecaster"]["log_loss"] == pytest.approx(log_loss(y, report.oof))


def test_a_row_has_the_same_bits_in_six_rows_and_in_all(fitted: Path, rows: Rows) -> None:
    forecaster, frame = TabularForecaster.load(fitted), rows[0]
    whole = forecaster.predict(frame)
    for start in range(0, 600, 37):
        few = forecaster.predict(frame.iloc[start : start + 6])
        np.testing.assert_array_equal(few, whole[start : start + 6])
    assert forecaster.predict(frame.iloc[5:6])[0] == whole[5]


def test_the_same_rows_and_seed_give_the_same_files_and_another_seed_others(
    fitted: Path, rows: Rows, spec: FitSpec, tmp_path: Path
) -> None:
    again, other = tmp_path / "again", tmp_path / "other"
    fit_tabular(*rows, spec, again)
    fit_tabular(*rows, replace(spec, seed=1), other)
    for path in fitted.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name
        assert path.read_bytes() != (other / path.name).read_bytes(), path.name


def test_a_model_with_catboost_has_the_same_bytes_on_one_thread_and_on_two(
    rows: Rows, spec: FitSpec, tmp_path: Path
) -> None:
    volume = replace(spec, target="volume")
    one, two = tmp_path / "one", tmp_path / "two"
    report = fit_tabular(*rows, volume, one)
    fit_tabular(*rows, replace(volume, num_cpus=2), two)
    assert report.models == ("FixedGBM_middle", "FixedCAT", "hour_of_week_volume")
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes(), path.name
    forecaster = TabularForecaster.load(one)
    whole = forecaster.predict(rows[0])
    np.testing.assert_array_equal(forecaster.predict(rows[0].iloc[40:46]), whole[40:46])


def test_out_of_fold_forecasts_do_not_know_their_own_labels(
    rows: Rows, spec: FitSpec, tmp_path: Path
) -> None:
    # The label of one block is turned over: what is said about the block may not follow it.
    frame, label = rows[0], rows[1].copy()
    block = block_splits(label.dropna().index.get_level_values(0), spec.n_folds)[1].test
    fit_tabular(frame, label, spec, tmp_path / "one")
    label.iloc[block] = 1 - label.iloc[block]
    fit_tabular(frame, label, spec, tmp_path / "two")
    one, two = read_oof(tmp_path / "one").iloc[block], read_oof(tmp_path / "two").iloc[block]
    for name in (*(one.name for one in learners(spec)), "reversal", "base_rate"):
        np.testing.assert_array_equal(one[name], two[name])


def test_no_edge_is_reported_where_there_is_none(rows: Rows, spec: FitSpec, tmp_path: Path) -> None:
    noise = rows[1].copy()
    noise[:] = (np.random.default_rng(9).random(len(noise)) < 0.5).astype(float)
    report = fit_tabular(rows[0], noise, spec, tmp_path / "null")
    assert report.scores["forecaster"]["t"] < 2
    assert report.scores["forecaster"]["log_loss"] == pytest.approx(np.log(2), abs=0.01)


def test_serving_imports_neither_autogluon_nor_torch(fitted: Path, rows: Rows) -> None:
    code = (
        "import sys; from pathlib import Path; from dexml.models.tabular import TabularForecaster\n"
        "TabularForecaster.load(Path(sys.argv[1]))\n"
        "print([m for m in ('autogluon', 'torch', 'ray', 'catboost') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(fitted)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert run.stdout.strip() == "[]"


def test_an_instrument_never_seen_is_predicted_as_an_unknown_one(fitted: Path, rows: Rows) -> None:
    few = rows[0].iloc[:6].rename(index={"BTC/USDT": "NEW/USDT"}, level="instrument")
    assert np.isfinite(TabularForecaster.load(fitted).predict(few)).all()


def test_a_missing_column_is_named(fitted: Path, rows: Rows) -> None:
    with pytest.raises(ModelError, match="must have the columns edge"):
        TabularForecaster.load(fitted).predict(rows[0].drop(columns="edge"))


def test_rows_that_cannot_be_learnt_from_are_refused_and_nothing_is_left(
    rows: Rows, spec: FitSpec, tmp_path: Path
) -> None:
    frame, label = rows
    with pytest.raises(ModelError, match="both classes"):
        fit_tabular(frame, label * 0, spec, tmp_path / "none")
    with pytest.raises(ModelError, match="must have the index of the rows"):
        fit_tabular(frame, label.iloc[:-1], spec, tmp_path / "none")
    with pytest.raises(ModelError, match="must have the columns absent"):
        fit_tabular(frame, label, replace(spec, columns=("absent",)), tmp_path / "none")
    with pytest.raises(ModelError, match=r"must hold forecaster\.json"):
        TabularForecaster.load(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_fit_that_makes_no_sense_is_refused(spec: FitSpec) -> None:
    with pytest.raises(ConfigError, match="fit n_folds must be at least 3"):
        replace(spec, n_folds=1)
    with pytest.raises(ConfigError, match="fit profile must be one of light, fast"):
        replace(spec, profile="warp")
