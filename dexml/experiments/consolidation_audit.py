"""Proof that a consolidated bar depends on nothing that closed after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
import pandas as pd

from dexml.data.storage.consolidation import consolidate
from dexml.domain import Bars, History
from dexml.experiments.audited import Parts
from dexml.features.findings import Leak, compare
from dexml.features.forgeries import forge_future

__all__ = ["audit_consolidation"]


Consolidate = Callable[[Mapping[str, Bars], Mapping[str, str]], Bars]
Frame = Callable[[Mapping[str, Bars]], pd.DataFrame]


def audit_consolidation(
    parts: Mapping[str, Parts],
    seed: int,
    n_cuts: int = 4,
    consolidate: Consolidate = consolidate,
) -> list[Leak]:
    """Cut off and change the future of each exchange, and consolidate again.

    Parameters
    ----------
    parts : mapping of instrument to (bars by exchange, quote currencies)
    n_cuts : int
        Instants for each instrument: half by chance, half where exchanges have no bar.
    consolidate : callable
        Takes the bars and quote currencies of one instrument.

    Returns
    -------
    list of Leak
        Of features such as `consolidated_close`.
    """
    generator = np.random.default_rng([seed, 2])
    leaks: list[Leak] = []
    for name, (bars, quotes) in parts.items():
        if len(bars) > 1:
            frame = partial(_frame, name, quotes, consolidate)
            leaks += _check(bars, frame, n_cuts, generator)
    return leaks


def _check(
    parts: Mapping[str, Bars], frame: Frame, n_cuts: int, generator: np.random.Generator
) -> Iterator[Leak]:
    whole = frame(parts)
    stamps = whole.index.get_level_values(0)
    for at in _cuts(pd.DatetimeIndex(stamps), parts, n_cuts, generator):
        cut = at.tz_localize(None).to_datetime64()
        before = whole[stamps <= at]
        past = {venue: bars.until(cut) for venue, bars in parts.items()}
        known = {venue: bars for venue, bars in past.items() if len(bars)}
        yield from compare(before, frame(known), "truncation", 0.0)
        forged = frame(forge_future(History(bars=parts), cut, generator).bars)
        kept = forged[forged.index.get_level_values(0) <= at]
        yield from compare(before, kept, "perturbation", 0.0)


# Half of them by chance, half where the fewest exchanges have a bar.
def _cuts(
    stamps: pd.DatetimeIndex,
    parts: Mapping[str, Bars],
    n_cuts: int,
    generator: np.random.Generator,
) -> list[pd.Timestamp]:
    at = stamps.tz_localize(None).to_numpy()
    n_there = np.sum([np.isin(at, bars.closed_at) for bars in parts.values()], axis=0)
    order = generator.permutation(len(stamps))
    fewest = order[np.argsort(n_there[order], kind="stable")]
    return [stamps[int(k)] for k in {*order[: n_cuts // 2], *fewest[: n_cuts // 2]}]


def _frame(
    name: str, quotes: Mapping[str, str], consolidate: Consolidate, parts: Mapping[str, Bars]
) -> pd.DataFrame:
    there = {venue: quote for venue, quote in quotes.items() if venue in parts}
    frame = consolidate(parts, there).frame().add_prefix("consolidated_")
    return pd.concat({name: frame}, names=["instrument"]).swaplevel()
