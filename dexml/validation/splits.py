"""Splits of rows by time: contiguous blocks with an embargo, and walk-forward windows.

Cuts are made on instants, never on rows, so all instruments of an instant stay together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.errors import DataError
from dexml.validation.inputs import Positions, nanoseconds

__all__ = ["Split", "bar_step", "block_splits", "check_spans", "make_split", "walk_forward"]

NONE = pd.Timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Positions of the rows to learn from and of the rows to be judged on.

    Attributes
    ----------
    train, test : ndarray of int64
        Disjoint positions into the rows that were split, ascending.
    """

    train: Positions
    test: Positions


def bar_step(closed_at: Any) -> pd.Timedelta:
    """Return the most usual distance between successive instants of `closed_at`.

    Raises
    ------
    DataError
        If there are fewer than two instants.

    Examples
    --------
    >>> bar_step(["2024-01-01 01:00", "2024-01-01 01:00", "2024-01-01 02:00"])
    Timedelta('0 days 01:00:00')
    """
    steps, counts = np.unique(np.diff(np.unique(nanoseconds(closed_at))), return_counts=True)
    if not len(steps):
        raise DataError("closed_at", "must hold two instants", closed_at, "Give more rows.")
    return pd.Timedelta(int(steps[np.argmax(counts)]), unit="ns")


def block_splits(
    closed_at: Any, n_folds: int = 5, embargo: pd.Timedelta = NONE, shift: float = 0.0
) -> list[Split]:
    """Cut time into contiguous blocks; each is judged once, by all others beyond the embargo.

    Parameters
    ----------
    closed_at : array-like of instants, shape (n_rows,)
        One for each row, in any order.
    n_folds : int
        Number of blocks, at least 2.
    embargo : Timedelta
        Rows nearer to a block than this are not learnt from; at least the label horizon plus what
        smooths the label.
    shift : float
        By how much of a block, in 0..1, all cuts lie later; beyond 0 the two ends of time are one
        block, the last.

    Notes
    -----
    Blocks in the middle are judged by models that saw the future: right for what feeds a stacker,
    wrong as a reported backtest (use `walk_forward`).

    Raises
    ------
    DataError
        If a block would have nothing to learn from or nothing to be judged on.

    References
    ----------
    Lopez de Prado (2018), Advances in Financial Machine Learning, section 7.4.

    Examples
    --------
    >>> hours = pd.date_range("2024-01-01", periods=6, freq="h")
    >>> split = block_splits(hours, n_folds=3, embargo=pd.Timedelta("1h"))[1]
    >>> split.train.tolist(), split.test.tolist()
    ([0, 5], [2, 3])
    """
    at = nanoseconds(closed_at)
    check_spans(positive=False, embargo=embargo)
    instants = np.unique(at)
    if not 2 <= n_folds <= len(instants):
        raise DataError(
            "n_folds", f"must be in 2..{len(instants)} (instants)", n_folds, "Give more rows."
        )
    n = len(instants)
    cuts = [round((fold + shift) * n / n_folds) for fold in range(n_folds)]
    edges = [*cuts[1:], n] if shift == 0.0 else [*cuts[1:], cuts[0] + n]
    splits = []
    for first, end in zip(cuts, edges, strict=True):
        inside, near = _piece(at, instants[first : min(end, n) + 1], min(end, n) - first, embargo)
        if end > n:  # the block goes on where time began
            head, before = _piece(at, instants[: end - n + 1], end - n, embargo)
            inside, near = inside | head, near | before
        splits.append(make_split(~near, inside))
    return splits


# The instants of a piece and the first after it; rows of the piece, and rows within the embargo.
def _piece(
    at: NDArray[np.int64], instants: NDArray[np.int64], length: int, embargo: pd.Timedelta
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    first = instants[0]
    end = instants[length] if length < len(instants) else instants[-1] + 1
    inside = (at >= first) & (at < end)
    return inside, (at >= first - embargo.value) & (at < end + embargo.value)


def walk_forward(
    closed_at: Any,
    train: pd.Timedelta,
    test: pd.Timedelta,
    step: pd.Timedelta | None = None,
    purge: pd.Timedelta = NONE,
    embargo: pd.Timedelta = NONE,
    anchored: bool = False,
    least: pd.Timedelta | None = None,
) -> Iterator[Split]:
    """Yield windows that learn from the past and are judged on what follows.

    Parameters
    ----------
    train, test : Timedelta
        Span learnt from (the first, when `anchored`) and span judged.
    step : Timedelta, optional
        Distance between windows; by default `test`. Shorter would judge rows twice and is refused.
    purge, embargo : Timedelta
        Both are left out between the two spans: the reach of the labels, and a safety margin.
    anchored : bool
        Whether every window learns from the very beginning.
    least : Timedelta, optional
        Span that is enough for the first window; later ones grow to `train`. By default `train`.

    Raises
    ------
    DataError
        If a span is not positive, a gap is negative, `step` is shorter than `test`, or no window
        fits.

    Examples
    --------
    >>> hours = pd.date_range("2024-01-01", periods=7, freq="h")
    >>> two, three = pd.Timedelta("2h"), pd.Timedelta("3h")
    >>> [(s.train.tolist(), s.test.tolist()) for s in walk_forward(hours, three, two)]
    [([0, 1, 2], [3, 4]), ([2, 3, 4], [5, 6])]
    """
    at = nanoseconds(closed_at)
    step, least = test if step is None else step, train if least is None else min(least, train)
    check_spans(positive=True, train=train, test=test, step=step, least=least)
    check_spans(positive=False, purge=purge, embargo=embargo)
    if step < test:
        raise DataError("step", f"must be at least the test span {test}", step, "Lengthen it.")
    start, end = int(at.min()), int(at.max())
    first = start + (least + purge + embargo).value
    if first > end:
        raise DataError(
            "walk-forward",
            f"needs more than {least + purge + embargo} of history",
            pd.Timedelta(end - start, unit="ns"),
            "Shorten the training span or give more bars.",
        )
    while first <= end:
        known = first - purge.value - embargo.value
        learnt = (at < known) & (at >= (start if anchored else known - train.value))
        judged = (at >= first) & (at < first + test.value)
        first += step.value
        if judged.any():
            yield make_split(learnt, judged)


def check_spans(*, positive: bool, **spans: pd.Timedelta) -> None:
    """Raise DataError if a span is negative or missing, or 0 where all must be positive.

    Examples
    --------
    >>> check_spans(positive=True, train=pd.Timedelta("1h"))
    """
    rule = "must be longer than 0" if positive else "must be given and not negative"
    for name, span in spans.items():
        if not (span > NONE or (span == NONE and not positive)):
            raise DataError(name, rule, span, "Give a Timedelta: bars times the span of one.")


def make_split(train: NDArray[np.bool_], test: NDArray[np.bool_]) -> Split:
    """Return the positions of two masks.

    Raises
    ------
    DataError
        If either is empty.

    Examples
    --------
    >>> make_split(np.array([True, False]), np.array([False, True])).test.tolist()
    [1]
    """
    if not train.any() or not test.any():
        raise DataError(
            "split",
            "must leave rows on both sides",
            f"{train.sum()} to learn from, {test.sum()} to judge",
            "Use fewer folds, a shorter embargo or more bars.",
        )
    return Split(train=np.flatnonzero(train), test=np.flatnonzero(test))
