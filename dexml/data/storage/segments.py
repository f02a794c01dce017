"""A folder of rows that survives crashes: one durable Arrow file for each append.

A file's name ends in the digest of its bytes, so that a torn one is recognised. `compact` folds
segments into one parquet file for each month. On a local disk one process writes at a time (a file
lock). Where there is no lock the rows are a set that only grows: a file is removed only after all
its rows stand in a file of a new name, so that two writers, or two that compact, lose nothing, and
every reader sees the same set. Readers need no lock: a file that vanishes under them was
compacted, so they list again.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from threading import RLock

import pandas as pd
import pyarrow as pa

from dexml.data.storage.segment_files import (
    COMPACT_AT,
    MONTH,
    SEGMENT,
    SegmentFiles,
    ending,
    steadily,
    write_month,
)
from dexml.folders import Folder

__all__ = ["SegmentLog"]


class SegmentLog:
    """Rows of one schema in one folder, appended and never changed.

    Parameters
    ----------
    folder : Folder
        Made on the first append.
    schema : pyarrow.Schema
        The first column must be an instant; it says which month a row is filed under. A row that
        is there already, equal in all columns, counts once.
    """

    def __init__(self, folder: Folder, schema: pa.Schema) -> None:
        self._folder, self._schema = folder, schema
        self._files = SegmentFiles(folder)
        self._rows = self._empty()
        self._guard = RLock()  # several threads of an actor may read one log

    @property
    def n_torn(self) -> int:
        """How many torn segments the last read left out."""
        return self._files.n_torn

    def locked(self) -> AbstractContextManager[None]:
        """Hold the folder against other writers, where that can be done."""
        context: AbstractContextManager[None] = self._folder.locked()
        return context

    def append(self, rows: pd.DataFrame) -> None:
        """Add rows durably; call it while `locked`, after `read`."""
        if rows.empty:
            return
        table = pa.Table.from_pandas(rows, schema=self._schema, preserve_index=False)
        with self._guard:
            self._files.add(table)
            self._keep([rows[self._schema.names]])

    def read(self) -> pd.DataFrame:
        """Return all rows, unordered; a torn last segment counts in `n_torn` and is left out.

        The same object as before if nothing was added; do not change it.

        Raises
        ------
        DataError
            If a file that others followed is damaged.
        """
        with self._guard:
            return steadily(self._folder, self._refreshed)

    @property
    def n_segments(self) -> int:
        return len(ending(self._folder.names(), SEGMENT))

    def compact(self) -> int:
        """Fold the segments into parquet files by month; return how many segments there were."""
        with self.locked():
            self._files.drop_torn()
            with self._guard:
                rows, folded = self.read(), frozenset(self._files.seen)
            segments = ending(folded, SEGMENT)
            if segments:
                months = self._months_of(segments)
                self._write_months(rows, months)
                old = [name for name in ending(folded, MONTH) if name[:7] in months]
                self._files.remove((*segments, *old))
            return len(segments)

    def compact_if_many(self) -> None:
        """Fold the segments once enough have gathered."""
        if self.n_segments >= COMPACT_AT:
            self.compact()

    def _months_of(self, segments: list[str]) -> set[str]:
        months: set[str] = set()
        for name in segments:
            with suppress(FileNotFoundError):  # another one folds it too
                table = self._files.load(name)
                if table is not None:
                    months |= set(_month(table.to_pandas(), self._schema.names[0]))
        return months

    def _write_months(self, rows: pd.DataFrame, touched: set[str]) -> None:
        for month, part in rows.groupby(_month(rows, self._schema.names[0])):
            if month in touched:
                ordered = part.sort_values(self._schema.names)
                table = pa.Table.from_pandas(ordered, schema=self._schema, preserve_index=False)
                write_month(self._folder, str(month), table)

    def _refreshed(self) -> pd.DataFrame:
        fresh: list[pd.DataFrame] = []
        try:
            # the rows of files that were folded stay: nothing is ever taken back
            self._files.take_new(
                self._folder.names(), lambda _, table: fresh.append(self._whole(table))
            )
        finally:
            self._keep(fresh)
        return self._rows

    def _whole(self, table: pa.Table) -> pd.DataFrame:
        for field in self._schema:  # a store made before a column was kept has none
            if field.name not in table.column_names:
                table = table.append_column(field, pa.nulls(len(table), field.type))
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def _keep(self, fresh: list[pd.DataFrame]) -> None:
        parts = [rows for rows in fresh if len(rows)]
        if parts:
            added = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
            self._rows = _united(self._rows, added, self._schema.names[0])

    def _empty(self) -> pd.DataFrame:
        frame: pd.DataFrame = self._schema.empty_table().to_pandas()
        return frame


def _united(rows: pd.DataFrame, added: pd.DataFrame, instant: str) -> pd.DataFrame:
    both = pd.concat([rows, added], ignore_index=True) if len(rows) else added
    if len(added) == 1 and len(rows) and added[instant].iloc[0] > rows[instant].max():
        return both  # the usual case, and the cheap one: one later row came
    return both.drop_duplicates(ignore_index=True)


def _month(rows: pd.DataFrame, column: str) -> pd.Series[str]:
    months: pd.Series[str] = rows[column].dt.strftime("%Y-%m")
    return months
