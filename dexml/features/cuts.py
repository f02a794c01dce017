"""Where the future is cut off: at random, and where a mistake that seldom shows would show."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.domain import History

__all__ = ["chance_cuts", "telling_cuts"]

Mask = NDArray[np.bool_]

_MOST = 4


def chance_cuts(
    closes: pd.DatetimeIndex, n_cuts: int, generator: np.random.Generator
) -> list[pd.Timestamp]:
    """Draw closes, inside a higher bar that is still open where there are such."""
    open_ = closes[(closes.hour % 4 != 0) & (closes.hour != 0)]
    pool = open_ if len(open_) else closes
    return sorted({pool[int(k)] for k in generator.integers(0, len(pool), n_cuts)})


def telling_cuts(
    history: History, closes: pd.DatetimeIndex, drawn: list[pd.Timestamp]
) -> list[pd.Timestamp]:
    """Choose at most four closes that show what those drawn by chance do not, the best first.

    A headline of each source or a value of each series is published and not yet known; a value is
    known and its revision is not; an exchange has no close, or an instrument no bar.
    """
    at = closes.isin(drawn)
    open_ = [seen for seen in _situations(history, closes) if seen.any() and not seen[at].any()]
    chosen: list[pd.Timestamp] = []
    while open_ and len(chosen) < _MOST:
        shown = np.sum(open_, axis=0)
        best = len(closes) - 1 - int(np.argmax(shown[::-1]))
        chosen.append(closes[best])
        open_ = [seen for seen in open_ if not seen[best]]
    return chosen


def _situations(history: History, closes: pd.DatetimeIndex) -> Iterator[Mask]:
    at = closes.tz_localize(None).to_numpy(dtype="datetime64[ns]")
    yield from _in_flight(history.news, "source", "published_at", at)
    yield from _in_flight(history.macro, "series", "period_at", at)
    yield from _in_flight(_revisions(history.macro), "series", "first_at", at)
    yield from _in_flight(history.refused, "exchange", "closed_at", at)
    traded = {name: np.isin(at, bars.closed_at) for name, bars in history.bars.items()}
    nowhere = np.zeros(len(at), dtype=np.bool_)
    silent: dict[str, Mask] = {}
    for name, table in history.venue_closes.items():
        for venue, missing in table.reindex(closes).isna().items():
            seen = missing.to_numpy() & traded[name]
            silent[str(venue)] = seen | silent.get(str(venue), nowhere)
    yield from silent.values()
    there = np.array(list(traded.values()))
    yield np.asarray(there.any(axis=0) & ~there.all(axis=0))


# The last close before a value is known: whatever counts too early, by its period or by an hour.
def _in_flight(
    frame: pd.DataFrame, kind: str, begun: str, at: NDArray[np.datetime64]
) -> Iterator[Mask]:
    last = np.searchsorted(at, _stamps(frame["known_at"])) - 1
    told = (last >= 0) & (at[np.maximum(last, 0)] >= _stamps(frame[begun]))
    for _, rows in pd.Series(last[told]).groupby(frame[kind].to_numpy()[told]):
        seen = np.zeros(len(at), dtype=np.bool_)
        seen[rows.to_numpy()] = True
        yield seen


def _revisions(macro: pd.DataFrame) -> pd.DataFrame:
    first_at = macro.groupby(["series", "period_at"], observed=True)["known_at"].transform("min")
    return macro.assign(first_at=first_at)[macro["known_at"] > first_at]


def _stamps(values: pd.Series[pd.Timestamp]) -> NDArray[np.datetime64]:
    return values.to_numpy(dtype="datetime64[ns]")
