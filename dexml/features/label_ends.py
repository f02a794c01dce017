"""Proof that a label needs exactly as many bars more as its horizon says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd

from dexml.domain import Bars, History
from dexml.features.findings import Leak, compare

__all__ = ["Labels", "check_labels"]

Labels = Callable[[Mapping[str, Bars], int], pd.DataFrame]


def check_labels(
    history: History, labels: pd.DataFrame | Labels, horizon: int
) -> tuple[list[Leak], tuple[str, ...]]:
    """Find labels that know more or less than their horizon, and name all that were looked at."""
    frame = labels if isinstance(labels, pd.DataFrame) else labels(history.bars, horizon)
    leaks = [
        leak for name, bars in history.bars.items() for leak in _ends(frame, bars, name, horizon)
    ]
    if not isinstance(labels, pd.DataFrame):
        leaks += _check_label_cut(history, labels, frame, horizon)
    return leaks, tuple(map(str, frame.columns))


# The last `horizon` rows must be unknown, and the row before them known, if no hole parts them.
def _ends(frame: pd.DataFrame, bars: Bars, name: str, horizon: int) -> Iterator[Leak]:
    stamps = pd.DatetimeIndex(bars.closed_at[-horizon - 1 :], tz="UTC")
    rows = frame.reindex(pd.MultiIndex.from_product([stamps, [name]])).to_numpy()
    parted = stamps[-1] - stamps[0] != horizon * pd.Timedelta(bars.timeframe.step)
    for column, last in zip(frame.columns, rows.T, strict=True):
        if np.isfinite(last[1:]).any() or (np.isnan(last[0]) and not parted):
            known = int(np.isfinite(last[1:]).sum())
            detail = (
                f"{name}: {known} of the last {horizon} labels known, the one before: {last[0]}"
            )
            yield Leak(feature=str(column), check="label", closed_at=stamps[0], detail=detail)


def _check_label_cut(
    history: History, labels: Labels, frame: pd.DataFrame, horizon: int
) -> Iterator[Leak]:
    closes = max((bars.closed_at for bars in history.bars.values()), key=len)
    at = closes[len(closes) // 2]
    cut = {name: bars.until(at) for name, bars in history.bars.items()}
    found = labels(cut, horizon)
    for name, bars in cut.items():
        known = pd.DatetimeIndex(bars.closed_at[: max(len(bars) - horizon, 0)], tz="UTC")
        rows = pd.MultiIndex.from_product([known, [name]], names=frame.index.names)
        yield from compare(frame.loc[rows], found.loc[rows], "label", 0.0)
        if len(bars):
            yield from _ends(found, bars, name, horizon)
