from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dexml.errors import ModelError
from dexml.models.profiles import FitSpec
from dexml.models.sequence.config import SequenceConfig
from dexml.models.sequence.fitting import Watch, fit_sequence
from dexml.models.sequence.forecaster import MEMBER, SequenceForecaster
from dexml.models.sequence.training import Progress
from dexml.models.tabular import FitReport, read_oof
from dexml.validation.splits import block_splits

Rows = tuple[pd.DataFrame, pd.Series]


def test_the_network_finds_what_is_in_the_order_of_bars(learnt: Path, bars: Rows) -> None:
    report = FitReport.read(learnt, 1.0, 1.0)
    scores = report.scores
    assert report.models == (MEMBER,)
    assert scores["forecaster"]["t"] > 5
    frame, label = bars[0]["edge"], bars[1].dropna()
    by_one_row = ((frame.reindex(label.index) > 0) == (label == 1.0)).mean()
    assert scores["forecaster"]["accuracy"] > 0.75 > by_one_row + 0.1
    assert scores["forecaster"]["log_loss"] < scores["base_rate"]["log_loss"] - 0.1
    history = json.loads((learnt / "forecaster.json").read_text())["history"]
    assert min(history) < history[0]


def test_every_row_with_a_label_and_a_whole_window_is_judged_out_of_fold(
    learnt: Path, bars: Rows, asked: FitSpec
) -> None:
    oof = read_oof(learnt)
    frame, label = bars
    whole = frame.groupby(level="instrument").cumcount() >= 7
    assert sorted(oof.index) == sorted(frame.index[whole & label.notna()])
    assert oof.notna().all(axis=None)


def test_out_of_fold_forecasts_do_not_know_their_own_labels(
    bars: Rows, asked: FitSpec, tmp_path: Path
) -> None:
    frame, label = bars[0], bars[1].copy()
    block = block_splits(frame.index.get_level_values(0), asked.n_folds)[1].test
    fit_sequence(frame, label, asked, tmp_path / "one")
    label.iloc[block] = 1 - label.iloc[block]
    fit_sequence(frame, label, asked, tmp_path / "two")
    one, two = (read_oof(tmp_path / name).loc[frame.index[block]] for name in ("one", "two"))
    np.testing.assert_array_equal(one[MEMBER], two[MEMBER])
    assert (one["y"] == 1 - two["y"]).all()


def test_out_of_fold_networks_never_see_a_bar_of_the_block_they_are_judged_on(
    bars: Rows, asked: FitSpec, tmp_path: Path
) -> None:
    # All columns of the block are replaced by noise: networks of this block stay as they are, so
    # rows of the block whose windows are given back say the same.
    heard: dict[str, list[float]] = {}

    class Listener(Watch):
        def begin(self, name: str) -> None:
            self.losses = heard.setdefault(name, [])

        def report(self, progress: Progress) -> None:
            self.losses.append(progress.log_loss)

    frame, label = bars
    block = block_splits(frame.index.get_level_values(0), asked.n_folds)[1].test
    changed = frame.copy()
    changed.iloc[block] = np.random.default_rng(5).normal(size=(len(block), frame.shape[1]))
    fit_sequence(frame, label, asked, tmp_path / "one", watch=Listener())
    first = dict(heard)
    heard.clear()
    fit_sequence(changed, label, asked, tmp_path / "two", watch=Listener())
    assert list(first) == ["fold 1", "fold 2", "fold 3", "all"]
    assert str(heard["fold 2"]) == str(first["fold 2"])  # NaN before the first epoch ends
    assert str(heard["fold 1"]) != str(first["fold 1"])


def test_the_same_rows_and_seed_give_the_same_bytes_and_another_seed_others(
    learnt: Path, bars: Rows, asked: FitSpec, tmp_path: Path
) -> None:
    fit_sequence(*bars, asked, tmp_path / "again")
    fit_sequence(*bars, replace(asked, seed=1), tmp_path / "other")
    for path in learnt.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name
        assert path.read_bytes() != (tmp_path / "other" / path.name).read_bytes(), path.name


def test_a_row_has_the_same_bits_alone_and_among_all(learnt: Path, bars: Rows) -> None:
    forecaster, frame = SequenceForecaster.load(learnt), bars[0].iloc[:600]
    whole = pd.Series(forecaster.predict(frame), frame.index)
    for last in range(24, 600, 61):
        few = frame.iloc[last + 1 - 24 : last + 1]  # eight closes of three instruments
        np.testing.assert_array_equal(forecaster.predict(few)[-3:], whole.iloc[last - 2 : last + 1])
    shuffled = frame.sample(frac=1.0, random_state=0)
    np.testing.assert_array_equal(forecaster.predict(shuffled), whole.reindex(shuffled.index))


def test_after_a_hole_an_instrument_is_silent_until_a_window_is_whole_again(
    learnt: Path, bars: Rows
) -> None:
    forecaster, frame = SequenceForecaster.load(learnt), bars[0]
    assert forecaster.lookback == 8
    hole = frame.index.get_level_values("closed_at").unique()[20]
    holed = frame.iloc[:150].drop((hole, "ETH/USDT"))
    said = pd.Series(forecaster.predict(holed), holed.index)
    silent = said[said.isna()].unstack("instrument").index
    eth = said.xs("ETH/USDT", level="instrument")
    btc = said.xs("BTC/USDT", level="instrument")
    assert btc.isna().sum() == 7
    assert eth.isna().tolist() == [True] * 7 + [False] * 13 + [True] * 7 + [False] * 22
    assert len(silent) == 14


def test_no_advice_stops_a_fit_and_all_of_it_is_logged(
    bars: Rows, asked: FitSpec, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fit_sequence(*bars, asked, tmp_path / "model")
    assert "data.sequence_length = 8: a tabular model sees as far" in caplog.text


@pytest.mark.parametrize(
    ("n_rows", "turn", "message"),
    [
        (60, lambda y: y, "must have 100 rows to learn from, was 60"),
        (240, lambda y: y, "must have 100 windows before the block that ends a training"),
        (2_100, lambda y: y * 0, "must hold both classes"),
        (2_100, lambda y: y.iloc[:-1], "must have the index of the rows"),
    ],
)
def test_rows_that_cannot_be_learnt_from_are_refused_and_nothing_is_left(
    bars: Rows, asked: FitSpec, tmp_path: Path, n_rows: int, turn: object, message: str
) -> None:
    frame, label = bars[0].iloc[:n_rows], turn(bars[1].iloc[:n_rows])  # type: ignore[operator]
    with pytest.raises(ModelError, match=message):
        fit_sequence(frame, label, asked, tmp_path / "none")
    assert not list(tmp_path.iterdir())


def test_what_all_networks_see_is_what_the_profile_allows(
    learnt: Path, bars: Rows, asked: FitSpec, tmp_path: Path
) -> None:
    values = asked.sequence
    assert isinstance(values, SequenceConfig)
    few = replace(values, trainer=replace(values.trainer, max_samples=4_096, epochs=100))

    class Count(Watch):
        seen = 0

        def begin(self, name: str) -> None:
            self.before = 0

        def report(self, progress: Progress) -> None:
            self.seen += progress.samples - self.before
            self.before = progress.samples

    watch = Count()
    fit_sequence(*bars, replace(asked, sequence=few), tmp_path / "few", watch=watch)
    assert watch.seen == 4_096


@pytest.mark.parametrize("harm", ["missing", "pickled", "another", "tabular"])
def test_a_broken_folder_is_refused(learnt: Path, tmp_path: Path, harm: str) -> None:
    import shutil

    folder = Path(shutil.copytree(learnt, tmp_path / "model"))
    weights, values = folder / "network.npz", json.loads((folder / "forecaster.json").read_text())
    if harm == "missing":
        weights.unlink()
    elif harm == "pickled":
        np.savez(weights, lstm=np.array([{"a": 1}], dtype=object))
    elif harm == "another":
        np.savez(weights, lstm=np.zeros(3))
    else:
        del values["kind"]
        (folder / "forecaster.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match=r"must be arrays|must fit the network|must be sequence"):
        SequenceForecaster.load(folder)


def test_a_fold_does_not_speak_against_the_block_that_it_lacks(
    bars: Rows, asked: FitSpec, tmp_path: Path
) -> None:
    # Labels that nothing tells, more ones in one block: the base rate of the others is lower, and
    # with it in the forecasts a stacker would find that they are best turned over.
    frame, rng = bars[0], np.random.default_rng(8)
    label = pd.Series((rng.random(len(frame)) < 0.4).astype(float), frame.index)
    block = block_splits(frame.index.get_level_values(0), asked.n_folds)[2].test
    label.iloc[block] = (rng.random(len(block)) < 0.8).astype(float)
    fit_sequence(frame, label, asked, tmp_path / "model")
    oof = read_oof(tmp_path / "model")
    by_block = oof.groupby("base_rate")[[MEMBER, "y"]].mean()
    assert by_block["y"].max() - by_block["y"].min() > 0.3
    assert by_block.index.max() - by_block.index.min() > 0.1  # what the base rates themselves say
    assert by_block[MEMBER].max() - by_block[MEMBER].min() < 0.06
