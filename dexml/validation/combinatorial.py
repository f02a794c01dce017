"""Combinatorial purged splits: every choice of test groups, stitched into many whole histories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dexml.errors import DataError
from dexml.validation.inputs import Floats, Positions, nanoseconds
from dexml.validation.splits import NONE, Split, check_spans, make_split

__all__ = ["CombinatorialSplits", "combinatorial_splits"]

MOST_SPLITS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CombinatorialSplits:
    """All splits of one history, and how they make whole paths.

    Attributes
    ----------
    splits : tuple of Split
        One for each choice of test groups, in lexical order of the groups.
    groups : ndarray of int64, shape (n_rows,)
        Group of each row, 0 the oldest.
    tested : ndarray of int64, shape (n_splits, n_test)
        Groups that each split is judged on.
    paths : ndarray of int64, shape (n_paths, n_groups)
        The split that judges each group of each path; no split judges a group of two paths.
    """

    splits: tuple[Split, ...]
    groups: Positions
    tested: Positions
    paths: Positions

    def stitch(self, values: Sequence[ArrayLike]) -> Floats:
        """Return what was said of each row along each path, shape (n_paths, n_rows).

        Parameters
        ----------
        values : sequence of array-like
            For each split, one number for each of its test rows, in their order.

        Raises
        ------
        DataError
            If a split has more or fewer numbers than test rows.

        Examples
        --------
        >>> days = pd.date_range("2024-01-01", periods=4)
        >>> cut = combinatorial_splits(days, n_groups=4, n_test=2)
        >>> cut.stitch([np.full(2, number) for number in range(6)])[0].tolist()
        [0.0, 0.0, 1.0, 2.0]
        """
        said = np.full((len(self.splits), len(self.groups)), np.nan)
        for row, split, numbers in zip(said, self.splits, values, strict=True):
            given = np.asarray(numbers, dtype=np.float64)
            if given.shape != split.test.shape:
                raise DataError(
                    "values of a split",
                    f"must be one for each of its {len(split.test)} test rows",
                    given.shape,
                    "Forecast every test row.",
                )
            row[split.test] = given
        return said[self.paths[:, self.groups], np.arange(len(self.groups))]


def combinatorial_splits(
    closed_at: Any,
    n_groups: int = 6,
    n_test: int = 2,
    purge: pd.Timedelta = NONE,
    embargo: pd.Timedelta = NONE,
) -> CombinatorialSplits:
    """Cut time into groups and judge on every choice of `n_test` of them.

    Parameters
    ----------
    closed_at : array-like of instants, shape (n_rows,)
        One for each row, in any order; rows of one instant stay together.
    n_groups, n_test : int
        Groups of about equally many instants, and how many of them are judged at a time.
    purge : Timedelta
        Rows that are not farther than this from a test group are not learnt from, on both sides;
        at least the horizon of the label plus what the label looks back at.
    embargo : Timedelta
        Left out in addition after a test group.

    Notes
    -----
    There are C(n_groups, n_test) splits and C(n_groups - 1, n_test - 1) paths, and each row is
    judged once on every path. Distances are of time: a gap in the bars purges no more rows.

    Raises
    ------
    DataError
        If the groups cannot be made, or a split would have nothing to learn from.

    References
    ----------
    Lopez de Prado (2018), Advances in Financial Machine Learning, sections 7.4 and 12.4.

    Examples
    --------
    >>> hours = pd.date_range("2024-01-01", periods=6, freq="h")
    >>> cut = combinatorial_splits(hours, n_groups=3, n_test=1, purge=pd.Timedelta("1h"))
    >>> [(one.train.tolist(), one.test.tolist()) for one in cut.splits]
    [([3, 4, 5], [0, 1]), ([0, 5], [2, 3]), ([0, 1, 2], [4, 5])]
    """
    at = nanoseconds(closed_at)
    check_spans(positive=False, purge=purge, embargo=embargo)
    instants, inverse = np.unique(at, return_inverse=True)
    _check_counts(n_groups, n_test, len(instants))
    groups = _group_of(len(instants), n_groups)[inverse]
    tested = np.array(list(combinations(range(n_groups), n_test)), dtype=np.int64)
    near = _near(at, groups, purge.value, embargo.value)
    splits = [make_split(~np.any(near[test], axis=0), np.isin(groups, test)) for test in tested]
    paths = _paths(tested, n_groups)
    return CombinatorialSplits(splits=tuple(splits), groups=groups, tested=tested, paths=paths)


def _check_counts(n_groups: int, n_test: int, n_instants: int) -> None:
    if not 2 <= n_groups <= n_instants:
        raise DataError(
            "n_groups", f"must be in 2..{n_instants} (instants)", n_groups, "Give more rows."
        )
    if not 1 <= n_test < n_groups:
        raise DataError(
            "n_test", f"must be in 1..{n_groups - 1}", n_test, "Leave a group to learn from."
        )
    if comb(n_groups, n_test) > MOST_SPLITS:
        raise DataError(
            "combinatorial splits",
            f"must be at most {MOST_SPLITS}",
            comb(n_groups, n_test),
            "Use fewer groups.",
        )


def _group_of(n_instants: int, n_groups: int) -> Positions:
    sizes = [len(part) for part in np.array_split(np.arange(n_instants), n_groups)]
    return np.repeat(np.arange(n_groups), sizes)


# Too near to learn from, for each group: in it, in its purge, or in its embargo.
def _near(at: Positions, groups: Positions, purge: int, embargo: int) -> NDArray[np.bool_]:
    rows = []
    for group in range(groups.max() + 1):
        own = at[groups == group]
        rows.append((at >= own.min() - purge) & (at <= own.max() + purge + embargo))
    return np.array(rows)


def _paths(tested: Positions, n_groups: int) -> Positions:
    return np.array([np.flatnonzero((tested == group).any(axis=1)) for group in range(n_groups)]).T
