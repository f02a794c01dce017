"""The files of a folder of rows: each written once, and recognised whole by its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from dexml.data.storage.folders import Folder
from dexml.errors import DataError

__all__ = [
    "COMPACT_AT",
    "MONTH",
    "SEGMENT",
    "TORN",
    "SegmentFiles",
    "digest",
    "ending",
    "is_whole",
    "steadily",
    "write_month",
]

T = TypeVar("T")

COMPACT_AT = 64  # segments
SEGMENT, MONTH = ".arrow", ".parquet"
TORN, _UNFINISHED = ".torn", ".tmp"
_TRIES = 50


class SegmentFiles:
    """Segments, one for each append, and the files that they are folded into.

    Parameters
    ----------
    folder : Folder
        Made on the first append.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.seen: set[str] = set()
        self.n_torn = 0

    def add(self, table: pa.Table, after: int = 0) -> str:
        """Write a segment after the last whole one, numbered above `after`; return its name."""
        segments = self._without_torn()
        last = int(segments[-1].partition("-")[0]) if segments else 0
        number = max(last, after) + 1
        content = _arrow_bytes(table)
        name = f"{number:012d}-{digest(content)}{SEGMENT}"
        self.folder.write(name, content)
        self.seen.add(name)
        return name

    def take_new(self, names: Iterable[str], keep: Callable[[str, pa.Table], None]) -> None:
        """Hand over the whole files among `names` that were not seen yet.

        Parameters
        ----------
        names : iterable of str
            All that are in the folder now.
        keep : callable
            Takes the name and the rows of a file. A torn last segment is left out and counted.

        Raises
        ------
        DataError
            If a file that others followed is damaged.
        FileNotFoundError
            If a file was folded meanwhile; list again.
        """
        names = list(names)
        segments = ending(names, SEGMENT)
        files = {*segments, *ending(names, MONTH)}
        self.seen &= files
        for name in sorted(files - self.seen):
            table = self.load(name)
            if table is not None:
                keep(name, table)
                self.seen.add(name)
            elif name not in segments[-1:]:
                raise _damaged(f"{self.folder}/{name}")
        self.n_torn = len(files - self.seen)

    def load(self, name: str) -> pa.Table | None:
        """Return the rows of a file, or None if it is torn."""
        content = self.folder.read(name)
        if not is_whole(name, content):
            return None
        source = pa.BufferReader(content)
        if name.endswith(MONTH):
            return pq.read_table(source)
        return pa.ipc.open_file(source).read_all()

    def remove(self, names: Iterable[str]) -> None:
        """Remove files whose rows stand elsewhere, and what a crash left half-written."""
        for name in (*names, *ending(self.folder.names(), _UNFINISHED)):
            self.folder.remove(name)

    def drop_torn(self) -> None:
        """Set a torn last segment aside: what follows it would make it look like damage."""
        self._without_torn()

    def _without_torn(self) -> list[str]:
        segments = ending(self.folder.names(), SEGMENT)
        with suppress(FileNotFoundError):  # another writer was faster
            if not segments or self._is_intact(segments[-1]):
                return segments
            self.folder.rename(segments[-1], segments[-1].removesuffix(SEGMENT) + TORN)
        return segments[:-1]

    def _is_intact(self, name: str) -> bool:
        return name in self.seen or is_whole(name, self.folder.read(name))


def steadily(folder: Folder, read: Callable[[], T]) -> T:
    """Return what `read` gives once no file vanishes under it.

    Raises
    ------
    DataError
        If files vanish again and again.
    """
    for _ in range(_TRIES):
        # a file that goes while we read was compacted: its rows are elsewhere now
        with suppress(FileNotFoundError):
            return read()
    raise DataError(f"folder {folder}", "must hold still", "rewritten", "Try again in a moment.")


def ending(names: Iterable[str], suffix: str) -> list[str]:
    """Return the names with an ending, sorted."""
    return sorted(name for name in names if name.endswith(suffix))


def digest(content: bytes) -> str:
    """Return what the name of a file of this content ends in."""
    return hashlib.sha256(content).hexdigest()[:16]


def is_whole(name: str, content: bytes) -> bool:
    """Tell whether a file holds what its name says."""
    return name.rpartition(".")[0].rpartition("-")[2] == digest(content)


def write_month(folder: Folder, month: str, table: pa.Table) -> None:
    """Write the rows of a month as a parquet file of a new name."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    # a name of its own: were it made of the content alone, two that compact at once
    # could each remove as old what the other has just written
    folder.write(f"{month}-{uuid4().hex}-{digest(content)}{MONTH}", content)


def _arrow_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _damaged(file: str) -> DataError:
    fix = "Delete it and fetch its range again."
    return DataError(f"file {file}", "must be intact", "damaged", fix)
