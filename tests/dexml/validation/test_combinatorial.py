from __future__ import annotations

from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from skfolio.model_selection import CombinatorialPurgedCV

from dexml.errors import DataError
from dexml.validation.combinatorial import combinatorial_splits

HOUR = pd.Timedelta("1h")


def hours(n: int) -> pd.DatetimeIndex:
    return pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC")


@pytest.mark.parametrize(
    ("n_groups", "n_test", "purge", "embargo"),
    [(3, 2, 0, 0), (6, 2, 0, 0), (6, 2, 3, 0), (6, 2, 0, 4), (6, 3, 3, 4), (5, 4, 1, 1)],
)
def test_the_splits_and_paths_are_those_of_skfolio(
    n_groups: int, n_test: int, purge: int, embargo: int
) -> None:
    n = n_groups * 20
    mine = combinatorial_splits(hours(n), n_groups, n_test, purge * HOUR, embargo * HOUR)
    theirs = CombinatorialPurgedCV(n_groups, n_test, purged_size=purge, embargo_size=embargo)
    for one, (train, tests) in zip(mine.splits, theirs.split(np.zeros((n, 1))), strict=True):
        np.testing.assert_array_equal(one.train, train)
        np.testing.assert_array_equal(one.test, np.concatenate(tests))
    np.testing.assert_array_equal(mine.paths.T, theirs.recombined_paths)


@given(
    n_hours=st.integers(8, 60),
    n_groups=st.integers(2, 7),
    n_test=st.integers(1, 6),
    purge=st.integers(0, 9),
    embargo=st.integers(0, 9),
    missing=st.sets(st.integers(0, 59)),
)
@settings(max_examples=150, deadline=None)
def test_no_row_is_learnt_from_within_the_purge_whatever_is_missing(
    n_hours: int, n_groups: int, n_test: int, purge: int, embargo: int, missing: set[int]
) -> None:
    kept = [hour for hour in range(n_hours) if hour not in missing]
    assume(n_groups <= len(kept) and n_test < n_groups)
    at = hours(n_hours)[kept].repeat(2)
    try:
        cut = combinatorial_splits(at, n_groups, n_test, purge * HOUR, embargo * HOUR)
    except DataError as error:
        assume("must leave rows on both sides" not in str(error))
        raise
    for split in cut.splits:
        assert not set(split.train) & set(split.test)
        learnt, judged = np.repeat(kept, 2)[split.train], np.repeat(kept, 2)[split.test]
        ahead = learnt[:, None] - judged[None, :]
        assert np.abs(ahead).min() > purge
    times_tested = np.bincount(np.concatenate([one.test for one in cut.splits]))
    assert set(times_tested) == {comb(n_groups - 1, n_test - 1)}


def test_the_embargo_holds_after_a_test_group_alone() -> None:
    cut = combinatorial_splits(hours(30), 3, 1, purge=2 * HOUR, embargo=3 * HOUR)
    middle = cut.splits[1]
    assert middle.test.tolist() == list(range(10, 20))
    assert middle.train.tolist() == [*range(8), *range(25, 30)]


def test_purging_is_by_time_and_not_by_row() -> None:
    # Ten hours are missing before the second group: its purge of 5 h reaches none of the first.
    at = hours(30).delete(np.arange(5, 15))
    cut = combinatorial_splits(at, 4, 1, purge=5 * HOUR)
    assert cut.splits[1].test.tolist() == [5, 6, 7, 8, 9]
    assert cut.splits[1].train.tolist() == [*range(5), *range(15, 20)]


def test_paths_use_each_judgement_once() -> None:
    cut = combinatorial_splits(hours(60), 6, 2)
    assert cut.paths.shape == (5, 6)
    used = {(split, group) for path in cut.paths for group, split in enumerate(path)}
    assert used == {(n, g) for n, test in enumerate(cut.tested) for g in test}


def test_a_stitched_path_says_of_each_row_what_its_split_said() -> None:
    at = hours(24).repeat(2)[np.random.default_rng(0).permutation(48)]
    cut = combinatorial_splits(at, 4, 2)
    said = cut.stitch([number * 1_000.0 + one.test for number, one in enumerate(cut.splits)])
    assert said.shape == (3, 48)
    for path, row in zip(cut.paths, said, strict=True):
        np.testing.assert_array_equal(row % 1_000, np.arange(48))
        np.testing.assert_array_equal(row // 1_000, path[cut.groups])


@pytest.mark.parametrize(
    ("n_groups", "n_test", "message"),
    [
        (1, 1, r"n_groups must be in 2\.\.30"),
        (31, 2, r"n_groups must be in 2\.\.30 \(instants\), was 31"),
        (6, 0, r"n_test must be in 1\.\.5, was 0"),
        (6, 6, r"n_test must be in 1\.\.5, was 6"),
        (30, 15, "must be at most 100000, was 155117520"),
    ],
)
def test_groups_that_cannot_be_made_are_refused(n_groups: int, n_test: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        combinatorial_splits(hours(30), n_groups, n_test)


def test_a_purge_that_leaves_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(DataError, match="must leave rows on both sides"):
        combinatorial_splits(hours(30), 3, 1, purge=30 * HOUR)
    with pytest.raises(DataError, match="embargo must be given and not negative"):
        combinatorial_splits(hours(30), 3, 1, embargo=-HOUR)


def test_a_split_must_say_something_of_each_of_its_rows() -> None:
    cut = combinatorial_splits(hours(30), 3, 1)
    with pytest.raises(DataError, match="one for each of its 10 test rows, was"):
        cut.stitch([np.zeros(9)] * 3)
