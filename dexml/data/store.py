"""Where bars, news and macro values are kept: appended once, never changed, read as of any instant.

A bar that an exchange changed later becomes a new revision with its own `known_at`, so that what
was known when a decision was made can always be read again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa

from dexml.clock import utc
from dexml.data.consolidation import STANDS_FOR, closes_by_venue, consolidate
from dexml.data.folders import open_folder
from dexml.data.revisions import HEADLINE, first_known, fresh_bars, fresh_values, latest
from dexml.data.schemas import BARS, MACRO, NEWS, checked_rows
from dexml.data.segments import SegmentLog
from dexml.data.venues import quote_at
from dexml.domain import (
    MACRO_COLUMNS,
    NEWS_COLUMNS,
    Bars,
    History,
    Timeframe,
    check_instrument,
)
from dexml.errors import DataError

__all__ = ["Store"]

COMPACT_AT = 64


class Store:
    """Bars, news and macro values under one folder, local or in an object store.

    Parameters
    ----------
    root : path or address
        A local folder, ``s3://...`` or ``gs://...`` (see `open_folder`); made when something is
        first appended. Locally one process at a time appends to a series (a file lock sees to it).
        In an object store nobody can be locked out: writers that race lose nothing, and every
        reader folds what they wrote to the same bars. Any number may read.

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
        self._root = open_folder(root)
        self._logs: dict[tuple[str, ...], SegmentLog] = {}
        self._views: dict[tuple[str, ...], tuple[object, Bars]] = {}
        self._headlines: tuple[object, pd.DataFrame] | None = None
        self._joined: dict[tuple[str, str], tuple[Mapping[str, Bars], Bars, pd.DataFrame]] = {}

    @property
    def n_torn(self) -> int:
        """How many torn segments the last reads left out."""
        return sum(log.n_torn for log in self._logs.values())

    def append_bars(self, venue: str, bars: Bars, known_at: datetime | None = None) -> int:
        """Keep bars that are new or changed.

        Parameters
        ----------
        known_at : datetime, optional
            When a changed bar was seen; by default the close of the newest bar given. A new bar
            counts as known from its close.

        Returns
        -------
        int
            How many bars were new or changed.
        """
        log = self._bar_log(venue, bars.instrument, bars.timeframe)
        seen_at = _instant(known_at) if known_at else pd.Timestamp(0, tz="UTC")
        with log.locked():
            fresh = fresh_bars(log.read(), bars, seen_at)
            log.append(fresh)
        _compact_if_many(log)
        return len(fresh)

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
        rows = self._bar_log(venue, instrument, Timeframe(timeframe)).read()
        if as_of is not None:
            return _bars_of(instrument, timeframe, _known(rows, as_of))
        # the log gives the same object until something was added
        seen, view = self._views.get((venue, instrument, timeframe), (None, None))
        if view is None or seen is not rows:
            view = _bars_of(instrument, timeframe, rows)
            self._views[venue, instrument, timeframe] = (rows, view)
        return view

    def append_news(self, frame: pd.DataFrame) -> int:
        """Keep headlines (columns `NEWS_COLUMNS`) not yet known by source, title and time."""
        rows = checked_rows(frame, "news", NEWS_COLUMNS).drop_duplicates(list(HEADLINE))
        log = self._news_log()
        with log.locked():
            known = pd.MultiIndex.from_frame(log.read()[list(HEADLINE)])
            fresh = rows[~pd.MultiIndex.from_frame(rows[list(HEADLINE)]).isin(known)]
            log.append(fresh)
        _compact_if_many(log)
        return len(fresh)

    def append_macro(self, frame: pd.DataFrame) -> int:
        """Keep values (columns `MACRO_COLUMNS`) that are new or revised for their period."""
        rows = checked_rows(frame, "macro", MACRO_COLUMNS)
        log = self._macro_log()
        with log.locked():
            fresh = fresh_values(log.read(), rows)
            log.append(fresh)
        _compact_if_many(log)
        return len(fresh)

    def news(self, as_of: datetime | None = None) -> pd.DataFrame:
        """Return the headlines known at `as_of`, by the instant they became known."""
        rows = self._news_log().read()
        if as_of is not None:
            return first_known(_known(rows, as_of))[list(NEWS_COLUMNS)]
        if self._headlines is None or self._headlines[0] is not rows:
            self._headlines = (rows, first_known(rows)[list(NEWS_COLUMNS)])
        return self._headlines[1].copy()

    def macro(self, as_of: datetime | None = None) -> pd.DataFrame:
        """Return the values known at `as_of`, revisions included, by instant of knowledge."""
        rows = _known(self._macro_log().read(), as_of)
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
        bars: dict[str, Bars] = {}
        closes: dict[str, pd.DataFrame] = {}
        for name in instruments:
            parts, quotes = self._parts(venues, name, timeframe, as_of)
            if not parts:
                raise DataError(
                    f"store {self._root}",
                    f"must hold {timeframe} bars of {name}",
                    f"none at {', '.join(venues)}",
                    "Backfill or import them first.",
                )
            bars[name], apart = self._together(parts, quotes)
            if len(parts) > 1:
                closes[name] = apart
        return History(
            bars=bars, news=self.news(as_of), macro=self.macro(as_of), venue_closes=closes
        )

    def series(self) -> list[tuple[str, str, Timeframe]]:
        """Return what bars there are: (venue, instrument, timeframe), sorted."""
        found = {parts[:3] for parts in self._root.under("bars").paths() if len(parts) == 4}
        return [
            (venue, name.replace("-", "/"), Timeframe(step)) for venue, name, step in sorted(found)
        ]

    def compact(self) -> int:
        """Fold all segments into parquet files; return how many segments there were."""
        logs = [self._bar_log(*series) for series in self.series()]
        context = [log for log in (self._news_log(), self._macro_log()) if log.n_segments]
        return sum(log.compact() for log in (*logs, *context))

    def _bar_log(self, venue: str, instrument: str, timeframe: Timeframe) -> SegmentLog:
        if not venue.replace("_", "").replace("-", "").isalnum():
            raise DataError("venue", "must be one word", repr(venue), "Write binance.")
        name = check_instrument(instrument).replace("/", "-")
        return self._log(("bars", venue, name, timeframe), BARS)

    def _news_log(self) -> SegmentLog:
        return self._log(("news",), NEWS)

    def _macro_log(self) -> SegmentLog:
        return self._log(("macro",), MACRO)

    def _log(self, parts: tuple[str, ...], schema: pa.Schema) -> SegmentLog:
        if parts not in self._logs:
            self._logs[parts] = SegmentLog(self._root.under(*parts), schema)
        return self._logs[parts]

    def _parts(
        self,
        venues: Sequence[str],
        name: str,
        timeframe: Timeframe | str,
        as_of: datetime | None,
    ) -> tuple[dict[str, Bars], dict[str, str]]:
        # also the quote currency of those that quote another one
        found = {venue: self.bars(venue, name, timeframe, as_of) for venue in venues}
        parts = {venue: bars for venue, bars in found.items() if len(bars)}
        quotes = {venue: quote_at(venue, name) for venue in parts}
        base, own = name.split("/")
        for venue in (one for one in venues if parts and one not in parts):
            for quote in STANDS_FOR.get(own, ()):
                bars = self.bars(venue, f"{base}/{quote}", timeframe, as_of)
                if len(bars) and venue not in parts:
                    parts[venue], quotes[venue] = replace(bars, instrument=name), quote
        return parts, {venue: quote for venue, quote in quotes.items() if quote != own}

    def _together(
        self, parts: Mapping[str, Bars], quotes: Mapping[str, str]
    ) -> tuple[Bars, pd.DataFrame]:
        # made anew only if bars are new
        first = next(iter(parts.values()))
        key = (first.instrument, str(first.timeframe))
        made = self._joined.get(key)
        if made is None or not _identical(made[0], parts):
            made = (parts, consolidate(parts, quotes), closes_by_venue(parts))
            self._joined[key] = made
        return made[1], made[2]


def _identical(left: Mapping[str, Bars], right: Mapping[str, Bars]) -> bool:
    return list(left) == list(right) and all(left[name] is right[name] for name in left)


def _bars_of(instrument: str, timeframe: Timeframe | str, rows: pd.DataFrame) -> Bars:
    indexed = latest(rows).set_index("closed_at")
    return Bars.from_frame(instrument, Timeframe(timeframe), indexed)


def _compact_if_many(log: SegmentLog) -> None:
    if log.n_segments >= COMPACT_AT:
        log.compact()


def _instant(instant: datetime) -> pd.Timestamp:
    return pd.Timestamp(utc(instant))


def _known(rows: pd.DataFrame, as_of: datetime | None) -> pd.DataFrame:
    return rows if as_of is None else rows[rows["known_at"] <= _instant(as_of)]
