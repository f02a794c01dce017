"""Files of bars (parquet, CSV) turned into `Bars`: says what it understood, refuses the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dexml.data.layouts import Layout, instrument_named, layout_of, opening_times, timeframe_of
from dexml.data.quality import Fault, check_rows
from dexml.domain import PRICE_COLUMNS, Bars, Timeframe
from dexml.errors import DataError, DexmlError, UsageError

__all__ = ["FileReport", "Imported", "common_range", "import_bars", "read_bars"]

MAX_REFUSED_SHARE = 0.05
_ENDINGS = (".parquet", ".csv", ".csv.gz")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """What became of a file.

    Attributes
    ----------
    understood_as : str
        Instruments, timeframe, time column and range; empty if the file was refused.
    rows, refused : int
        Rows kept and rows left out.
    reason : str
        Why rows or the file were left out; empty if none were.
    """

    file: str
    understood_as: str = ""
    rows: int = 0
    refused: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Bars by instrument, and a report on each file."""

    bars: dict[str, Bars]
    files: tuple[FileReport, ...]


def read_bars(paths: str | Path | Sequence[str | Path]) -> dict[str, Bars]:
    """Return the bars of files or folders by instrument; see `import_bars`."""
    return import_bars(paths).bars


def import_bars(
    paths: str | Path | Sequence[str | Path],
    *,
    timeframe: Timeframe | None = None,
    strict: bool = True,
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
            found, report = _read_file(file, timeframe)
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
            f"{last_start} from {start:.16}, {first_end} until {end:.16}".replace("T", " "),
            "Leave one of them out.",
        )
    return {name: _between(one, start, end) for name, one in full.items()}


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
        inside = sorted(one for one in given.iterdir() if one.name.endswith(_ENDINGS))
        if not inside:
            raise UsageError(
                f"folder {given}",
                "must hold parquet or CSV files",
                "none",
                "Name the folder in which the files are.",
            )
        yield from inside


def _read_file(file: Path, timeframe: Timeframe | None) -> tuple[dict[str, Bars], FileReport]:
    table = _table(file)
    named = instrument_named(file.name)
    layout = layout_of(file.name, list(table.columns), _base(table, named))
    opened = opening_times(file.name, table[layout.time])
    step = timeframe or timeframe_of(file.name, opened)
    closed = opened if layout.closes else opened + pd.Timedelta(step.step)
    rows = _numbers(file, table, layout).set_index(closed)
    bars: dict[str, Bars] = {}
    faults: list[Fault] = []
    for name, places in _by_instrument(file, table, layout, named).items():
        checked = check_rows(name, step, rows.iloc[places])
        bars[name] = checked.bars
        faults += [Fault(int(places[fault.row]), fault.reason) for fault in checked.faults]
    _refuse_if_mostly_bad(file, len(table), faults)
    return bars, _report(file, layout, step, bars, faults)


def _table(file: Path) -> pd.DataFrame:
    kind = "parquet" if file.suffix == ".parquet" else "CSV"
    if not file.name.endswith(_ENDINGS):
        raise DataError(
            f"file {file}", f"must end in {', '.join(_ENDINGS)}", file.name, "Convert it."
        )
    try:
        table = pd.read_parquet(file) if kind == "parquet" else pd.read_csv(file, comment="#")
    except (ValueError, OSError) as error:  # pyarrow's and pandas' parsing errors are ValueErrors
        reason = str(error).splitlines()[0]
        raise DataError(f"file {file}", f"must be {kind}", reason, "Write it again.") from error
    if table.empty:
        raise DataError(f"file {file}", "must have rows", "empty", "Leave it out.")
    return table.reset_index() if table.index.name is not None else table


def _base(table: pd.DataFrame, named: str | None) -> str | None:
    for column in table.columns:
        if column.lower() in ("symbol", "ticker"):
            named = instrument_named(str(table[column].iloc[0])) or named
    return named.split("/")[0] if named else None


def _numbers(file: Path, table: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    columns = {}
    for name in PRICE_COLUMNS:
        # text that is no number becomes NaN, and its row is refused as such
        columns[name] = pd.to_numeric(table[getattr(layout, name)], errors="coerce")
    return pd.DataFrame(columns)


def _by_instrument(
    file: Path, table: pd.DataFrame, layout: Layout, named: str | None
) -> dict[str, np.ndarray[tuple[int], np.dtype[np.intp]]]:
    symbols = {} if layout.symbol is None else table.groupby(layout.symbol).indices
    read = {symbol: instrument_named(str(symbol)) for symbol in symbols}
    if symbols and all(read.values()):
        return {str(read[symbol]): np.sort(places) for symbol, places in symbols.items()}
    if named is None or len(symbols) > 1:
        raise DataError(
            f"file {file}",
            "must name its instrument",
            ", ".join(map(str, symbols)) or file.name,
            "Call the file BTCUSDT.parquet or add a column symbol.",
        )
    return {named: np.arange(len(table))}


def _refuse_if_mostly_bad(file: Path, n_rows: int, faults: list[Fault]) -> None:
    if len(faults) > MAX_REFUSED_SHARE * n_rows:
        raise DataError(
            f"file {file}",
            f"must have at most {MAX_REFUSED_SHARE:.0%} unsound rows",
            f"{len(faults)} of {n_rows} ({_reasons(faults)})",
            "Repair the file or fetch it again.",
        )


def _reasons(faults: list[Fault]) -> str:
    counts = Counter(fault.reason for fault in faults)
    first: dict[str, int] = {}
    for fault in sorted(faults, key=lambda one: one.row):
        first.setdefault(fault.reason, fault.row)
    return ", ".join(f"{why}: {n}, first in row {first[why]}" for why, n in counts.most_common())


def _report(
    file: Path, layout: Layout, step: Timeframe, bars: dict[str, Bars], faults: list[Fault]
) -> FileReport:
    n_rows = sum(len(one) for one in bars.values())
    first = min(one.closed_at[0] for one in bars.values() if len(one))
    last = max(one.closed_at[-1] for one in bars.values() if len(one))
    names = " ".join(sorted(bars))
    stamp = "close" if layout.closes else "open"
    text = f"{names} {step} bars, {layout.time} = {stamp} (UTC), {first:.16} to {last:.16} closed"
    reason = _reasons(faults)
    return FileReport(
        file=str(file), understood_as=text, rows=n_rows, refused=len(faults), reason=reason
    )


def _merged(known: dict[str, Bars], found: dict[str, Bars], file: Path) -> dict[str, Bars]:
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
