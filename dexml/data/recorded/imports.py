"""Files of bars (parquet, CSV) turned into `Bars`: says what it understood, refuses the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from dexml.data.quality import Rule
from dexml.data.recorded.bar_tables import BarOptions, parse_bars, reasons
from dexml.data.recorded.tables import ENDINGS, read_table
from dexml.domain import Bars, Timeframe
from dexml.errors import DataError, DexmlError, UsageError

__all__ = ["FileReport", "Imported", "common_range", "import_bars", "read_bars"]


_HARMLESS = (Rule.REPEAT, Rule.FROZEN, Rule.LONE)  # the last is a suspect, not proven wrong
_TABLES = tuple(ending for ending in ENDINGS if ending != ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """What became of a file.

    Attributes
    ----------
    understood_as : str
        Instruments, timeframe, time column and range; empty if the file was refused.
    read, rows, refused : int
        Rows of the file, those kept and those left out; what is no table counts as one.
    aside : int
        Sound bars that the store did not believe after those before them. `read` is the sum of
        `rows`, `refused` and this.
    unsound : int
        Rows left out that were neither repeated, nor copies of the bar before, nor suspects that
        may be true.
    stored, known : int
        Rows kept that the store did not have, and those that it had.
    reason : str
        Why rows or the file were left out, and what was set right; empty if nothing was.
    """

    file: str
    understood_as: str = ""
    read: int = 0
    rows: int = 0
    refused: int = 0
    aside: int = 0
    unsound: int = 0
    stored: int = 0
    known: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Bars by instrument, and a report on each file."""

    bars: dict[str, Bars]
    files: tuple[FileReport, ...]


def read_bars(
    paths: str | Path | Sequence[str | Path], now: datetime | None = None
) -> dict[str, Bars]:
    """Return the bars of files or folders by instrument; see `import_bars`.

    Raises
    ------
    DataError
        Also if a bar is lost because its row is unsound: whoever learns from bars must not pass
        over that in silence. Repeated rows and copies of the bar before are left out.
    """
    read = import_bars(paths, now=now)
    for report in (one for one in read.files if one.unsound):
        raise DataError(
            f"file {report.file}",
            "must have sound rows only",
            f"{report.unsound} unsound ({report.reason})",
            "Correct those rows or take them out of the file.",
        )
    return read.bars


def import_bars(
    paths: str | Path | Sequence[str | Path],
    *,
    timeframe: Timeframe | None = None,
    strict: bool = True,
    now: datetime | None = None,
) -> Imported:
    """Read bars stamped with their open, and stamp them with their close.

    Parameters
    ----------
    paths : path or sequence of paths
        Files, or folders whose parquet and CSV files are read.
    timeframe : Timeframe, optional
        By default the commonest step between rows.
    strict : bool
        Raise at the first file that cannot be used, instead of reporting it.
    now : datetime, optional
        Bars that close later are unsound.

    Raises
    ------
    UsageError
        If a path does not exist, or there is nothing to read in it.
    DataError
        If a file is not what its name says, lacks a column, is empty, names no instrument, has
        more than 5% unsound rows, or contradicts another file.
    """
    bars: dict[str, Bars] = {}
    reports = []
    for file in _files(paths):
        try:
            found, report = _read_file(file, BarOptions(timeframe=timeframe, now=now))
            bars = _merged(bars, found, file)
        except DexmlError as error:
            if strict:
                raise
            report = FileReport(file=str(file), reason=str(error))
        reports.append(report)
    return Imported(bars=bars, files=tuple(reports))


def common_range(bars: Mapping[str, Bars]) -> dict[str, Bars]:
    """Cut all instruments to the time they share.

    Raises
    ------
    DataError
        If there is no such time.
    """
    full = {name: one for name, one in bars.items() if len(one)}
    if not full:
        raise DataError("bars", "must not be empty", "no bars", "Name other files.")
    last_start = max(full, key=lambda name: full[name].closed_at[0])
    first_end = min(full, key=lambda name: full[name].closed_at[-1])
    start, end = full[last_start].closed_at[0], full[first_end].closed_at[-1]
    if start > end:
        raise DataError(
            f"bars of {last_start} and {first_end}",
            "must overlap in time",
            f"{last_start} from {_minute(start)}, {first_end} until {_minute(end)}",
            "Leave one of them out.",
        )
    return {name: _between(one, start, end) for name, one in full.items()}


def _minute(instant: np.datetime64) -> str:
    return f"{pd.Timestamp(instant):%Y-%m-%d %H:%M}"


def _between(bars: Bars, start: np.datetime64, end: np.datetime64) -> Bars:
    return bars.until(end).take(slice(int(np.searchsorted(bars.closed_at, start)), None))


def _files(paths: str | Path | Sequence[str | Path]) -> Iterator[Path]:
    for path in [paths] if isinstance(paths, str | Path) else paths:
        given = Path(path)
        if not given.exists():
            raise UsageError(f"path {given}", "must exist", "missing", "Check its spelling.")
        if given.is_file():
            yield given
            continue
        inside = sorted(one for one in given.iterdir() if one.name.endswith(_TABLES))
        if not inside:
            raise UsageError(
                f"folder {given}",
                "must hold parquet or CSV files",
                "none",
                "Name the folder in which the files are.",
            )
        yield from inside


def _read_file(file: Path, options: BarOptions) -> tuple[Mapping[str, Bars], FileReport]:
    parsed = parse_bars(file, read_table(file), options)
    report = FileReport(
        file=str(file),
        understood_as=parsed.understood_as,
        read=sum(len(one) for one in parsed.bars.values()) + len(parsed.faults),
        rows=sum(len(one) for one in parsed.bars.values()),
        refused=len(parsed.faults),
        unsound=sum(fault.reason not in _HARMLESS for fault in parsed.faults),
        reason=", ".join(filter(None, (reasons(parsed.faults), *parsed.notes))),
    )
    return parsed.bars, report


def _merged(known: dict[str, Bars], found: Mapping[str, Bars], file: Path) -> dict[str, Bars]:
    merged = dict(known)
    for name, bars in found.items():
        merged[name] = _joined(known[name], bars, file) if name in known else bars
    return merged


def _joined(known: Bars, bars: Bars, file: Path) -> Bars:
    if known.timeframe != bars.timeframe:
        raise DataError(
            f"file {file}",
            f"must have {known.timeframe} bars of {bars.instrument} as the files before it",
            bars.timeframe,
            "Import one timeframe at a time.",
        )
    both = pd.concat([known.frame(), bars.frame()]).reset_index().drop_duplicates()
    repeated = both[both["closed_at"].duplicated()]
    if len(repeated):
        raise DataError(
            f"file {file}",
            f"must agree with the files before it about {bars.instrument}",
            f"other prices in {len(repeated)} bars, first at {repeated['closed_at'].min()}",
            "Leave one of the overlapping files out.",
        )
    ordered = both.sort_values("closed_at").set_index("closed_at")
    return Bars.from_frame(bars.instrument, bars.timeframe, ordered)
