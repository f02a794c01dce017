"""The durable journal of an account: what is in it when `append` returns survives a power loss.

Each line carries a digest over itself and the line before, so that a torn end is told from damage.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from dexml.errors import EnvironmentRefused, LedgerError
from dexml.execution.entries import Entry, entry_bytes, read_entry

__all__ = ["FileJournal", "Journal"]

_GENESIS = "0" * 16


class Journal(Protocol):
    """Entries in order, each durable before `append` returns."""

    def entries(self) -> Sequence[Entry]:
        """Return what the journal held when it was opened."""
        ...

    def append(self, *entries: Entry) -> None:
        """Add entries; once it returns they are there after any crash."""
        ...


class FileJournal:
    """A journal in a file that one process at a time may have open; a context that closes it.

    Parameters
    ----------
    path : Path
        Made if it is not there. A last line that was torn by a crash is cut off: whatever it said
        had not happened yet.

    Raises
    ------
    EnvironmentRefused
        If another process has it open, or it cannot be written.
    LedgerError
        If a line before the last is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            self._lock()
            self._digest, sound, self._entries = _read(path)
            if os.fstat(self._file).st_size > sound:
                os.ftruncate(self._file, sound)
            os.fsync(self._file)
            _sync_folder(path.parent)
        except BaseException:
            os.close(self._file)
            raise

    def entries(self) -> Sequence[Entry]:
        kept, self._entries = self._entries, []  # read once: who needs them folds them
        return kept

    def append(self, *entries: Entry) -> None:
        lines, digest = [], self._digest
        for entry in entries:
            body = entry_bytes(entry)
            digest = _link(digest, body)
            lines.append(digest.encode() + b" " + body + b"\n")
        try:
            _write_all(self._file, b"".join(lines))
            os.fdatasync(self._file)
        except OSError as error:
            raise _unwritable(self._path, error) from error
        self._digest = digest

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            fix = "Stop the other one first: one process alone may send for an account."
            rule = "must be open in one process only"
            raise EnvironmentRefused(f"journal {self._path}", rule, "in use", fix) from error


def _read(path: Path) -> tuple[str, int, list[Entry]]:
    digest, sound, entries = _GENESIS, 0, list[Entry]()
    content = path.read_bytes()
    while sound < len(content):
        end = content.find(b"\n", sound)
        entry = _entry_of(content[sound:end], digest) if end >= 0 else None
        if entry is None:
            if end >= 0 and end + 1 < len(content):
                raise _damaged(path, len(entries) + 1)
            break
        digest = content[sound : sound + 16].decode()
        entries.append(entry)
        sound = end + 1
    return digest, sound, entries


def _entry_of(line: bytes, previous: str) -> Entry | None:
    digest, _space, body = line.partition(b" ")
    if digest.decode(errors="replace") != _link(previous, body):
        return None
    return read_entry(body)


def _link(previous: str, body: bytes) -> str:
    return hashlib.sha256(previous.encode() + body).hexdigest()[:16]


def _write_all(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> EnvironmentRefused:
    fix = "Free disk space, check its owner and mode, and start again: nothing more was sent."
    rule = "must be writable"
    return EnvironmentRefused(f"journal {path}", rule, error.strerror or error, fix)


def _damaged(path: Path, number: int) -> LedgerError:
    fix = "Halt, and restore it from a backup: what it says cannot be trusted."
    rule = "must fit the line before it"
    return LedgerError(f"line {number} of journal {path}", rule, "damaged", fix)
