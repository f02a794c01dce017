"""Files of recorded bars, headlines and series put into the store: understood, or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import pandas as pd

from dexml.data.recorded.bar_tables import BarOptions, parse_bars
from dexml.data.recorded.deposits import (
    Delivery,
    agreeing,
    deposit_bars,
    deposit_last_bar,
    deposit_news,
    deposit_refused,
    deposit_series,
)
from dexml.data.recorded.imports import FileReport
from dexml.data.recorded.layouts import instrument_named
from dexml.data.recorded.news_tables import is_news, parse_news
from dexml.data.recorded.origins import Origin, origin_of
from dexml.data.recorded.pool_tables import is_pool, pool_as_bars
from dexml.data.recorded.refusals import refuse_other
from dexml.data.recorded.reports import bar_report, report_on, settled
from dexml.data.recorded.series_tables import parse_series
from dexml.data.recorded.tables import read_table
from dexml.data.sources.scorers import SentimentScorer
from dexml.data.sources.series import series_named
from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe
from dexml.errors import DataError, UsageError

__all__ = ["ImportOptions", "files_under", "import_files"]

_RANGE = {"open", "high", "low", "close"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What the files do not say themselves.

    Attributes
    ----------
    now : datetime
        What is dated later is refused.
    instruments : tuple of str
        Those that a headline can speak of, beside those in the store.
    venue, instrument, timeframe, stamps, volume_in_quote
        Of bars; see `BarOptions`.
    series : str, optional
        Name of a series.
    lag : timedelta, optional
        From the stamp of a value or headline to its first use.
    scorer : SentimentScorer, optional
        Of headlines; VADER unless given.
    """

    now: datetime
    instruments: tuple[str, ...] = ()
    venue: str | None = None
    instrument: str | None = None
    timeframe: Timeframe | None = None
    stamps: Literal["open", "close"] | None = None
    volume_in_quote: bool = False
    series: str | None = None
    lag: timedelta | None = None
    scorer: SentimentScorer | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Read:
    file: Path
    origin: Origin | None
    table: pd.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    # the last bar of a series of a file: nobody knows yet whether it was closed
    place: int
    delivery: Delivery
    last: Bars


def files_under(paths: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Return each file with the path under which it was found, without hidden ones, in order.

    Raises
    ------
    UsageError
        If a path does not exist, or a folder is empty.
    """
    found = [(file, root) for root in paths for file in _inside(root)]
    return sorted(dict(found).items())


def import_files(
    files: Sequence[tuple[Path, Path]],
    store: Store,
    options: ImportOptions,
    tell: Callable[[Path], None] = lambda _file: None,
) -> tuple[FileReport, ...]:
    """Put what the files hold into the store; a file is stored whole or not at all.

    Parameters
    ----------
    files : sequence of (file, root)
        As `files_under` finds them; folders below `root` may name the exchange.
    tell : callable
        Called with each file when it is done.

    Returns
    -------
    tuple of FileReport
        One for each file, in the order given. Importing again changes nothing.
    """
    return _Import(store, options).run(files, tell)


class _Import:
    def __init__(self, store: Store, options: ImportOptions) -> None:
        self._store, self._options = store, options
        self._reports: dict[int, FileReport] = {}
        self._held: list[_Held] = []

    def run(
        self, files: Sequence[tuple[Path, Path]], tell: Callable[[Path], None]
    ) -> tuple[FileReport, ...]:
        later: list[int] = []
        for place, (file, root) in enumerate(files):
            if not self._visit(place, file, root, news_too=False):
                later.append(place)  # which coins headlines can speak of is known after all bars
                continue
            tell(file)
        for place in later:
            self._visit(place, *files[place], news_too=True)
            tell(files[place][0])
        for held in self._held:
            self._settle(held)
        return tuple(self._reports[place] for place in sorted(self._reports))

    def _visit(self, place: int, file: Path, root: Path, *, news_too: bool) -> bool:
        n_rows = 1  # what is no table counts as one
        try:
            table = read_table(file)
            n_rows = len(table)
            if is_news(list(table.columns)) and not news_too:
                return False
            read = _Read(file=file, origin=self._origin(file, root), table=table)
            self._reports[place] = self._kept(place, read)
        except (DataError, UsageError) as error:
            self._reports[place] = FileReport(
                file=str(file), read=n_rows, refused=n_rows, reason=str(error)
            )
        return True

    def _origin(self, file: Path, root: Path) -> Origin | None:
        given, found = self._options, origin_of(file, root)
        if given.venue is not None:
            return Origin(venue=given.venue, volume_in_quote=given.volume_in_quote)
        return found and replace(
            found, volume_in_quote=found.volume_in_quote or given.volume_in_quote
        )

    def _kept(self, place: int, read: _Read) -> FileReport:
        columns = {name.strip().lower() for name in read.table.columns}
        if is_news(list(read.table.columns)):
            return self._news(read)
        if is_pool(list(read.table.columns)):
            venue, table, notes = pool_as_bars(read.file, read.table)
            origin = Origin(venue=self._options.venue or venue)
            report = self._bars(place, _Read(file=read.file, origin=origin, table=table))
            return replace(report, reason=", ".join(filter(None, (report.reason, *notes))))
        if columns >= _RANGE and not self._is_series(read):
            return self._bars(place, read)
        refuse_other(read.file, read.table)
        return self._series(read)

    def _is_series(self, read: _Read) -> bool:
        if self._options.instrument is not None:
            return False
        named = {"symbol", "ticker"} & {name.lower() for name in read.table.columns}
        known = series_named([read.file.name]) is not None
        return self._options.series is not None or (
            known and not named and instrument_named(read.file.name) is None
        )

    def _bars(self, place: int, read: _Read) -> FileReport:
        parsed = parse_bars(read.file, read.table, self._bar_options(read))
        if read.origin is None:
            raise DataError(
                f"file {read.file}",
                "must name its venue in its name or folder",
                read.file.name,
                "Give --venue NAME.",
            )
        delivery = Delivery(str(read.file), read.origin.venue, self._options.now)
        several, check_clock = list(parsed.bars.values()), self._options.stamps is None
        found = agreeing(self._store, delivery, several, check_clock)
        self._settle_before(delivery.venue, several)
        deposit_refused(self._store, delivery, several[0].timeframe, parsed.refused)
        deposit = deposit_bars(self._store, delivery, found)
        held = [_Held(place=place, delivery=delivery, last=last) for last in deposit.last]
        self._held += held
        return bar_report(read.file, len(read.table), delivery.venue, parsed, deposit)

    # stored in turn, the last bar of one file is no hole that the next one left
    def _settle_before(self, venue: str, several: Sequence[Bars]) -> None:
        first = {
            (bars.instrument, bars.timeframe): bars.closed_at[0] for bars in several if len(bars)
        }
        waiting, self._held = self._held, []
        for held in waiting:
            later = first.get((held.last.instrument, held.last.timeframe))
            if held.delivery.venue != venue or later is None or later <= held.last.closed_at[0]:
                self._held.append(held)
            else:
                self._settle(held, shown=True)

    def _bar_options(self, read: _Read) -> BarOptions:
        given = self._options
        return BarOptions(
            timeframe=given.timeframe,
            instrument=given.instrument,
            stamps=given.stamps,
            volume_in_quote=read.origin is not None and read.origin.volume_in_quote,
            now=given.now,
        )

    def _settle(self, held: _Held, shown: bool = False) -> None:
        deposit = deposit_last_bar(self._store, held.delivery, held.last, shown)
        self._reports[held.place] = settled(self._reports[held.place], deposit)

    def _series(self, read: _Read) -> FileReport:
        given = self._options
        parsed = parse_series(
            read.file, read.table, read.origin, given.series, given.lag, given.now
        )
        if not len(parsed.macro):
            raise DataError(f"file {read.file}", "must have sound rows", "none", "Repair it.")
        deposit = deposit_series(self._store, parsed.macro)
        return report_on(
            read.file, len(read.table), parsed.understood_as, parsed.faults, deposit, parsed.notes
        )

    def _news(self, read: _Read) -> FileReport:
        given = self._options
        stored = [instrument for _venue, instrument, _timeframe in self._store.series()]
        names = sorted({*given.instruments, *stored})
        parsed = parse_news(read.file, read.table, names, given.now, given.scorer, given.lag)
        deposit = deposit_news(self._store, parsed.news)
        return report_on(
            read.file, len(read.table), parsed.understood_as, parsed.faults, deposit, parsed.notes
        )


def _inside(root: Path) -> Iterator[Path]:
    if not root.exists():
        raise UsageError(f"path {root}", "must exist", "missing", "Check its spelling.")
    if root.is_file():
        yield root
        return
    found = [
        file
        for file in root.rglob("*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(root).parts)
    ]
    if not found:
        raise UsageError(f"folder {root}", "must hold files", "none", "Name another folder.")
    yield from found
