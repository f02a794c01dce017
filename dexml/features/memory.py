"""Whether users' indicators answer from their bars, or from what they remember or look up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from dexml.domain import Bars, History
from dexml.features.findings import Leak
from dexml.features.forgeries import draw_anew
from dexml.features.fresh import answers_of_a_fresh_process, can_be_imported
from dexml.features.panel import warm_up
from dexml.features.pristine import of_a_user
from dexml.features.registry import INDICATORS, Indicator
from dexml.features.replaying import Answers, Closes, answers_in_order, drawn_closes
from dexml.features.studies import compute_studies, in_order

__all__ = ["foretelling", "remembering"]

Floats = NDArray[np.float64]

_WORLDS = 8
_TOO_WELL = 0.5
_LEAST_ROWS = 200
_DAY = 24


def remembering(
    history: History, present: Mapping[str, pd.DataFrame], generator: np.random.Generator
) -> Iterator[Leak]:
    """Ask users' indicators again with nothing in their memory, in order of time.

    Those that can be imported are asked in a process of their own, others as copies of what was
    registered. Whatever they kept of an earlier call, by stamp, name, place, content or nothing at
    all, is of the past there; what they say must have the bits that it has here.

    Parameters
    ----------
    present : mapping of instrument to DataFrame
        What they say in this process, as the panel has it; index (closed_at, instrument).

    Yields
    ------
    Leak
        Of the check "memory", or of "lookup" if one reads a file, a database or a server.
    """
    users = [one for one in INDICATORS.values() if of_a_user(one.compute)]
    if not users or not any(len(frame) for frame in present.values()):
        return
    skip = warm_up(history.timeframe)
    closes = drawn_closes(history.bars, users, skip, generator)
    for answers, asked in _answers(history.bars, users, closes, skip):
        for one in asked:
            yield from _judged(one, answers, present, history.bars)


def _answers(
    bars: Mapping[str, Bars], users: Sequence[Indicator], closes: Closes, skip: int
) -> Iterator[tuple[Answers, Sequence[Indicator]]]:
    importable = [one for one in users if can_be_imported(one)]
    fresh = answers_of_a_fresh_process(bars, importable, closes, skip) if importable else None
    if fresh is not None:
        yield fresh, importable
    rest = [one for one in users if fresh is None or one not in importable]
    if rest:
        yield answers_in_order(bars, [one.pristine() for one in rest], closes, skip), rest


def _judged(
    one: Indicator,
    answers: Answers,
    present: Mapping[str, pd.DataFrame],
    bars: Mapping[str, Bars],
) -> Iterator[Leak]:
    first = min(frame.index[0][0] for frame in present.values() if len(frame))
    if one.name in answers.read:
        detail = f"reads {answers.read[one.name]}, and nobody can say when that was known"
        for column in one.columns:
            yield Leak(feature=column, check="lookup", closed_at=first, detail=detail)
    if one.name in answers.failed:
        detail = f"without an earlier call it fails: {answers.failed[one.name]}"
        for column in one.columns:
            yield Leak(feature=column, check="memory", closed_at=first, detail=detail)
    for name, frame in present.items():
        rows = np.array(answers.rows.get((one.name, name), []), dtype=np.intp)
        if len(rows):
            here = frame[list(one.columns)].iloc[rows - (len(bars[name]) - len(frame))]
            yield from _unlike(here, np.array(answers.values[one.name, name]), name)


def _unlike(here: pd.DataFrame, there: Floats, name: str) -> Iterator[Leak]:
    values = here.to_numpy(dtype=np.float64)
    wrong = (values != there) & ~(np.isnan(values) & np.isnan(there))
    for k in np.flatnonzero(wrong.any(axis=0)):
        row = int(np.argmax(wrong[:, k]))
        told = f"{float(values[row, k])!r} became {float(there[row, k])!r}"
        detail = f"{name} {told} where nothing later was ever shown to it"
        at = here.index[row][0]
        yield Leak(feature=str(here.columns[int(k)]), check="memory", closed_at=at, detail=detail)


def foretelling(history: History, generator: np.random.Generator) -> Iterator[Leak]:
    """Find users' columns that know the true future where they were shown drawn prices.

    They are computed over markets drawn by chance, with the name and stamps of each series and
    nothing else of it. What a column still knows of the true next return, of its size, or of the
    next day's return it has from elsewhere, as from a table that was read when its module was
    imported. The calendar alone explains little of them: a rank correlation above 0.5 is named.
    """
    users = [one for one in INDICATORS.values() if of_a_user(one.compute)]
    for bars in history.bars.values() if users else ():
        skip = warm_up(history.timeframe)
        if len(bars) - skip < _LEAST_ROWS:
            continue
        worlds = [draw_anew(bars, generator) for _ in range(_WORLDS)]
        for one in users:
            for column, mean in _means(one, worlds).items():
                known, what = _known_of_the_future(mean[skip:], np.log(bars.close[skip:]))
                if known > _TOO_WELL:
                    at = pd.Timestamp(bars.closed_at[skip], tz="UTC")
                    told = f"rank correlation {known:.2f} with the {what} of {bars.instrument}"
                    detail = f"{told} though it was shown other prices"
                    yield Leak(feature=column, check="lookup", closed_at=at, detail=detail)


def _means(one: Indicator, worlds: Sequence[Bars]) -> dict[str, Floats]:
    told = [one.over(bars, compute_studies(bars, in_order(one.studies))) for bars in worlds]
    return {name: np.mean([found[name] for found in told], axis=0) for name in one.columns}


def _known_of_the_future(said: Floats, price: Floats) -> tuple[float, str]:
    """Return the greatest agreement of a column, or of its changes, with what came, and with what.

    Parameters
    ----------
    said, price : ndarray, shape (n,)
        A column, and the log of the true closes beside it.
    """
    next_return = np.diff(price)[1:]
    changes, levels = np.diff(said)[:-1], said[1:-1]
    found = [
        (_agreement(one, truth), what)
        for one in (levels, changes)
        for truth, what in ((next_return, "next return"), (abs(next_return), "next move's size"))
    ]
    later = price[_DAY::_DAY] - price[:-_DAY:_DAY]  # days that do not overlap
    found.append((_agreement(said[:-_DAY:_DAY], later), f"return of the next {_DAY} bars"))
    return max(found)


def _agreement(said: Floats, truth: Floats) -> float:
    known = np.isfinite(said)
    if known.sum() < _LEAST_ROWS or np.ptp(said[known]) == 0.0:
        return 0.0
    return float(abs(np.corrcoef(rankdata(said[known]), rankdata(truth[known]))[0, 1]))
