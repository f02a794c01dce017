"""Users' indicators asked in order of time: at each close nothing later was ever shown to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dexml.domain import Bars
from dexml.features.registry import Indicator
from dexml.features.watching import watching

__all__ = ["Answers", "Closes", "answers_in_order", "drawn_closes"]

Floats = NDArray[np.float64]
Times = NDArray[np.datetime64]
Closes = Mapping[str, Times]

_CALLS = 4_000  # of an indicator that is run on its window
_CALLS_SHARED = 400  # of one that is run on all that came before


@dataclass(slots=True, kw_only=True, eq=False)
class Answers:
    """What indicators said, each asked for one row after the other.

    Attributes
    ----------
    rows, values : dict of (indicator, instrument) to list
        The rows that were asked for, and the values of the indicator's columns there.
    failed, read : dict of indicator to str
        The error that it raised, and what it looked up outside of its bars.
    """

    rows: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    values: dict[tuple[str, str], list[list[float]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    read: dict[str, str] = field(default_factory=dict)

    def add(self, one: Indicator, bars: Bars, row: int) -> None:
        """Ask for the values of a row, and note what was looked up meanwhile."""
        with watching() as seen:
            found = one.at(bars, row)
        if seen:
            self.read.setdefault(one.name, seen[0])
        key = (one.name, bars.instrument)
        self.rows.setdefault(key, []).append(row)
        self.values.setdefault(key, []).append([float(found[name]) for name in one.columns])


def drawn_closes(
    bars: Mapping[str, Bars],
    indicators: Sequence[Indicator],
    skip: int,
    generator: np.random.Generator,
) -> dict[str, Times]:
    """Choose the closes at which each indicator is asked: all of them or, of many, some by chance.

    Parameters
    ----------
    skip : int
        Rows of each instrument that are never used.

    Returns
    -------
    dict of indicator to ndarray of datetime64
        Ascending; 4,000 calls are made at most, 400 of one that is `shared`.
    """
    after = [series.closed_at[skip:] for series in bars.values()]
    closes = np.unique(np.concatenate(after))
    chosen = {}
    for one in indicators:
        most = max((_CALLS_SHARED if one.shared else _CALLS) // max(len(bars), 1), 1)
        drawn = generator.permutation(len(closes))[:most]
        chosen[one.name] = closes[np.sort(drawn)]
    return chosen


def answers_in_order(
    bars: Mapping[str, Bars], indicators: Sequence[Indicator], closes: Closes, skip: int
) -> Answers:
    """Ask each indicator at its closes, the oldest first, for all instruments at each of them.

    The first `skip` rows of an instrument are passed over.
    """
    answers = Answers()
    asked = {one.name: set(closes[one.name].tolist()) for one in indicators}
    for at, series, row in _in_time(bars, closes, skip):
        for one in indicators:
            if at in asked[one.name] and one.name not in answers.failed:
                try:
                    answers.add(one, series, row)
                except Exception as error:  # what it raises without its memory is the finding
                    answers.failed[one.name] = f"{type(error).__name__}: {error}"
    return answers


def _in_time(
    bars: Mapping[str, Bars], closes: Closes, skip: int
) -> Iterator[tuple[object, Bars, int]]:
    for at in np.unique(np.concatenate([*closes.values()])):
        for series in bars.values():
            row = int(np.searchsorted(series.closed_at, at))
            if skip <= row < len(series) and series.closed_at[row] == at:
                yield at.item(), series, row
