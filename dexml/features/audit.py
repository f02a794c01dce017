"""Proof that features use nothing from the future: cut it off, change it, begin elsewhere.

And that each honours its window, has live the bits that it has in batch, and remembers nothing.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
import pandas as pd

from dexml.domain import History
from dexml.errors import DataError
from dexml.features.cuts import chance_cuts, telling_cuts
from dexml.features.findings import AuditReport, Check, Leak, compare, first_of_each
from dexml.features.forgeries import begin_later, forge_future, stretch, tail
from dexml.features.honesty import (
    answer_nothing,
    as_newest,
    both_ways,
    columns_of,
    heard_live,
    own_columns,
)
from dexml.features.label_ends import Labels, check_labels
from dexml.features.memory import foretelling, remembering
from dexml.features.panel import build_panel, raw_panel, warm_up

__all__ = ["AuditReport", "Build", "Check", "Labels", "Leak", "audit"]

Build = Callable[[History], pd.DataFrame]

_ROWS = 220  # of a stretch, after its warm-up
_RAW_CUTS = 3
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
    """Check every feature for look-ahead, on all rows of a history.

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
        Instants, drawn by chance, at which the future of the last stretch is cut off and changed,
        besides up to four where seldom mistakes show: while a headline, a macro value or its
        revision is not yet known, an exchange or a bar is missing. Half as many again lie anywhere
        else. Other data draw other instants.
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

    Notes
    -----
    Every row of every registered indicator is computed anew from its own past alone: a leak on one
    row is found with certainty. Joins of news, macro values, exchanges and other instruments are
    proven at the cuts: a mistake on a share q of the closes shows at n of them with probability
    1 - (1 - q)^n.
    """
    # Durations in a report are not decisions: the monotonic clock is the one to read here.
    began = time.perf_counter()
    make = build or partial(build_panel, on_windows=False)
    whole = make(history)
    _refuse_short(history, whole)
    generator = np.random.default_rng([seed, _digest(history)])
    piece = tail(history, warm_up(history.timeframe) + _ROWS)
    alone = make(piece)
    leaks = [*_check_start(history, piece, whole, alone, make)]
    leaks += _check_cuts(piece, alone, _cuts(piece, alone, n_cuts, generator), make, generator)
    leaks += _check_anywhere(history, whole, (n_cuts + 1) // 2, make, generator)
    own = own_columns(history) if build else columns_of(whole, history)
    leaks += _check_indicators(history, own, generator)
    if build is None and not leaks:
        leaks += compare(*heard_live(piece, alone), "live", 0.0)
    raw = pd.DataFrame() if build else raw_panel(history)
    if len(raw):
        leaks += _check_cuts(history, raw, _drawn(raw, _RAW_CUTS, generator), raw_panel, generator)
    found, names = check_labels(history, labels, horizon) if labels is not None else ([], ())
    empty = whole.isna().all()
    return AuditReport(
        features=tuple(map(str, whole.columns[~empty])),
        empty=tuple(map(str, whole.columns[empty])),
        raw=tuple(map(str, raw.columns)),
        labels=names,
        leaks=first_of_each([*leaks, *found]),
        seconds=time.perf_counter() - began,
    )


def _refuse_short(history: History, whole: pd.DataFrame) -> None:
    if whole.index.get_level_values(0).nunique() < 50:
        raise DataError(
            "history",
            f"must be at least {warm_up(history.timeframe) + 50} bars long to be audited",
            max(len(bars) for bars in history.bars.values()),
            "Backfill more bars.",
        )


def _digest(history: History) -> int:
    return zlib.crc32(b"".join(bars.close.tobytes() for bars in history.bars.values()))


# Where the history began makes no difference; nor, as a stretch ends before it does, where it ends.
def _check_start(
    history: History, piece: History, whole: pd.DataFrame, alone: pd.DataFrame, build: Build
) -> Iterator[Leak]:
    if _n_closes(piece) == _n_closes(history):
        whole, alone = alone, build(begin_later(piece, _ROWS // 2 + 1))
    shared = whole[whole.index.isin(alone.index)]
    yield from compare(shared, alone, "start", _TOLERANCE)


def _check_anywhere(
    history: History,
    whole: pd.DataFrame,
    n_cuts: int,
    build: Build,
    generator: np.random.Generator,
) -> Iterator[Leak]:
    n_bars = warm_up(history.timeframe) + _ROWS
    n_before = _n_closes(history) - n_bars
    if n_before <= 0:
        return
    yield from _check_cuts(
        history, whole, dict.fromkeys(_drawn(whole, 1, generator), False), build, generator
    )
    piece = stretch(history, int(generator.integers(n_before)), n_bars)
    alone = build(piece)
    if len(alone):
        yield from _check_start(history, piece, whole, alone, build)
        cuts = {cut: k == 0 for k, cut in enumerate(_drawn(alone, n_cuts, generator))}
        yield from _check_cuts(piece, alone, cuts, build, generator)


def _n_closes(history: History) -> int:
    return len(np.unique(np.concatenate([bars.closed_at for bars in history.bars.values()])))


def _inner(panel: pd.DataFrame) -> pd.DatetimeIndex:
    closes = pd.DatetimeIndex(panel.index.get_level_values(0).unique())
    return closes[len(closes) // 4 : -2]


def _drawn(
    panel: pd.DataFrame, n_cuts: int, generator: np.random.Generator
) -> dict[pd.Timestamp, bool]:
    inner = _inner(panel)
    return dict.fromkeys(chance_cuts(inner, n_cuts, generator), True) if len(inner) else {}


# What is cut off there is told by every cut; what is changed, by chance and by the most telling.
def _cuts(
    piece: History, whole: pd.DataFrame, n_cuts: int, generator: np.random.Generator
) -> dict[pd.Timestamp, bool]:
    drawn = [*_drawn(whole, n_cuts, generator)]
    telling = telling_cuts(piece, _inner(whole), drawn)
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


def _check_indicators(
    history: History, own: Mapping[str, pd.DataFrame], generator: np.random.Generator
) -> Iterator[Leak]:
    said = dict(own)
    for name, (over_all, on_windows) in both_ways(history, own):
        said[name] = own[name].assign(**on_windows)
        yield from compare(over_all, on_windows, "window", _TOLERANCE)
    for batch, newest in as_newest(history, own):
        yield from compare(batch, newest, "live", 0.0)
    piece = tail(history, warm_up(history.timeframe) + _ROWS)
    for name, deaf in answer_nothing(piece, own, generator):
        detail = f"{name} has the same values on another market"
        for column in map(str, deaf):
            yield Leak(feature=column, check="memory", closed_at=deaf.index[0][0], detail=detail)
    yield from remembering(history, said, generator)
    yield from foretelling(history, generator)
