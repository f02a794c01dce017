"""A folder of rows that survives crashes: one durable Arrow file for each append.

A file's name ends in the digest of its bytes, so that a torn one is recognised. `compact` folds
segments into one parquet file for each month. On a local disk one process writes at a time (a file
lock). Where there is no lock the rows are a set that only grows: a file is removed only after all
its rows stand in a file of a new name, so that two writers, or two that compact, lose nothing, and
every reader sees the same set. Readers need no lock: a file that vanishes under them was
compacted, so they list again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from threading import RLock
from uuid import uuid4

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dexml.data.folders import Folder
from dexml.errors import DataError

__all__ = ["SegmentLog"]

_TRIES = 50
_SEGMENT, _MONTH, _TORN, _UNFINISHED = ".arrow", ".parquet", ".torn", ".tmp"


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
        self._seen: set[str] = set()
        self._rows = self._empty()
        self._guard = RLock()  # several threads of an actor may read one log
        self.n_torn = 0

    def locked(self) -> AbstractContextManager[None]:
        """Hold the folder against other writers, where that can be done."""
        context: AbstractContextManager[None] = self._folder.locked()
        return context

    def append(self, rows: pd.DataFrame) -> None:
        """Add rows durably; call it while `locked`, after `read`."""
        if rows.empty:
            return
        segments = self._without_torn()
        number = int(segments[-1].partition("-")[0]) + 1 if segments else 1
        content = _arrow_bytes(rows, self._schema)
        name = f"{number:012d}-{_digest(content)}{_SEGMENT}"
        with self._guard:
            self._folder.write(name, content)
            self._keep({name: rows[self._schema.names]})

    def read(self) -> pd.DataFrame:
        """Return all rows, unordered; a torn last segment counts in `n_torn` and is left out.

        The same object as before if nothing was added; do not change it.

        Raises
        ------
        DataError
            If a file that others followed is damaged.
        """
        for _ in range(_TRIES):
            # a file that goes while we read was compacted: its rows are elsewhere now
            with self._guard, suppress(FileNotFoundError):
                return self._refreshed()
        raise DataError(
            f"folder {self._folder}", "must hold still", "rewritten", "Try again in a moment."
        )

    @property
    def n_segments(self) -> int:
        return len(_ending(self._folder.names(), _SEGMENT))

    def compact(self) -> int:
        """Fold the segments into parquet files by month; return how many segments there were."""
        with self.locked():
            self._without_torn()
            with self._guard:
                rows, folded = self.read(), frozenset(self._seen)
            segments = _ending(folded, _SEGMENT)
            if segments:
                months = self._months_of(segments)
                self._write_months(rows, months)
                old = [name for name in _ending(folded, _MONTH) if name[:7] in months]
                for name in (*segments, *old, *_ending(self._folder.names(), _UNFINISHED)):
                    self._folder.remove(name)
            return len(segments)

    def _months_of(self, segments: list[str]) -> set[str]:
        months: set[str] = set()
        for name in segments:
            with suppress(FileNotFoundError):  # another one folds it too
                rows = self._load(name)
                months |= set() if rows is None else set(_month(rows, self._schema.names[0]))
        return months

    def _write_months(self, rows: pd.DataFrame, touched: set[str]) -> None:
        for month, part in rows.groupby(_month(rows, self._schema.names[0])):
            if month in touched:
                content = _parquet_bytes(part.sort_values(self._schema.names), self._schema)
                # a name of its own: were it made of the content alone, two that compact at once
                # could each remove as old what the other has just written
                self._folder.write(f"{month}-{uuid4().hex}-{_digest(content)}{_MONTH}", content)

    def _refreshed(self) -> pd.DataFrame:
        names = self._folder.names()
        segments = _ending(names, _SEGMENT)
        files = {*segments, *_ending(names, _MONTH)}
        self._seen &= files  # the rows of files that were folded stay: nothing is ever taken back
        fresh: dict[str, pd.DataFrame] = {}
        try:
            for name in sorted(files - self._seen):
                rows = self._load(name)
                if rows is not None:
                    fresh[name] = rows
                elif name not in segments[-1:]:
                    raise _damaged(f"{self._folder}/{name}")
        finally:
            self._keep(fresh)
        self.n_torn = len(files - self._seen)
        return self._rows

    def _load(self, name: str) -> pd.DataFrame | None:
        content = self._folder.read(name)
        if not _is_whole(name, content):
            return None
        source = pa.BufferReader(content)
        monthly = name.endswith(_MONTH)
        table = pq.read_table(source) if monthly else pa.ipc.open_file(source).read_all()
        for field in self._schema:  # a store made before a column was kept has none
            if field.name not in table.column_names:
                table = table.append_column(field, pa.nulls(len(table), field.type))
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def _keep(self, fresh: dict[str, pd.DataFrame]) -> None:
        parts = [rows for rows in fresh.values() if len(rows)]
        self._seen |= set(fresh)
        if parts:
            added = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
            self._rows = _united(self._rows, added, self._schema.names[0])

    def _empty(self) -> pd.DataFrame:
        frame: pd.DataFrame = self._schema.empty_table().to_pandas()
        return frame

    def _without_torn(self) -> list[str]:
        # what follows a torn segment would make it look like damage in the middle
        segments = _ending(self._folder.names(), _SEGMENT)
        try:
            if not segments or self._is_intact(segments[-1]):
                return segments
            self._folder.rename(segments[-1], segments[-1].removesuffix(_SEGMENT) + _TORN)
        except FileNotFoundError:
            pass  # another writer was faster
        return segments[:-1]

    def _is_intact(self, name: str) -> bool:
        return name in self._seen or _is_whole(name, self._folder.read(name))


def _damaged(file: str) -> DataError:
    fix = "Delete it and fetch its range again."
    return DataError(f"file {file}", "must be intact", "damaged", fix)


def _united(rows: pd.DataFrame, added: pd.DataFrame, instant: str) -> pd.DataFrame:
    both = pd.concat([rows, added], ignore_index=True) if len(rows) else added
    if len(added) == 1 and len(rows) and added[instant].iloc[0] > rows[instant].max():
        return both  # the usual case, and the cheap one: one later row came
    return both.drop_duplicates(ignore_index=True)


def _ending(names: Iterable[str], ending: str) -> list[str]:
    return sorted(name for name in names if name.endswith(ending))


def _arrow_bytes(rows: pd.DataFrame, schema: pa.Schema) -> bytes:
    table = pa.Table.from_pandas(rows, schema=schema, preserve_index=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _parquet_bytes(rows: pd.DataFrame, schema: pa.Schema) -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pandas(rows, schema=schema, preserve_index=False)
    pq.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _is_whole(name: str, content: bytes) -> bool:
    return name.rpartition(".")[0].rpartition("-")[2] == _digest(content)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _month(rows: pd.DataFrame, column: str) -> pd.Series[str]:
    months: pd.Series[str] = rows[column].dt.strftime("%Y-%m")
    return months
