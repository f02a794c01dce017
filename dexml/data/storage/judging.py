"""Which bars of what came are believed beside those that are stored, and which no longer are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.data.quality import LONE_RATIO, Rule, jumped_alone, suspects
from dexml.data.storage.bar_rows import BarRows, in_time_for, withdrawn
from dexml.data.storage.bar_series import BarSeries
from dexml.data.storage.revisions import without
from dexml.domain import Bars, Timeframe

__all__ = ["Judged", "judged"]

Flags = NDArray[np.bool_]
Stamped = tuple[NDArray[np.int64], NDArray[np.float64]]  # closes, and prices of shape (4, n)


class Judged(NamedTuple):
    """What is not believed.

    Attributes
    ----------
    wrong : mapping of row to Rule
        Of the bars that came.
    gone : BarRows
        Revisions that withdraw stored bars: those that what came shows to have jumped alone.
    """

    wrong: Mapping[int, Rule]
    gone: BarRows


def judged(series: BarSeries, bars: Bars, seen_at: pd.Timestamp) -> Judged:
    """Judge bars that came by those stored around them, and those by what came.

    What is stored in the end does not depend on which bars came together: a bar that jumped alone
    goes, whether it came with the next one or was stored before that.
    """
    near = series.beside(bars)
    given = (
        bars.closed_at.view(np.int64),
        np.stack([bars.open, bars.high, bars.low, bars.close]),
    )
    lone, lone_stored = _lone((near.closed_at, near.prices[:4]), given, bars.timeframe)
    gone = withdrawn(near.take(lone_stored), _proven(bars, series, seen_at))
    wrong = {int(row): Rule.LONE for row in np.flatnonzero(lone)}
    kept = np.flatnonzero(~lone)
    rest = without(bars, wrong)
    if len(kept):
        doubted = suspects(series.before(rest, gone), rest)
        wrong |= {int(kept[row]): rule for row, rule in doubted.items()}
    return Judged(dict(sorted(wrong.items())), gone)


# A bar in time for the decision at its close is known from there, and so is what it shows.
def _proven(bars: Bars, series: BarSeries, seen_at: pd.Timestamp) -> int:
    newest = int(bars.closed_at[-1].astype(np.int64))
    return max(newest, in_time_for(seen_at.value, bars.timeframe), series.newest or 0)


def _lone(stored: Stamped, given: Stamped, timeframe: Timeframe) -> tuple[Flags, Flags]:
    """Tell which of the given bars jumped alone, and which of the stored ones."""
    prices = np.concatenate([stored[1], given[1]], axis=1)
    if prices.max() <= LONE_RATIO * prices.min():  # the usual case, asked at every close
        return np.zeros(len(given[0]), np.bool_), np.zeros(len(stored[0]), np.bool_)
    # a stored bar takes the place of one that came and goes
    lone = _judge(stored, given, timeframe)[1]
    return lone, _judge(stored, _where(given, ~lone), timeframe)[0]


def _judge(stored: Stamped, given: Stamped, timeframe: Timeframe) -> tuple[Flags, Flags]:
    others = np.flatnonzero(~np.isin(stored[0], given[0]))
    stamps = np.concatenate([stored[0][others], given[0]])
    prices = np.concatenate([stored[1][:, others], given[1]], axis=1)
    order = np.argsort(stamps)
    alone = np.zeros(len(stamps), dtype=np.bool_)
    alone[order] = jumped_alone(prices[:, order], stamps[order].view("M8[ns]"), timeframe)
    of_stored = np.zeros(len(stored[0]), dtype=np.bool_)
    of_stored[others] = alone[: len(others)]
    return of_stored, alone[len(others) :]


def _where(rows: Stamped, kept: Flags) -> Stamped:
    return rows[0][kept], rows[1][:, kept]
