"""Where bars, news and macro values are kept: appended once, never changed, read as of any instant.

A bar that an exchange changed later becomes a new revision with its own `known_at`, so that what
was known when a decision was made can always be read again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from dexml.clock import utc
from dexml.data.revisions import PERIOD, fresh_bars, fresh_values, latest
from dexml.data.segments import SegmentLog
from dexml.domain import (
    MACRO_COLUMNS,
    NEWS_COLUMNS,
    PRICE_COLUMNS,
    Bars,
    History,
    Timeframe,
    check_instrument,
)
from dexml.errors import DataError

__all__ = ["Store"]

_INSTANT = pa.timestamp("ns", tz="UTC")
_BARS = pa.schema(
    [
        ("closed_at", _INSTANT),
        *((name, pa.float64()) for name in PRICE_COLUMNS),
        ("revision", pa.int64()),
        ("known_at", _INSTANT),
    ]
)
_NEWS = pa.schema(
    [
        ("published_at", _INSTANT),
        ("known_at", _INSTANT),
        ("source", pa.string()),
        ("title", pa.string()),
        ("instruments", pa.string()),
        ("score", pa.float64()),
    ]
)
_MACRO = pa.schema(
    [
        ("period_at", _INSTANT),
        ("series", pa.string()),
        ("known_at", _INSTANT),
        ("value", pa.float64()),
    ]
)
_NEWS_KEY = ("source", "title", "published_at")
COMPACT_AT = 64
_KIND_OF_INSTANT = "datetime64[ns, UTC]"


class Store:
    """Bars, news and macro values under one folder.

    Parameters
    ----------
    root : path
        Made when something is first appended. One process at a time may append to a series (a file
        lock sees to it); any number may read.

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
        self._root = Path(root)
        self._logs: dict[Path, SegmentLog] = {}

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
        log = self._bar_log(venue, instrument, Timeframe(timeframe))
        rows = latest(_known(log.read(), as_of))
        return Bars.from_frame(instrument, Timeframe(timeframe), rows.set_index("closed_at"))

    def append_news(self, frame: pd.DataFrame) -> int:
        """Keep headlines (columns `NEWS_COLUMNS`) not yet known by source, title and time."""
        rows = _checked(frame, "news", NEWS_COLUMNS).drop_duplicates(list(_NEWS_KEY))
        log = self._news_log()
        with log.locked():
            known = pd.MultiIndex.from_frame(log.read()[list(_NEWS_KEY)])
            fresh = rows[~pd.MultiIndex.from_frame(rows[list(_NEWS_KEY)]).isin(known)]
            log.append(fresh)
        _compact_if_many(log)
        return len(fresh)

    def append_macro(self, frame: pd.DataFrame) -> int:
        """Keep values (columns `MACRO_COLUMNS`) that are new or revised for their period."""
        rows = _checked(frame, "macro", MACRO_COLUMNS)
        log = self._macro_log()
        with log.locked():
            fresh = fresh_values(log.read(), rows)
            log.append(fresh)
        _compact_if_many(log)
        return len(fresh)

    def news(self, as_of: datetime | None = None) -> pd.DataFrame:
        """Return the headlines known at `as_of`, by the instant they became known."""
        rows = _known(self._news_log().read(), as_of)
        order = ["known_at", "published_at", "source", "title"]
        return rows.sort_values(order, ignore_index=True)[list(NEWS_COLUMNS)]

    def macro(self, as_of: datetime | None = None) -> pd.DataFrame:
        """Return the values known at `as_of`, revisions included, by instant of knowledge."""
        rows = _known(self._macro_log().read(), as_of)
        order = ["known_at", "series", "period_at"]
        return rows.sort_values(order, ignore_index=True)[list(MACRO_COLUMNS)]

    def history(
        self,
        venues: Sequence[str],
        instruments: Sequence[str],
        timeframe: Timeframe | str,
        as_of: datetime | None = None,
    ) -> History:
        """Return everything known; each bar from the first venue that has it.

        Raises
        ------
        DataError
            If an instrument has no bars at any venue.
        """
        bars: dict[str, Bars] = {}
        for name in instruments:
            parts = [self.bars(venue, name, timeframe, as_of).frame() for venue in venues]
            rows = pd.concat(parts) if parts else pd.DataFrame()
            if rows.empty:
                raise DataError(
                    f"store {self._root}",
                    f"must hold {timeframe} bars of {name}",
                    f"none at {', '.join(venues)}",
                    "Backfill or import them first.",
                )
            first = rows[~rows.index.duplicated(keep="first")].sort_index()
            bars[name] = Bars.from_frame(name, Timeframe(timeframe), first)
        return History(bars=bars, news=self.news(as_of), macro=self.macro(as_of))

    def series(self) -> list[tuple[str, str, Timeframe]]:
        """Return what bars there are: (venue, instrument, timeframe), sorted."""
        found = sorted((self._root / "bars").glob("*/*/*"))
        names = [path.relative_to(self._root / "bars").parts for path in found if path.is_dir()]
        return [(venue, name.replace("-", "/"), Timeframe(frame)) for venue, name, frame in names]

    def compact(self) -> int:
        """Fold all segments into parquet files; return how many segments there were."""
        logs = [self._bar_log(*series) for series in self.series()]
        context = [log for log in (self._news_log(), self._macro_log()) if log.n_segments]
        return sum(log.compact() for log in (*logs, *context))

    def _bar_log(self, venue: str, instrument: str, timeframe: Timeframe) -> SegmentLog:
        if not venue.replace("_", "").replace("-", "").isalnum():
            raise DataError("venue", "must be one word", repr(venue), "Write binance.")
        name = check_instrument(instrument).replace("/", "-")
        folder = self._root / "bars" / venue / name / timeframe
        return self._log(folder, _BARS, ("closed_at", "revision"))

    def _news_log(self) -> SegmentLog:
        return self._log(self._root / "news", _NEWS, _NEWS_KEY)

    def _macro_log(self) -> SegmentLog:
        return self._log(self._root / "macro", _MACRO, (*PERIOD, "known_at"))

    def _log(self, folder: Path, schema: pa.Schema, key: tuple[str, ...]) -> SegmentLog:
        if folder not in self._logs:
            self._logs[folder] = SegmentLog(folder, schema, key)
        return self._logs[folder]


def _compact_if_many(log: SegmentLog) -> None:
    if log.n_segments >= COMPACT_AT:
        log.compact()


def _instant(instant: datetime) -> pd.Timestamp:
    return pd.Timestamp(utc(instant))


def _known(rows: pd.DataFrame, as_of: datetime | None) -> pd.DataFrame:
    return rows if as_of is None else rows[rows["known_at"] <= _instant(as_of)]


def _checked(frame: pd.DataFrame, kind: str, columns: Sequence[str]) -> pd.DataFrame:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise DataError(
            f"{kind} rows", f"must have {', '.join(columns)}", f"no {', '.join(missing)}", "Add it."
        )
    rows = frame[list(columns)].reset_index(drop=True)
    rows = rows.astype(_kinds(columns))
    number = "score" if kind == "news" else "value"
    wrong = rows.index[~np.isfinite(rows[number]) | rows["known_at"].isna()]
    if len(wrong):
        raise DataError(
            f"{kind} row {wrong[0]}",
            f"must have a finite {number} and a known_at",
            rows.loc[wrong[0], number],
            "Leave the row out: missing is missing.",
        )
    return rows


def _kinds(columns: Sequence[str]) -> Mapping[str, str]:
    kinds = {name: _KIND_OF_INSTANT for name in columns if name.endswith("_at")}
    return kinds | {name: "float64" for name in columns if name in ("score", "value")}
