"""Proof that features use nothing from the future: cut it off, change it, begin elsewhere.

And that each honours its window, and has live the bits that it has in batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
import pandas as pd

from dexml.domain import Bars, History
from dexml.errors import DataError
from dexml.features.cuts import chance_cuts, telling_cuts
from dexml.features.findings import AuditReport, Check, Leak, compare, first_of_each
from dexml.features.forgeries import begin_later, forge_future, tail
from dexml.features.honesty import (
    answer_nothing,
    as_newest,
    both_ways,
    columns_of,
    heard_live,
    over_more,
    own_columns,
)
from dexml.features.panel import build_panel, warm_up

__all__ = ["AuditReport", "Build", "Check", "Labels", "Leak", "audit"]

Build = Callable[[History], pd.DataFrame]
Labels = Callable[[Mapping[str, Bars], int], pd.DataFrame]

_ROWS = 220  # audited after the warm-up
_TOLERANCE = 1e-6


def audit(
    history: History,
    *,
    labels: pd.DataFrame | Labels | None = None,
    horizon: int = 1,
    n_cuts: int = 3,
    seed: int = 0,
    build: Build | None = None,
) -> AuditReport:
    """Check every feature for look-ahead on the last stretch of a history.

    Parameters
    ----------
    history : History
        Longer than the warm-up by at least 50 bars.
    labels : DataFrame or callable, optional
        A callable (bars, horizon) is checked by truncation too; a frame made from the whole
        history only for where its labels end.
    horizon : int
        A label must need exactly so many bars more.
    n_cuts : int
        Instants, drawn by chance, at which the future is cut off and changed, besides up to four
        where seldom mistakes show: while a headline, a macro value or its revision is not yet
        known, an exchange or a bar is missing.
    build : callable, optional
        Makes the panel. Default: `build_panel`, with users' indicators over everything at once, so
        that it shows what they would reach if their window did not hold them.

    Returns
    -------
    AuditReport

    Raises
    ------
    DataError
        If the history is too short to be audited.
    """
    # Durations in a report are not decisions: the monotonic clock is the one to read here.
    began = time.perf_counter()
    piece = tail(history, warm_up(history.timeframe) + _ROWS)
    make = build or partial(build_panel, on_windows=False)
    whole = make(piece)
    if whole.index.get_level_values(0).nunique() < 50:
        raise DataError(
            "history",
            f"must be at least {warm_up(history.timeframe) + 50} bars long to be audited",
            max(len(bars) for bars in history.bars.values()),
            "Backfill more bars.",
        )
    generator = np.random.default_rng(seed)
    cuts = _cuts(piece, whole, n_cuts, generator)
    leaks = [*_check_cuts(piece, whole, cuts, make, generator), *_check_start(piece, whole, make)]
    own = own_columns(piece) if build else columns_of(whole, piece)
    leaks += _check_indicators(history, piece, own, generator)
    if build is None and not leaks:
        leaks += compare(*heard_live(piece, whole), "live", 0.0)
    n_targets = 0
    if labels is not None:
        found, n_targets = _check_labels(history, labels, horizon)
        leaks += found
    return AuditReport(
        checked=whole.shape[1] + n_targets,
        leaks=first_of_each(leaks),
        seconds=time.perf_counter() - began,
    )


# What is cut off there is told by every cut; what is changed, by chance and by the most telling.
def _cuts(
    piece: History, whole: pd.DataFrame, n_cuts: int, generator: np.random.Generator
) -> dict[pd.Timestamp, bool]:
    closes = pd.DatetimeIndex(whole.index.get_level_values(0).unique())
    inner = closes[len(closes) // 4 : -2]
    drawn = chance_cuts(inner, n_cuts, generator)
    telling = telling_cuts(piece, inner, drawn)
    return {cut: k <= len(drawn) for k, cut in enumerate([*drawn, *telling])}


def _check_cuts(
    piece: History,
    whole: pd.DataFrame,
    cuts: Mapping[pd.Timestamp, bool],
    build: Build,
    generator: np.random.Generator,
) -> Iterator[Leak]:
    stamps = whole.index.get_level_values(0)
    for cut, changed in cuts.items():
        at = cut.tz_localize(None).to_datetime64()
        before = whole[stamps <= cut]
        yield from compare(before, build(piece.until(at)), "truncation", 0.0)
        if changed:
            forged = build(forge_future(piece, at, generator))
            kept = forged[forged.index.get_level_values(0) <= cut]
            yield from compare(before, kept, "perturbation", 0.0)


def _check_start(piece: History, whole: pd.DataFrame, build: Build) -> Iterator[Leak]:
    later = build(begin_later(piece, _ROWS // 2 + 1))
    shared = whole[whole.index.isin(later.index)]
    yield from compare(shared, later, "start", _TOLERANCE)


def _check_indicators(
    history: History,
    piece: History,
    own: Mapping[str, pd.DataFrame],
    generator: np.random.Generator,
) -> Iterator[Leak]:
    for over_all, on_windows in both_ways(piece, own):
        yield from compare(over_all, on_windows, "window", _TOLERANCE)
    for batch, newest in as_newest(piece, own):
        yield from compare(batch, newest, "live", 0.0)
    if longer := over_more(history, own):
        yield from compare(*longer, "start", _TOLERANCE)
    for name, deaf in answer_nothing(piece, own, generator):
        detail = f"{name} has the same values on another market"
        for column in map(str, deaf):
            yield Leak(feature=column, check="memory", closed_at=deaf.index[0][0], detail=detail)


def _check_labels(
    history: History, labels: pd.DataFrame | Labels, horizon: int
) -> tuple[list[Leak], int]:
    frame = labels if isinstance(labels, pd.DataFrame) else labels(history.bars, horizon)
    leaks = [
        leak for name, bars in history.bars.items() for leak in _ends(frame, bars, name, horizon)
    ]
    if not isinstance(labels, pd.DataFrame):
        leaks += _check_label_cut(history, labels, frame, horizon)
    return leaks, frame.shape[1]


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
