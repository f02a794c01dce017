"""How bars get into the store: judged, told apart from what is there, and written at once."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from dexml.data.quality import Rule
from dexml.data.storage.bar_rows import BarRows, bars_of, timeframe_of
from dexml.data.storage.bar_series import BarSeries
from dexml.data.storage.followed import Followed
from dexml.data.storage.judging import Judged, judged
from dexml.data.storage.logs import Logs
from dexml.data.storage.quarantine import set_aside, suspected
from dexml.data.storage.revisions import without
from dexml.domain import Bars

__all__ = ["append_closes"]


def append_closes(
    logs: Logs, venue: str, bars: Mapping[str, Bars], seen_at: pd.Timestamp, live: bool
) -> int:
    """Keep bars of many instruments at once, see `Store.append_closes`; return how many are new."""
    bars = {name: given for name, given in bars.items() if len(given)}
    if not bars:
        return 0
    log = logs.bars(venue, timeframe_of(bars.values()))
    with log.locked():
        log.refresh()
        verdicts = {name: judged(log.series(name), bars[name], seen_at) for name in bars}
        fresh = {
            name: _fresh(logs.followed, log.series(name), given, verdicts[name], seen_at, live)
            for name, given in bars.items()
        }
        gone = {name: verdict.gone for name, verdict in verdicts.items()}
        # before the bars: whoever dies in between judges them anew, and puts nothing aside twice
        for name, verdict in verdicts.items():
            _put_aside(logs, venue, bars[name], verdict, seen_at)
        log.append({name: BarRows.joined([fresh[name], gone[name]]) for name in bars})
    log.fold_if_many()
    return sum(rows.n_rows for rows in fresh.values())


def _fresh(
    followed: Followed,
    series: BarSeries,
    given: Bars,
    verdict: Judged,
    seen_at: pd.Timestamp,
    live: bool,
) -> BarRows:
    kept = without(given, verdict.wrong)
    if live:
        first = int(given.closed_at[-1].astype("int64")) if series.newest is None else series.newest
        since: int | None = followed.note(given.instrument, given.timeframe, first)
    else:
        since = followed.since(given.instrument, given.timeframe)
    return series.fresh(kept, seen_at, live, since)


def _put_aside(logs: Logs, venue: str, given: Bars, verdict: Judged, seen_at: pd.Timestamp) -> None:
    if not verdict.wrong and not verdict.gone.n_rows:
        return
    aside = logs.quarantine(venue, given.instrument, given.timeframe)
    if verdict.wrong:
        set_aside(aside, *suspected(given, verdict.wrong, seen_at))
    if verdict.gone.n_rows:
        bars = bars_of(given.instrument, given.timeframe, verdict.gone)
        rows = bars.frame().reset_index().assign(reason=str(Rule.LONE))
        known_at = pd.to_datetime(pd.Series(verdict.gone.marks[2]), utc=True)
        set_aside(aside, rows, known_at)
