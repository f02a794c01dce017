"""A folder of rows that survives crashes: one fsynced Arrow file for each append.

A file's name ends in the digest of its bytes, so that a torn one is recognised. `compact` folds
segments into one parquet file for each month. One process writes at a time (a file lock); readers
need no lock: a file that vanishes under them was compacted, so they list again.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dexml.errors import DataError, EnvironmentRefused

__all__ = ["SegmentLog", "write_durably"]

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_TRIES = 5


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that after a crash it is there whole or not at all.

    Raises
    ------
    EnvironmentRefused
        If there is no room or no permission; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _refused(path.parent, error) from error


def _refused(folder: Path, error: OSError) -> EnvironmentRefused:
    full = error.errno in _NO_ROOM
    rule = "must have room" if full else "must be writable"
    fix = "Free disk space and start again." if full else "Check its owner and mode."
    return EnvironmentRefused(f"folder {folder}", rule, error.strerror, fix)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class SegmentLog:
    """Rows of one schema in one folder, appended and never changed.

    Parameters
    ----------
    folder : Path
        Made on the first append.
    schema : pyarrow.Schema
        The first column must be an instant; it says which month a row is filed under.
    key : tuple of str
        Columns that tell rows apart; repeats (after a crash while compacting) are dropped.
    """

    def __init__(self, folder: Path, schema: pa.Schema, key: tuple[str, ...]) -> None:
        self._folder, self._schema, self._key = folder, schema, key
        self._seen: set[str] = set()
        self._rows = self._empty()
        self.n_torn = 0

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder against other writers."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / ".lock").open("w")
        except OSError as error:
            raise _refused(self._folder, error) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def append(self, rows: pd.DataFrame) -> None:
        """Add rows durably; call it while `locked`, after `read`."""
        if rows.empty:
            return
        self._set_torn_aside()
        content = _arrow_bytes(rows, self._schema)
        path = self._folder / f"{self._next_number():012d}-{_digest(content)}.arrow"
        write_durably(path, content)
        self._keep(path.name, rows)

    def read(self) -> pd.DataFrame:
        """Return all rows, unordered; a torn last segment counts in `n_torn` and is left out.

        Raises
        ------
        DataError
            If a file that others followed is damaged.
        """
        for _ in range(_TRIES):
            try:
                return self._refreshed()
            except FileNotFoundError:
                self._forget()
        raise DataError(
            f"folder {self._folder}", "must hold still", "rewritten", "Try again in a moment."
        )

    @property
    def n_segments(self) -> int:
        return len(self._segments())

    def compact(self) -> int:
        """Fold the segments into parquet files by month; return how many segments there were."""
        with self.locked():
            self._set_torn_aside()
            segments = self._segments()
            if segments:
                replaced = self._write_months(self.read(), self._months_of(segments))
                for path in (*segments, *replaced):
                    path.unlink()
                self._forget()
            return len(segments)

    def _months_of(self, segments: list[Path]) -> set[str]:
        frames = [frame for path in segments if (frame := self._load(path)) is not None]
        return {month for frame in frames for month in _month(frame, self._schema.names[0])}

    def _write_months(self, rows: pd.DataFrame, touched: set[str]) -> list[Path]:
        replaced = []
        for month, part in rows.groupby(_month(rows, self._schema.names[0])):
            if month in touched:
                content = _parquet_bytes(part, self._schema)
                path = self._folder / f"{month}-{_digest(content)}.parquet"
                replaced += [old for old in self._folder.glob(f"{month}-*.parquet") if old != path]
                write_durably(path, content)
        return replaced

    def _refreshed(self) -> pd.DataFrame:
        names = self._names()
        if not self._seen <= names:
            self._forget()
        segments = [path.name for path in self._segments()]
        for name in sorted(names - self._seen):
            rows = self._load(self._folder / name)
            if rows is not None:
                self._keep(name, rows)
            elif name not in segments[-1:]:
                raise DataError(
                    f"file {self._folder / name}",
                    "must be intact",
                    "damaged",
                    "Delete it and fetch its range again.",
                )
        self.n_torn = len(names - self._seen)
        return self._rows

    def _load(self, path: Path) -> pd.DataFrame | None:
        content = path.read_bytes()
        if not _is_whole(path, content):
            return None
        source = pa.BufferReader(content)
        table = pq.read_table(source) if path.suffix == ".parquet" else pa.ipc.open_file(source)
        rows = table if isinstance(table, pa.Table) else table.read_all()
        frame: pd.DataFrame = rows.to_pandas()
        return frame

    def _keep(self, name: str, rows: pd.DataFrame) -> None:
        both = rows if self._rows.empty else pd.concat([self._rows, rows], ignore_index=True)
        self._rows = both[self._schema.names].drop_duplicates(list(self._key), ignore_index=True)
        self._seen.add(name)

    def _forget(self) -> None:
        self._seen, self._rows = set(), self._empty()

    def _empty(self) -> pd.DataFrame:
        frame: pd.DataFrame = self._schema.empty_table().to_pandas()
        return frame

    def _names(self) -> set[str]:
        return {path.name for path in (*self._segments(), *self._folder.glob("*.parquet"))}

    def _segments(self) -> list[Path]:
        return sorted(self._folder.glob("*.arrow"))

    def _next_number(self) -> int:
        segments = self._segments()
        return int(segments[-1].stem.partition("-")[0]) + 1 if segments else 1

    def _set_torn_aside(self) -> None:
        # what follows a torn segment would make it look like damage in the middle
        for path in self._segments()[-1:]:
            if not _is_whole(path, path.read_bytes()):
                path.rename(path.with_suffix(".torn"))


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


def _is_whole(path: Path, content: bytes) -> bool:
    return path.stem.rpartition("-")[2] == _digest(content)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _month(rows: pd.DataFrame, column: str) -> pd.Series[str]:
    months: pd.Series[str] = rows[column].dt.strftime("%Y-%m")
    return months
