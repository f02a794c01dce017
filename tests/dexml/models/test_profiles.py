"""What a profile changes in a fit, seen in what was fitted."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dexml.errors import ConfigError
from dexml.models.fits import limits_of
from dexml.models.profiles import PROFILES, FitSpec, estimated_seconds, learners, rules_of
from dexml.models.tabular import TabularForecaster, fit_tabular, read_oof
from dexml.targets import uniqueness

WHOLE = pytest.mark.whole
Rows = tuple[pd.DataFrame, pd.Series]


def rounds(folder: Path, name: str) -> int:
    return (folder / f"{name}.txt").read_text().count("\nTree=")


def around(label: pd.Series, at: pd.Timestamp, embargo_bars: int) -> pd.Series:
    """Turn over every label within the embargo of an instant."""
    away = abs(label.index.get_level_values("closed_at") - at)
    return label.mask(away <= pd.Timedelta(hours=embargo_bars), 1 - label)


@pytest.mark.slow
@pytest.mark.parametrize(
    "profile",
    ["light", "fast", *(pytest.param(name, marks=WHOLE) for name in ("standard", "best"))],
)
def test_a_profile_decides_learners_and_rounds_and_none_learnt_near_what_it_is_judged_on(
    profile: str, rows: Rows, spec: FitSpec, tmp_path: Path
) -> None:
    asked = replace(spec, profile=profile)
    frame, label = rows
    report = fit_tabular(frame, label, asked, tmp_path / "one")
    assert report.models == (*(one.name for one in learners(asked)), "reversal")
    for one in learners(asked):
        if one.kind == "FixedGBM":
            asked_for = one.parameters["num_boost_round"]  # a fold without a split left ends early
            assert 0.95 * asked_for <= rounds(tmp_path / "one", one.name) <= asked_for
    at = frame.index.get_level_values("closed_at").unique()[230]
    fit_tabular(frame, around(label, at, spec.embargo_bars), asked, tmp_path / "two")
    told, lied = (read_oof(tmp_path / name) for name in ("one", "two"))
    for one in learners(asked):
        np.testing.assert_array_equal(told.loc[at, one.name], lied.loc[at, one.name])
        assert (told[one.name] != lied[one.name]).any()  # others did learn from those rows
    np.testing.assert_array_equal(
        TabularForecaster.load(tmp_path / "one").predict(frame.iloc[:6]),
        TabularForecaster.load(tmp_path / "one").predict(frame)[:6],
    )


def test_more_work_is_more_learners_longer_ones_and_more_sets() -> None:
    for target in ("direction", "volume"):
        three = ("fast", "standard", "best")
        names = [{one.name for one in PROFILES[name].learners(target)} for name in three]
        assert names[0] < names[1] < names[2]
    assert [profile.n_sets for profile in PROFILES.values()] == [1, 1, 1, 2]
    specs = [FitSpec(target="volume", columns=("a",), profile=name) for name in PROFILES]
    seconds = [estimated_seconds(spec, 100_000) for spec in specs]
    assert seconds == sorted(seconds)
    limits = [limits_of(spec, 1_000_000).wall_s for spec in specs]
    assert limits == sorted(limits)
    assert limits[-1] > 3 * seconds[-1]


def test_the_light_profile_learns_from_whole_instants_of_a_large_panel(
    rows: Rows, spec: FitSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = replace(PROFILES["light"], most_rows=1_000)
    monkeypatch.setattr("dexml.models.tabular.PROFILES", {"light": few})
    fit_tabular(*rows, replace(spec, profile="light"), tmp_path / "light")
    learnt = read_oof(tmp_path / "light")
    assert len(learnt) <= 1_000
    assert (learnt.groupby(level="closed_at").size() == 3).all()
    hours = learnt.index.get_level_values("closed_at").unique().to_series().diff().dropna()
    assert set(hours) == {pd.Timedelta("5h")}  # 3 would learn from eight hours of the day only
    assert learnt.index.get_level_values("closed_at").hour.nunique() == 24
    assert TabularForecaster.load(tmp_path / "light").predict(rows[0]).shape == (len(rows[0]),)


def test_a_label_of_several_bars_weighs_rows_by_their_uniqueness(
    rows: Rows, spec: FitSpec, tmp_path: Path
) -> None:
    frame, label = rows
    one, two = replace(spec, horizon=1), replace(spec, horizon=4)
    fit_tabular(frame, label, one, tmp_path / "one")
    fit_tabular(frame, label, two, tmp_path / "two")
    weights = uniqueness(label.dropna().index, 4)
    assert weights.mean() == pytest.approx(1 / 4, rel=0.01)
    blends = [json.loads((tmp_path / k / "forecaster.json").read_text()) for k in ("one", "two")]
    held = [sum(map(abs, blend["blend"]["weights"])) for blend in blends]
    assert held[1] < held[0]  # a quarter of the evidence leaves the blend nearer to its prior
    trees = [(tmp_path / k / "FixedGBM_middle.txt").read_text() for k in ("one", "two")]
    leaf = [re.search(r"leaf_weight=(\S+)", text) for text in trees]
    assert len({found[1] for found in leaf if found}) == 2


def test_rules_of_the_next_bar_say_nothing_of_later_ones() -> None:
    spec = FitSpec(target="volume", columns=("volume_ratio_1",))
    assert rules_of(spec)
    assert not rules_of(replace(spec, horizon=2))


def test_an_embargo_shorter_than_the_horizon_is_refused(spec: FitSpec) -> None:
    with pytest.raises(ConfigError, match="fit embargo_bars must be at least 30"):
        replace(spec, embargo_bars=24, horizon=30)
