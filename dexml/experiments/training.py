"""What is learnt from and what is judged on: a split in time with an embargo between."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import pandas as pd

from dexml.errors import UsageError

__all__ = ["TimeSplit", "shortest_panel", "split_in_time"]

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
