"""Bars that were not believed, kept by series with the reason and when they were first seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from dexml.data.quality import Rule
from dexml.data.storage.logs import Logs
from dexml.data.storage.revisions import first_seen, fresh_refused
from dexml.domain import REFUSED_COLUMNS, Bars, Timeframe, empty_refused, to_datetime

__all__ = ["refusals", "set_aside"]


def refusals(
    logs: Logs, venues: Sequence[str], instruments: Collection[str], timeframe: Timeframe
) -> pd.DataFrame:
    """Return what some exchanges sent of some instruments and nobody believed, by close.

    One listing tells which series were ever refused a bar; the others cost nothing.

    Returns
    -------
    DataFrame
        Columns `REFUSED_COLUMNS`; a bar that was seen several times counts once, from the first.
    """
    found = [
        first_seen(logs.quarantine(*series).read()).assign(exchange=series[0], instrument=series[1])
        for series in logs.refused_series()
        if series[0] in venues and series[1] in instruments and series[2] == timeframe
    ]
    if not found:
        return empty_refused()
    rows = pd.concat(found)[list(REFUSED_COLUMNS)]
    return rows.sort_values(["closed_at", "known_at"], kind="stable", ignore_index=True)


def set_aside(
    logs: Logs, venue: str, bars: Bars, wrong: Mapping[int, Rule], seen_at: pd.Timestamp
) -> None:
    """Keep the rows of `bars` that broke a rule, known from the newest of them or from `seen_at`.

    Parameters
    ----------
    wrong : mapping of row to Rule
    """
    rows = bars.frame().reset_index().iloc[list(wrong)]
    known_at = max(seen_at, pd.Timestamp(to_datetime(bars.closed_at[-1])))
    rows = rows.assign(reason=[str(rule) for rule in wrong.values()], known_at=known_at)
    log = logs.quarantine(venue, bars.instrument, bars.timeframe)
    with log.locked():
        log.append(fresh_refused(log.read(), rows))
    log.compact_if_many()
