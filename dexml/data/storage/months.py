"""The folder of a series: its bars, filed by the month in which they closed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dexml.data.storage.bar_rows import BarRows, believed, latest, united
from dexml.data.storage.segment_files import (
    MONTH,
    SEGMENT,
    SegmentFiles,
    ending,
    steadily,
    write_month,
)
from dexml.folders import Folder

__all__ = ["file_rows", "last_rows", "read_months"]


def read_months(folder: Folder, month: str = "") -> tuple[SegmentFiles, list[BarRows]]:
    """Return the rows of one month; or of all, and of segments that stores once kept here."""
    files, found = SegmentFiles(folder), list[BarRows]()

    def read() -> None:
        names = [name for name in folder.names() if name.startswith(month)]
        files.take_new(names, lambda _, table: found.append(BarRows.of(table)))

    steadily(folder, read)
    return files, found


def last_rows(
    folder: Folder, arrived: Iterable[BarRows], n_rows: int, until: np.datetime64 | None
) -> BarRows:
    """Return at least the last believed bars until an instant, if there are so many.

    Parameters
    ----------
    arrived : iterable of BarRows
        What is not filed yet.
    """
    found = list(arrived)
    for month in _newest_first(folder, until):
        found += read_months(folder, month)[1]
        rows = _between(believed(latest(BarRows.joined(found))), month, until)
        if rows.n_rows >= n_rows:
            return rows
    return _between(believed(latest(BarRows.joined(found))), "", until)


def _newest_first(folder: Folder, until: np.datetime64 | None) -> list[str]:
    names = folder.names()
    if ending(names, SEGMENT):  # they may be of any month
        return [""]
    months = {name[:7] for name in ending(names, MONTH)}
    known = {month for month in months if until is None or np.datetime64(month, "M") <= until}
    return sorted(known, reverse=True)


# Older bars that have just arrived are not all there are of their time.
def _between(rows: BarRows, month: str, until: np.datetime64 | None) -> BarRows:
    stamps = rows.closed_at.view("M8[ns]")
    last = len(stamps) if until is None else np.searchsorted(stamps, until, side="right")
    first = np.searchsorted(stamps, np.datetime64(month, "ns")) if month else 0
    return rows.take(slice(int(first), int(last)))


def file_rows(folder: Folder, rows: BarRows) -> None:
    """Put rows into their months, each once."""
    with folder.locked():
        months = rows.months
        for month in np.unique(months):
            files, filed = read_months(folder, f"{month}-")
            whole = united([*filed, rows.take(months == month)])
            write_month(folder, str(month), whole.table())
            files.remove(files.seen)
