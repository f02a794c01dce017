"""Proof that a consolidated bar depends on nothing that closed after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from dexml.data.storage.consolidation import consolidate
from dexml.domain import Bars, History
from dexml.experiments.audited import Parts
from dexml.features.findings import Leak, compare
from dexml.features.forgeries import forge_future

__all__ = ["audit_consolidation"]


def audit_consolidation(parts: Mapping[str, Parts], seed: int, n_cuts: int = 4) -> list[Leak]:
    """Cut off and change the future of each exchange, and consolidate again.

    Parameters
    ----------
    parts : mapping of instrument to (bars by exchange, quote currencies)
    n_cuts : int
        Instants drawn for each instrument.

    Returns
    -------
    list of Leak
        Of features such as `consolidated_close`.
    """
    generator = np.random.default_rng([seed, 2])
    several = {name: found for name, found in parts.items() if len(found[0]) > 1}
    return [
        leak
        for name, (bars, quotes) in several.items()
        for leak in _check(name, bars, quotes, n_cuts, generator)
    ]


def _check(
    name: str,
    parts: Mapping[str, Bars],
    quotes: Mapping[str, str],
    n_cuts: int,
    generator: np.random.Generator,
) -> Iterator[Leak]:
    whole = _frame(name, parts, quotes)
    stamps = whole.index.get_level_values(0)
    for at in sorted({stamps[int(k)] for k in generator.integers(0, len(stamps), n_cuts)}):
        cut = at.tz_localize(None).to_datetime64()
        before = whole[stamps <= at]
        past = {venue: bars.until(cut) for venue, bars in parts.items()}
        known = {venue: bars for venue, bars in past.items() if len(bars)}
        yield from compare(before, _frame(name, known, quotes), "truncation", 0.0)
        forged = _frame(name, forge_future(History(bars=parts), cut, generator).bars, quotes)
        yield from compare(
            before, forged[forged.index.get_level_values(0) <= at], "perturbation", 0.0
        )


def _frame(name: str, parts: Mapping[str, Bars], quotes: Mapping[str, str]) -> pd.DataFrame:
    there = {venue: quote for venue, quote in quotes.items() if venue in parts}
    frame = consolidate(parts, there).frame().add_prefix("consolidated_")
    return pd.concat({name: frame}, names=["instrument"]).swaplevel()
