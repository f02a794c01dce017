from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from actors.cost import budget_s, fit_seconds, most_within
from actors.cpcv import path_of
from actors.tuning import choices_of
from dexml.errors import UsageError
from dexml.models.profiles import PROFILES, FitSpec, estimated_seconds
from dexml.validation.combinatorial import combinatorial_splits

HOURS = pd.date_range("2024-01-01", periods=60, freq="h", tz="UTC")
ROWS = HOURS.repeat(2)  # two instruments


def test_the_spans_of_a_split_hold_its_rows_and_no_other() -> None:
    cut = combinatorial_splits(
        ROWS, n_groups=6, n_test=2, purge=pd.Timedelta("2h"), embargo=pd.Timedelta("1h")
    )
    for split, choice in zip(cut.splits, choices_of(cut.splits, ROWS), strict=True):
        assert np.flatnonzero(choice.train_rows(ROWS)).tolist() == split.train.tolist()
        assert np.flatnonzero(choice.test_rows(ROWS)).tolist() == split.test.tolist()
    assert len(choices_of(cut.splits, ROWS)[1].test) == 2  # groups 0 and 2, apart


def test_each_path_has_every_row_once_and_agrees_with_the_stitching() -> None:
    cut = combinatorial_splits(ROWS, n_groups=5, n_test=2)
    said = [np.full(len(split.test), float(number)) for number, split in enumerate(cut.splits)]
    parts = [
        pd.DataFrame({"closed_at": ROWS[split.test], "fold": number, "p": float(number)})
        for number, split in enumerate(cut.splits)
    ]
    forecasts = pd.concat(parts, ignore_index=True)
    for path, expected in enumerate(cut.stitch(said)):
        found = path_of(forecasts, cut, ROWS, path).sort_values("closed_at")
        assert found["p"].tolist() == expected.tolist()
        assert found["closed_at"].tolist() == ROWS.tolist()


def test_a_budget_leaves_as_many_as_it_pays_and_names_itself_where_it_pays_none() -> None:
    assert most_within(None, 8, 1, lambda n: 1e9, "folds") == 8
    assert most_within(35.0, 8, 1, lambda n: 10.0 * n, "folds") == 3
    with pytest.raises(UsageError, match="--budget must pay 1 folds, about 10 s, was 5 s"):
        most_within(5.0, 8, 1, lambda n: 10.0 * n, "folds")
    with pytest.raises(UsageError, match="--budget must read as 90s"):
        budget_s("soon")
    specs = [FitSpec(target="direction", columns=("return_1",), profile=name) for name in PROFILES]
    assert fit_seconds(specs, 900, 300) == sum(
        estimated_seconds(spec, n) for spec in specs for n in (900, 300)
    )
