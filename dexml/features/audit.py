"""Proof that features use nothing from the future: cut it off, change it, begin elsewhere.

And that each honours its window, and has live the bits that it has in batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import SOCIAL, Bars, History
from dexml.errors import DataError, LeakFound
from dexml.features.forgeries import begin_later, forge_future, tail
from dexml.features.honesty import both_ways, heard_live
from dexml.features.panel import build_panel, warm_up

__all__ = ["AuditReport", "Build", "Check", "Labels", "Leak", "audit"]

Build = Callable[[History], pd.DataFrame]
Labels = Callable[[Mapping[str, Bars], int], pd.DataFrame]
Check = Literal["truncation", "perturbation", "start", "window", "live", "label"]

_ROWS = 220  # audited after the warm-up
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A feature or target that broke a check.

    Attributes
    ----------
    feature : str
        Column; "(rows)" if whole rows appeared or vanished.
    check : str
        "truncation", "perturbation", "start", "window" (it reaches beyond the window that it
        declares), "live" (heard close by close it has other bits) or "label".
    closed_at : Timestamp
        First row that differs.
    detail : str
        The instrument and both values.
    """

    feature: str
    check: Check
    closed_at: pd.Timestamp
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What was audited and what was found.

    Attributes
    ----------
    checked : int
        Features and targets.
    """

    checked: int
    leaks: tuple[Leak, ...]
    seconds: float

    @property
    def names(self) -> tuple[str, ...]:
        """Return the leaking features, each once, sorted."""
        return tuple(sorted({leak.feature for leak in self.leaks}))

    def raise_if_leaking(self) -> None:
        """Raise `LeakFound` with the name of every leaking feature."""
        if self.leaks:
            first = self.leaks[0]
            raise LeakFound(
                f"features {', '.join(self.names)}",
                "must use nothing from the future",
                f"{first.feature} broken by {first.check} at {first.closed_at}: {first.detail}",
                "Remove them, join them by the instant they were known, or declare their window.",
            )


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
        Instants at which the future is cut off and changed, besides one while a headline, one while
        a macro value and one while a social value is published but not yet known.
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
    leaks = [*_check_cuts(piece, whole, _cuts(piece, whole, n_cuts, generator), make, generator)]
    leaks += [*_check_start(piece, whole, make), *_check_windows(piece)]
    if build is None and not leaks:
        leaks += _compare(*heard_live(piece), "live", 0.0)
    n_targets = 0
    if labels is not None:
        found, n_targets = _check_labels(history, labels, horizon)
        leaks += found
    return AuditReport(
        checked=whole.shape[1] + n_targets,
        leaks=_first_of_each(leaks),
        seconds=time.perf_counter() - began,
    )


def _first_of_each(leaks: list[Leak]) -> tuple[Leak, ...]:
    first = {(leak.feature, leak.check): leak for leak in reversed(leaks)}
    return tuple(sorted(first.values(), key=lambda leak: (leak.feature, leak.check)))


# A fact in flight (published, not yet known) shows a join by the wrong stamp, so one cut is laid
# there for each kind; the others fall inside a higher bar that has not closed.
def _cuts(
    piece: History, whole: pd.DataFrame, n_cuts: int, generator: np.random.Generator
) -> list[pd.Timestamp]:
    closes = pd.DatetimeIndex(whole.index.get_level_values(0).unique())
    inner = closes[len(closes) // 4 : -2]
    open_ = inner[(inner.hour % 4 != 0) & (inner.hour != 0)]
    pool = open_ if len(open_) else inner
    picked = {pool[int(k)] for k in generator.integers(0, len(pool), n_cuts)}
    social = piece.macro["series"].astype(str).str.startswith(SOCIAL)  # hourly: always in flight
    by_period = (piece.macro[~social], piece.macro[social])
    for frame, stamp in ((piece.news, "published_at"), *((one, "period_at") for one in by_period)):
        picked |= {*_in_flight(frame, stamp, inner)[-1:]}
    return sorted(picked)


def _in_flight(frame: pd.DataFrame, stamp: str, closes: pd.DatetimeIndex) -> list[pd.Timestamp]:
    if not len(frame):
        return []
    begun = np.searchsorted(np.sort(frame[stamp].to_numpy()), closes.to_numpy(), side="right")
    known = np.searchsorted(np.sort(frame["known_at"].to_numpy()), closes.to_numpy(), side="right")
    return list(closes[begun > known])


def _check_cuts(
    piece: History,
    whole: pd.DataFrame,
    cuts: list[pd.Timestamp],
    build: Build,
    generator: np.random.Generator,
) -> Iterator[Leak]:
    stamps = whole.index.get_level_values(0)
    for cut in cuts:
        at = cut.tz_localize(None).to_datetime64()
        before = whole[stamps <= cut]
        yield from _compare(before, build(piece.until(at)), "truncation", 0.0)
        forged = build(forge_future(piece, at, generator))
        kept = forged[forged.index.get_level_values(0) <= cut]
        yield from _compare(before, kept, "perturbation", 0.0)


def _check_start(piece: History, whole: pd.DataFrame, build: Build) -> Iterator[Leak]:
    later = build(begin_later(piece, _ROWS // 2 + 1))
    shared = whole[whole.index.isin(later.index)]
    yield from _compare(shared, later, "start", _TOLERANCE)


def _check_windows(piece: History) -> Iterator[Leak]:
    for over_all, on_windows in both_ways(piece):
        yield from _compare(over_all, on_windows, "window", _TOLERANCE)


# Columns that exist in one panel only are read as missing there: a series may begin after the cut.
def _compare(
    expected: pd.DataFrame, found: pd.DataFrame, check: Check, tolerance: float
) -> Iterator[Leak]:
    if not expected.index.equals(found.index):
        odd = expected.index.symmetric_difference(found.index)
        at = odd.get_level_values(0).min() if len(odd) else found.index[0][0]
        yield Leak(feature="(rows)", check=check, closed_at=at, detail=f"{len(odd)} rows differ")
        shared = expected.index.intersection(found.index)
        expected, found = expected.loc[shared], found.loc[shared]
    columns = expected.columns.union(found.columns, sort=False)
    left = expected.reindex(columns=columns).to_numpy(dtype=np.float64)
    right = found.reindex(columns=columns).to_numpy(dtype=np.float64)
    wrong = _differ(left, right, tolerance)
    for k in np.flatnonzero(wrong.any(axis=0)):
        row = int(np.argmax(wrong[:, k]))
        at, instrument = (expected.index.get_level_values(level)[row] for level in (0, 1))
        detail = f"{instrument} {left[row, k]!r} became {right[row, k]!r}"
        yield Leak(feature=str(columns[int(k)]), check=check, closed_at=at, detail=detail)


def _differ(
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    tolerance: float,
) -> NDArray[np.bool_]:
    one_missing = np.isnan(left) != np.isnan(right)
    known = ~np.isnan(left) & ~np.isnan(right)
    a, b = np.where(known, left, 0.0), np.where(known, right, 0.0)
    if tolerance == 0.0:
        return np.asarray(one_missing | (a != b))
    # Near a zero crossing only the column's own spread says what is small.
    scale = np.maximum(np.abs(a), a.std(axis=0)) if len(a) else np.abs(a)
    return np.asarray(one_missing | (np.abs(a - b) > tolerance * scale + 1e-12))


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


# The last `horizon` rows must be unknown, and the row before them known.
def _ends(frame: pd.DataFrame, bars: Bars, name: str, horizon: int) -> Iterator[Leak]:
    stamps = pd.DatetimeIndex(bars.closed_at[-horizon - 1 :], tz="UTC")
    rows = frame.reindex(pd.MultiIndex.from_product([stamps, [name]])).to_numpy()
    for column, last in zip(frame.columns, rows.T, strict=True):
        if np.isfinite(last[1:]).any() or np.isnan(last[0]):
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
        yield from _compare(frame.loc[rows], found.loc[rows], "label", 0.0)
        if len(bars):
            yield from _ends(found, bars, name, horizon)
