"""From a panel to a suite of models: the split in time, the rows of each fit, the stacker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np
import pandas as pd

from dexml.domain import Target
from dexml.ensemble import Stacker
from dexml.errors import UsageError

__all__ = ["TimeSplit", "fit_stacker", "shortest_panel", "split_in_time", "training_rows"]

EMBARGO_BARS = 24
MINIMUM_TRAINING_BARS = 500
TEST_SHARE = 0.28


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeSplit:
    """Rows to learn from and rows to be judged on, later in time, with an embargo between.

    Attributes
    ----------
    train, test : DataFrame
        Parts of the panel.
    """

    train: pd.DataFrame
    test: pd.DataFrame


def split_in_time(panel: pd.DataFrame, test_share: float = TEST_SHARE) -> TimeSplit:
    """Cut the panel in two at an instant, all instruments together.

    Raises
    ------
    UsageError
        If fewer than `MINIMUM_TRAINING_BARS` instants remain to learn from.
    """
    instants = panel.index.get_level_values("closed_at").unique().sort_values()
    first_test = round(len(instants) * (1 - test_share))
    last_train = first_test - EMBARGO_BARS
    if last_train < MINIMUM_TRAINING_BARS:
        raise UsageError(
            "history",
            f"must leave at least {MINIMUM_TRAINING_BARS} bars to learn from",
            max(0, last_train),
            "Give a longer one with --history.",
        )
    closed_at = panel.index.get_level_values("closed_at")
    return TimeSplit(
        train=panel[closed_at < instants[last_train]],
        test=panel[closed_at >= instants[first_test]],
    )


def shortest_panel(test_share: float = TEST_SHARE) -> int:
    """Return the fewest instants that `split_in_time` accepts.

    Examples
    --------
    >>> shortest_panel()
    728
    """
    wanted = MINIMUM_TRAINING_BARS + EMBARGO_BARS
    return next(n for n in count(wanted) if round(n * (1 - test_share)) >= wanted)


def training_rows(
    train: pd.DataFrame, labels: pd.DataFrame, target: Target, columns: tuple[str, ...]
) -> pd.DataFrame:
    """Return the features a target sees, with its label as column `y`; unknown labels are gone."""
    rows = train[list(columns)].copy()
    rows["y"] = labels[str(target)].reindex(train.index)
    return rows.dropna(subset=["y"])


def fit_stacker(oof: Mapping[Target, pd.Series], labels: pd.DataFrame) -> Stacker:
    """Fit the ensemble on out-of-fold forecasts only.

    Parameters
    ----------
    oof : mapping of target to Series
        Out-of-fold probabilities of the members that may vote on direction.
    """
    members = pd.DataFrame({str(target): series for target, series in oof.items()}).dropna()
    y = labels[str(Target.DIRECTION)].reindex(members.index)
    known = y.notna().to_numpy()
    return Stacker.fit(members[known], y[known].to_numpy(dtype=np.float64))
