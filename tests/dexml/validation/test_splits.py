from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dexml.errors import DataError
from dexml.validation.splits import bar_step, block_splits, walk_forward

HOUR = pd.Timedelta("1h")


def panel_times(n_hours: int, n_instruments: int = 3) -> pd.DatetimeIndex:
    return pd.date_range("2024-01-01", periods=n_hours, freq="h", tz="UTC").repeat(n_instruments)


@given(
    n_hours=st.integers(60, 120),
    folds=st.integers(2, 6),
    embargo=st.integers(0, 8),
    shift=st.sampled_from([0.0, 0.5, 0.3]),
)
@settings(max_examples=50, deadline=None)
def test_every_row_is_judged_once_and_learnt_from_only_beyond_the_embargo(
    n_hours: int, folds: int, embargo: int, shift: float
) -> None:
    at = panel_times(n_hours)
    splits = block_splits(at, folds, embargo * HOUR, shift)
    assert sorted(np.concatenate([s.test for s in splits]).tolist()) == list(range(len(at)))
    for split in splits:
        train, test = at[split.train], at[split.test]
        nearest = np.abs(train.to_numpy()[:, None] - test.unique().to_numpy()[None, :]).min()
        assert nearest > np.timedelta64(embargo, "h")


def test_shifted_blocks_begin_elsewhere_and_the_last_is_both_ends_of_time() -> None:
    at = panel_times(12, 1)
    blocks = [split.test.tolist() for split in block_splits(at, 3, shift=0.5)]
    assert blocks == [[2, 3, 4, 5], [6, 7, 8, 9], [0, 1, 10, 11]]
    learnt = [split.train.tolist() for split in block_splits(at, 3, HOUR, shift=0.5)]
    assert learnt == [[0, 7, 8, 9, 10, 11], [0, 1, 2, 3, 4, 11], [3, 4, 5, 6, 7, 8]]


def test_instruments_of_one_instant_are_never_parted() -> None:
    at = panel_times(101)
    for split in block_splits(at, 5):
        assert not set(at[split.train]) & set(at[split.test])


def test_blocks_do_not_depend_on_the_order_of_the_rows() -> None:
    at = panel_times(50)
    order = np.random.default_rng(0).permutation(len(at))
    for one, other in zip(block_splits(at, 5), block_splits(at[order], 5), strict=True):
        assert sorted(order[other.test].tolist()) == one.test.tolist()


def test_an_embargo_that_leaves_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(DataError, match="must leave rows on both sides"):
        block_splits(panel_times(10), 2, 100 * HOUR)


def test_more_folds_than_instants_are_refused() -> None:
    with pytest.raises(DataError, match="n_folds must be in"):
        block_splits(panel_times(3), 5)


@given(
    n_hours=st.integers(60, 150),
    train=st.integers(10, 30),
    test=st.integers(3, 10),
    gap=st.integers(0, 5),
    anchored=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_walking_forward_learns_from_the_past_and_judges_no_row_twice(
    n_hours: int, train: int, test: int, gap: int, anchored: bool
) -> None:
    at = panel_times(n_hours)
    splits = list(
        walk_forward(
            at, train * HOUR, test * HOUR, purge=HOUR, embargo=gap * HOUR, anchored=anchored
        )
    )
    judged = np.concatenate([s.test for s in splits])
    assert len(set(judged.tolist())) == len(judged)
    for split in splits:
        assert at[split.test].min() - at[split.train].max() > (gap + 1) * HOUR
        assert anchored or len(at[split.train].unique()) <= train
        assert not anchored or split.train[0] == 0
    assert at[judged].max() == at.max()


def test_a_step_shorter_than_the_test_span_is_refused() -> None:
    with pytest.raises(DataError, match="step must be at least"):
        list(walk_forward(panel_times(50), 10 * HOUR, 5 * HOUR, step=2 * HOUR))


def test_a_history_shorter_than_the_first_window_is_refused() -> None:
    with pytest.raises(DataError, match="needs more than"):
        list(walk_forward(panel_times(5), 10 * HOUR, 5 * HOUR))


@given(
    hours=st.lists(st.integers(0, 300), min_size=5, max_size=120),
    train=st.integers(1, 60),
    test=st.integers(1, 30),
    step=st.integers(0, 30),
    purge=st.integers(0, 10),
    embargo=st.integers(0, 10),
    least=st.integers(1, 60),
    anchored=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_no_row_is_on_both_sides_whatever_is_asked_and_whatever_is_missing(
    hours: list[int],
    train: int,
    test: int,
    step: int,
    purge: int,
    embargo: int,
    least: int,
    anchored: bool,
) -> None:
    at = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(hours, unit="h")
    try:
        splits = list(
            walk_forward(
                at,
                train * HOUR,
                test * HOUR,
                (test + step) * HOUR,
                purge * HOUR,
                embargo * HOUR,
                anchored,
                least * HOUR,
            )
        )
    except DataError as error:
        assume(not str(error).startswith(("split must leave rows", "walk-forward needs more")))
        raise
    judged = [row for split in splits for row in split.test]
    assert len(judged) == len(set(judged))
    for split in splits:
        learnt = at[split.train]
        assert at[split.test].min() - learnt.max() > (purge + embargo) * HOUR
        assert anchored or learnt.max() - learnt.min() < train * HOUR


def test_purging_is_by_time_and_not_by_row() -> None:
    # Ten hours are missing before the window that is judged, so its purge takes no row.
    at = panel_times(60, 1).delete(np.arange(20, 30))
    (first, *_) = walk_forward(at, 20 * HOUR, 10 * HOUR, purge=10 * HOUR)
    assert first.train.tolist() == list(range(20))
    assert first.test.tolist() == list(range(20, 30))


def test_the_first_window_may_be_short_and_later_ones_grow() -> None:
    at = panel_times(40, 1)
    splits = list(walk_forward(at, 20 * HOUR, 10 * HOUR, least=8 * HOUR))
    assert [len(one.train) for one in splits] == [8, 18, 20, 20]
    assert splits[0].test[0] == 8
    long = list(walk_forward(at, 20 * HOUR, 10 * HOUR, least=30 * HOUR))
    assert long[0].test[0] == 20  # more than a later window has would be no sense


def test_a_step_may_leave_rows_unjudged() -> None:
    splits = list(walk_forward(panel_times(30, 1), 10 * HOUR, 4 * HOUR, step=8 * HOUR))
    assert [one.test.tolist() for one in splits] == [
        [10, 11, 12, 13],
        [18, 19, 20, 21],
        [26, 27, 28, 29],
    ]


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ({"train": 0 * HOUR}, "train must be longer than 0"),
        ({"test": 0 * HOUR}, "test must be longer than 0"),
        ({"step": 0 * HOUR}, "step must be longer than 0"),
        ({"least": -HOUR}, "least must be longer than 0, was -1 days"),
        ({"purge": -HOUR}, "purge must be given and not negative"),
        ({"embargo": -HOUR}, "embargo must be given and not negative"),
        ({"embargo": pd.NaT}, "embargo must be given and not negative, was NaT"),
    ],
)
def test_spans_that_make_no_sense_are_refused(spans: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(walk_forward(panel_times(50), **{"train": 10 * HOUR, "test": 5 * HOUR} | spans))
    if "embargo" in spans:
        with pytest.raises(DataError, match=message):
            block_splits(panel_times(50), 5, spans["embargo"])


def test_rows_without_an_instant_are_refused() -> None:
    with pytest.raises(DataError, match="closed_at must be given and known, was 1 missing of 31"):
        block_splits(panel_times(10).append(pd.DatetimeIndex([pd.NaT], tz="UTC")))
    with pytest.raises(DataError, match="was 0 missing of 0"):
        list(walk_forward([], 10 * HOUR, 5 * HOUR))


def test_a_gap_does_not_change_the_bar_step() -> None:
    at = panel_times(10)
    assert bar_step(at[(at < at[9]) | (at > at[15])]) == HOUR
    with pytest.raises(DataError, match="two instants"):
        bar_step(at[:3])
