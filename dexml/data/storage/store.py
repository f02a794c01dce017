"""Where bars, news and macro values are kept: appended once, never changed, read as of any instant.

A bar that an exchange changed later becomes a new revision with its own `known_at`, so that what
was known when a decision was made can always be read again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pandas as pd

from dexml.clock import utc
from dexml.data.relevance import Naming
from dexml.data.storage.appending import append_closes
from dexml.data.storage.joining import Joined, join, parts_in
from dexml.data.storage.logs import Logs
from dexml.data.storage.quarantine import refusals, seen_late, set_aside
from dexml.data.storage.revisions import HEADLINE, first_known, first_seen, fresh_values
from dexml.data.storage.schemas import checked_rows
from dexml.domain import (
    MACRO_COLUMNS,
    NEWS_COLUMNS,
    Bars,
    History,
    Timeframe,
    to_datetime64,
)

__all__ = ["Store"]


class Store:
    """Bars, news and macro values under one folder, local or in an object store.

    Parameters
    ----------
    root : path or address
        A local folder, ``s3://...`` or ``gs://...`` (see `open_folder`); made when something is
        first appended. Locally one process at a time appends to the bars of an exchange and
        timeframe (a file lock sees to it). In an object store nobody can be locked out: writers
        that race lose nothing, and every reader folds what they wrote to the same bars. Any number
        may read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> frame = pd.DataFrame(
    ...     {"open": [1.0], "high": [2.0], "low": [1.0], "close": [2.0], "volume": [5.0]},
    ...     index=pd.DatetimeIndex(["2024-01-01 01:00"], tz="UTC"),
    ... )
    >>> bars = Bars.from_frame("BTC/USDT", Timeframe.H1, frame)
    >>> with TemporaryDirectory() as folder:
    ...     store = Store(folder)
    ...     store.append_bars("binance", bars), store.append_bars("binance", bars)
    (1, 0)
    """

    def __init__(self, root: str | Path) -> None:
        self._logs = Logs(root)
        self._headlines: tuple[object, pd.DataFrame] | None = None
        self._joined: dict[Timeframe, dict[str, Joined]] = {}
        self._naming: dict[tuple[str, ...], Naming] = {}

    @property
    def n_torn(self) -> int:
        """How many torn segments the last reads left out."""
        return self._logs.n_torn

    def torn(self) -> list[str]:
        """Return the files of which a crash left a part, named until somebody deletes them."""
        return self._logs.torn()

    def append_bars(self, venue: str, bars: Bars, known_at: datetime | None = None) -> int:
        """Keep bars that are new or changed; those that are not believed go into quarantine.

        A bar is judged by those before it (`suspects`) and by those beside it (`lone_jumps`). One
        that is stored, and that a neighbour now shows to have jumped alone, goes there too and is
        withdrawn: from `known_at` on nobody reads it.

        Parameters
        ----------
        known_at : datetime, optional
            When the bars were in hand; by default the newest close given or stored. History counts
            as known from its close, unless it changes a stored bar, fills a hole between stored
            ones, or closed after somebody began to listen to the instrument at any exchange and is
            over `ARRIVAL_S` old: such a bar is known from `known_at`, so that what was read as of
            an earlier instant is read so for ever.

        Returns
        -------
        int
            How many bars were new or changed.
        """
        return self.append_closes(venue, {bars.instrument: bars}, known_at)

    def append_closes(
        self,
        venue: str,
        bars: Mapping[str, Bars],
        known_at: datetime | None = None,
        live: bool = False,
    ) -> int:
        """Keep bars of many instruments at once, as `append_bars` does: all of them or none.

        Parameters
        ----------
        bars : mapping of instrument to Bars
            All of one timeframe.
        live : bool
            Whether they came as they closed: then somebody listens from the newest bar that is
            stored, or that came first. Of a series that had bars already whatever is seen over
            `ARRIVAL_S` after its close is known from `known_at`.
        """
        seen_at = _instant(known_at) if known_at else pd.Timestamp(0, tz="UTC")
        return append_closes(self._logs, venue, bars, seen_at, live)

    def set_aside(
        self,
        venue: str,
        instrument: str,
        timeframe: Timeframe | str,
        rows: pd.DataFrame,
        seen_at: datetime | None = None,
    ) -> int:
        """Keep rows that cannot be bars, in the columns of `quarantine`; return how many were new.

        Parameters
        ----------
        rows : DataFrame
            Columns `closed_at` (NaT without a stamp), the prices and volume as they came, `reason`.
        seen_at : datetime, optional
            From when they are known; by default from their own stamps.
        """
        log = self._logs.quarantine(venue, instrument, Timeframe(timeframe))
        return set_aside(log, rows, _instant(seen_at) if seen_at else rows["closed_at"])

    def quarantine(self, venue: str, instrument: str, timeframe: Timeframe | str) -> pd.DataFrame:
        """Return the bars of a series that were not believed, by close.

        Returns
        -------
        DataFrame
            Columns `closed_at`, the prices and volume as they came, `reason`, and `known_at`: when
            they were first seen.
        """
        rows = self._logs.quarantine(venue, instrument, Timeframe(timeframe)).read()
        return first_seen(rows)

    def refused(
        self, venues: Sequence[str], instruments: Collection[str], timeframe: Timeframe | str
    ) -> pd.DataFrame:
        """Return what lies in quarantine of some instruments, in the columns of `History`."""
        return refusals(self._logs, venues, instruments, Timeframe(timeframe))

    def bars(
        self,
        venue: str,
        instrument: str,
        timeframe: Timeframe | str,
        as_of: datetime | None = None,
    ) -> Bars:
        """Return the bars of a series (none if there is no such series), oldest first.

        Parameters
        ----------
        as_of : datetime, optional
            Return what was known at that instant: later bars and revisions are left out.
        """
        log = self._logs.bars(venue, Timeframe(timeframe))
        log.refresh()
        return log.bars(instrument, as_of)

    def recent(
        self,
        venue: str,
        instrument: str,
        timeframe: Timeframe | str,
        n_bars: int,
        until: datetime | None = None,
    ) -> Bars:
        """Return at least the last bars of a series until an instant, and read little more."""
        log = self._logs.bars(venue, Timeframe(timeframe))
        log.refresh()
        return log.recent(instrument, n_bars, None if until is None else to_datetime64(until))

    def append_news(self, frame: pd.DataFrame) -> int:
        """Keep headlines (columns `NEWS_COLUMNS`) not yet known by source, title and time."""
        rows = checked_rows(frame, "news", NEWS_COLUMNS).drop_duplicates(list(HEADLINE))
        log = self._logs.news
        with log.locked():
            known = pd.MultiIndex.from_frame(log.read()[list(HEADLINE)])
            fresh = rows[~pd.MultiIndex.from_frame(rows[list(HEADLINE)]).isin(known)]
            log.append(fresh)
        log.compact_if_many()
        return len(fresh)

    def append_macro(self, frame: pd.DataFrame) -> int:
        """Keep values (columns `MACRO_COLUMNS`) that are new or revised for their period."""
        rows = checked_rows(frame, "macro", MACRO_COLUMNS)
        log = self._logs.macro
        with log.locked():
            fresh = fresh_values(log.read(), rows)
            log.append(fresh)
        log.compact_if_many()
        return len(fresh)

    def news(
        self, as_of: datetime | None = None, naming: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Return the headlines known at `as_of`, by the instant they became known.

        Parameters
        ----------
        naming : sequence of str, optional
            Say which of these instruments they name (`dexml.data.relevance.Naming`); by default
            those that were found when they were stored.
        """
        news = self.headlines(as_of)[list(NEWS_COLUMNS)]
        if naming is None:
            return news
        asked = tuple(naming)
        if asked not in self._naming:
            self._naming[asked] = Naming(asked)
        return self._naming[asked].named(news)

    def headlines(self, as_of: datetime | None = None) -> pd.DataFrame:
        """Return the same with `fetched_at`: when each was read, NaT where nobody noted it."""
        rows = self._logs.news.read()
        if as_of is not None:
            return first_known(_known(rows, as_of))
        if self._headlines is None or self._headlines[0] is not rows:
            self._headlines = (rows, first_known(rows))
        return self._headlines[1].copy()

    def macro(self, as_of: datetime | None = None) -> pd.DataFrame:
        """Return the values known at `as_of`, revisions included, by instant of knowledge."""
        rows = _known(self._logs.macro.read(), as_of)
        order = ["known_at", "series", "period_at", "value"]
        return rows.sort_values(order, ignore_index=True)[list(MACRO_COLUMNS)]

    def history(
        self,
        venues: Sequence[str],
        instruments: Sequence[str],
        timeframe: Timeframe | str,
        as_of: datetime | None = None,
    ) -> History:
        """Return everything known; the bars are what the venues agree on (see `consolidate`).

        A venue that quotes another currency counts at its measured basis: by the table of venues,
        or where it has no bars of BTC/USDT but has of BTC/USD (see `STANDS_FOR`), beside at least
        one venue with bars of the instrument itself.

        Raises
        ------
        DataError
            If an instrument has no bars at any venue.
        """
        logs = {venue: self._logs.bars(venue, Timeframe(timeframe)) for venue in venues}
        parts = parts_in(str(self._logs), logs, timeframe, instruments, as_of)
        before = self._joined.setdefault(Timeframe(timeframe), {})
        joined = join(parts, before)
        before |= joined
        return History(
            bars={name: one.bars for name, one in joined.items()},
            news=self.news(as_of, instruments),
            macro=self.macro(as_of),
            venue_closes={name: one.closes for name, one in joined.items() if len(one.parts) > 1},
            refused=_known(seen_late(self.refused(venues, instruments, timeframe)), as_of),
        )

    def parts(
        self, venues: Sequence[str], instrument: str, timeframe: Timeframe | str
    ) -> tuple[Mapping[str, Bars], Mapping[str, str]]:
        """Return an instrument's bars by exchange and the currencies, for `consolidate`."""
        logs = {venue: self._logs.bars(venue, Timeframe(timeframe)) for venue in venues}
        return parts_in(str(self._logs), logs, timeframe, (instrument,), None)[instrument]

    def series(self, refused: bool = False) -> list[tuple[str, str, Timeframe]]:
        """Return what bars there are, or `refused` rows: (venue, instrument, timeframe), sorted."""
        return self._logs.refused_series() if refused else self._logs.series()

    def compact(self) -> int:
        """Fold all segments into parquet files; return how many segments there were."""
        return sum(log.compact() for log in self._logs)


def _instant(instant: datetime) -> pd.Timestamp:
    return pd.Timestamp(utc(instant))


def _known(rows: pd.DataFrame, as_of: datetime | None) -> pd.DataFrame:
    return rows if as_of is None else rows[rows["known_at"] <= _instant(as_of)]
