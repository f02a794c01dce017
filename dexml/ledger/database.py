"""The connection: SQLite in WAL mode, or another database by URL; errors in the house's words."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from dexml.errors import ConfigError, DexmlError, EnvironmentRefused, LedgerAway, LedgerError

__all__ = ["Database"]

# For other processes of this machine on the same file: a stall of the disk is not a failure yet.
BUSY_TIMEOUT_S = 10.0


class Database:
    """Transactions on a database: readers see one snapshot, writers are one at a time.

    Parameters
    ----------
    url : str
        "sqlite:///relative/file.db", "sqlite:////absolute/file.db" or another SQLAlchemy URL.
    busy_timeout_s : float
        How long a writer waits for another process before it gives up.
    """

    def __init__(self, url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._url = _checked_url(url)
        self._busy_timeout_s = busy_timeout_s
        self._engine = self._make_engine()

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self._url.render_as_string(hide_password=True)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that sees one consistent state."""
        with self._translated(), self._engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that holds the write lock from its start; commit at its end."""
        with self._translated(), self._engine.connect() as connection:
            connection.execution_options(dexml_writes=True)
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _make_engine(self) -> Engine:
        if self._url.get_backend_name() != "sqlite":
            return self._make_server_engine()
        engine = create_engine(self._url, connect_args={"timeout": self._busy_timeout_s})
        event.listen(engine, "connect", self._prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _make_server_engine(self) -> Engine:
        try:
            from dexml.ledger.server import connect_engine  # its driver loads a C library

            return connect_engine(self._url)
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"database_url {self.name}",
                "must have its driver installed",
                f"without {error.name}",
                f"Run pip install {error.name}, or name another driver: postgresql+psycopg://.",
            ) from error

    def _prepare_sqlite(self, connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun by `_begin_sqlite`
        _switch_to_wal(connection, self._busy_timeout_s)
        connection.execute("PRAGMA synchronous=FULL")  # a commit survives the loss of power

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            raise LedgerError(
                f"row for {self.name}",
                "must be new and complete",
                error.orig,
                "Read the stored row by its key: the first one stands.",
            ) from error
        except SQLAlchemyError as error:
            raise _in_own_words(self.name, error) from error


def _checked_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(
            "database_url", "must be a database URL", repr(url), "Write sqlite:///dexml.db."
        ) from error
    if parsed.get_backend_name() == "sqlite":
        _prepare_folder(parsed)
    if parsed.drivername == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _prepare_folder(url: URL) -> None:
    if url.database in (None, "", ":memory:"):
        raise ConfigError(
            "database_url", "must name a file", "in memory", "Write sqlite:///dexml.db."
        )
    folder = Path(str(url.database)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentRefused(
            f"folder {folder}", "must be writable", error.strerror, "Choose another --home."
        ) from error


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("dexml_writes", False)
    # a deferred transaction that turns into a writer fails at once when another one was first
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _switch_to_wal(connection: sqlite3.Connection, patience_s: float) -> None:
    # SQLite does not wait for the lock that the first switch needs, so several starters race
    deadline = time.monotonic() + patience_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


_BUSY = ("must be free", "Another process holds its lock: try again.")
_KNOWN = (
    ("disk is full", EnvironmentRefused, "must have room", "Free disk space and start again."),
    ("No space left", EnvironmentRefused, "must have room", "Free disk space and start again."),
    ("readonly", EnvironmentRefused, "must be writable", "Check the file's owner and mode."),
    ("read-only", EnvironmentRefused, "must be writable", "Connect to the primary server."),
    ("read-write mode", EnvironmentRefused, "must be writable", "Connect to the primary server."),
    ("unable to open", EnvironmentRefused, "must be writable", "Check the folder and its mode."),
    ("locked", LedgerAway, *_BUSY),
    ("lock timeout", LedgerAway, *_BUSY),
    ("deadlock", LedgerAway, *_BUSY),
    ("idle-in-transaction", LedgerAway, "must not wait for its writer", "Repeat what was asked."),
    ("could not serialize", LedgerAway, *_BUSY),
    ("not a database", LedgerError, "must be a ledger", "Name another file or restore a backup."),
    ("malformed", LedgerError, "must be intact", "Restore it from a backup."),
)


def _in_own_words(name: str, error: SQLAlchemyError) -> DexmlError:
    cause = error.orig if isinstance(error, DBAPIError) else error
    for sign, kind, rule, fix in _KNOWN:
        if sign in str(cause):
            return kind(f"database {name}", rule, cause, fix)
    # a server that does not answer may be back soon, a file that fails like this will not
    cut = isinstance(error, DBAPIError) and error.connection_invalidated
    away = cut or isinstance(error, OperationalError | InterfaceError | PoolTimeoutError)
    kind = LedgerAway if away and not isinstance(cause, sqlite3.Error) else LedgerError
    return kind(f"database {name}", "must answer", cause, "Check that it runs and its URL.")
