from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dexml.errors import ModelError
from dexml.models.checks import CHECKS, Bench, Candidate
from dexml.models.rules import Reversal
from tests.dexml.models.candidates import CANDIDATES
from tests.own_process import said_by

NAMES = [one.name for one in CANDIDATES]


@pytest.fixture(scope="module", params=CANDIDATES, ids=NAMES)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(request.param, tmp_path_factory.mktemp(request.param.name))


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_every_forecaster_stands_every_check(bench: Bench, check: Callable[[Bench], None]) -> None:
    check(bench)


@pytest.mark.ray
@pytest.mark.whole
def test_every_forecaster_passes_through_ray(tmp_path: Path) -> None:
    same = said_by("tests.dexml.models.ray_scene", str(tmp_path))
    assert same == dict.fromkeys(NAMES, True)


@dataclass(frozen=True)
class Harmed:
    """A rule with one thing wrong with it."""

    harm: str
    rule: Reversal
    columns: tuple[str, ...] = ("return_1",)

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        if self.harm == "column":
            frame = frame.assign(return_1=frame.get("return_1", 0.0))
        p = self.rule.predict(frame)
        if self.harm == "certain":
            return np.where(p > 0.5, 1.0, p)
        if self.harm == "short":
            return p[1:]
        if self.harm == "nan":
            return np.where(frame["return_1"].isna(), np.nan, p)
        if self.harm == "ahead":
            ahead = frame["return_1"].shift(-3).fillna(0.0).to_numpy()
            return np.clip(p + 0.01 * np.sign(ahead), 0.01, 0.99)
        if self.harm == "batch":
            return np.clip(p + 1e-12 * len(frame), 0.01, 0.99)
        return p


STATE = {"fits": 0}


def harmed(harm: str) -> Candidate:
    def fit(rows: pd.DataFrame, y: pd.Series, seed: int, folder: Path) -> Harmed:
        STATE["fits"] += 1
        rule = Reversal().fit(rows, y.fillna(1.0) if harm == "labels" else y)
        if harm == "seed":
            rule = Reversal(after_fall=0.4 + 1e-9 * STATE["fits"], after_rise=0.5)
        if harm == "crash" and y.nunique() < 2:
            raise ZeroDivisionError
        return Harmed(harm, rule)

    return Candidate(name=harm, columns=("return_1",), fit=fit)


@pytest.mark.parametrize(
    ("harm", "check", "rule"),
    [
        ("certain", "predicts_a_probability_for_every_row", "must say a probability in"),
        ("short", "predicts_a_probability_for_every_row", "must predict one float64 for each row"),
        ("ahead", "the_future_changes_nothing", "must not need later rows"),
        ("batch", "a_row_has_the_same_bits_alone_and_among_all", "must not depend on other rows"),
        ("seed", "the_same_seed_gives_the_same_bits", "must say the same after a fit with the"),
        ("nan", "missing_values_are_no_obstacle", "must say a probability in"),
        ("column", "a_missing_column_is_named", "must refuse rows without return_1"),
        ("labels", "labels_that_are_not_known_are_not_learnt", "rows without a label"),
    ],
)
def test_a_forecaster_with_one_thing_wrong_is_caught(
    harm: str, check: str, rule: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=rule):
        CHECKS[check](Bench(harmed(harm), tmp_path))


def test_a_crash_in_place_of_a_refusal_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        CHECKS["rows_that_teach_nothing_are_refused_or_survived"](Bench(harmed("crash"), tmp_path))


def test_the_sound_rule_that_was_harmed_stands_all_of_it(tmp_path: Path) -> None:
    for check in CHECKS.values():
        check(Bench(harmed("nothing"), tmp_path))
