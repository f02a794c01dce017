"""The database driver under the ledger, real SQLite, made to fail and to be abandoned."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

from sqlalchemy import Engine, event

__all__ = ["Disk"]

_UNLIMITED = 2**30


class Disk:
    """Watches every connection to databases in `folder` while its block runs.

    Parameters
    ----------
    struck : callable
        Told "begin" when a writer asks for the lock, "read" at the end of a read, "before_commit"
        and "after_commit" of what was written; raises what the driver, or the machine, can raise.

    Attributes
    ----------
    holder : object
        Whose the connections are that are opened now.
    is_full : bool
        No page can be added to a database.
    """

    def __init__(self, folder: Path, struck: Callable[[str], None]) -> None:
        self.folder, self.struck = folder, struck
        self.holder: object = None
        self.is_full = False
        self._opened: defaultdict[object, WeakSet[_Watched]] = defaultdict(WeakSet)
        self._driver = type("_Driver", (_Watched,), {"disk": self})

    def __enter__(self) -> Disk:
        event.listen(Engine, "do_connect", self._connect)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(Engine, "do_connect", self._connect)
        for holder in list(self._opened):
            self._close(holder)

    def abandon(self, holder: object) -> None:
        """Close what a dead process had open, as its machine does: nothing uncommitted stays."""
        self._close(holder)

    def opened(self, connection: _Watched) -> None:
        """Note whose a connection is."""
        self._opened[self.holder].add(connection)

    def _close(self, holder: object) -> None:
        for connection in list(self._opened.pop(holder, ())):
            connection.close()

    def _connect(
        self, _dialect: Any, _record: Any, arguments: list[Any], parameters: dict[str, Any]
    ) -> None:
        if Path(str(arguments[0])).is_relative_to(self.folder):
            parameters["factory"] = self._driver
            parameters["timeout"] = 0.0  # all live in one thread: to wait is to wait for ever
            # pooled connections of a dead process are closed from outside its thread of control
            parameters["check_same_thread"] = False


class _Watched(sqlite3.Connection):
    disk: Disk

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._seen = 0
        self.disk.opened(self)

    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(_Cursor)

    def commit(self) -> None:
        writes = self.total_changes != self._seen
        self.disk.struck("before_commit" if writes else "read")
        super().commit()
        self._seen = self.total_changes
        if writes:
            self.disk.struck("after_commit")

    def rollback(self) -> None:
        super().rollback()
        self._seen = self.total_changes

    def close(self) -> None:
        # a statement that was not read to its end would keep the lock of a dead process
        with suppress(sqlite3.ProgrammingError):  # it was closed before
            super().rollback()
        super().close()

    def begins(self) -> None:
        """Set the room that is left, and say that a writer begins."""
        pages = sqlite3.Connection.cursor(self)
        room = _UNLIMITED
        if self.disk.is_full:
            (room,) = pages.execute("PRAGMA page_count").fetchone()
        pages.execute(f"PRAGMA max_page_count={room}")
        self.disk.struck("begin")


class _Cursor(sqlite3.Cursor):
    connection: _Watched

    def execute(self, sql: str, *args: Any) -> Any:
        if sql.startswith("BEGIN IMMEDIATE"):
            self.connection.begins()
        return super().execute(sql, *args)
