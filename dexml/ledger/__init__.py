"""The ledger: what was heard, decided, sent and filled, in SQL, hash-chained by writer."""

from __future__ import annotations

from types import TracebackType

from dexml.ledger.database import Database
from dexml.ledger.migrate import migrate
from dexml.ledger.queries import Queries
from dexml.ledger.rows import EventRow, OutboxRow, OutcomeRow, StepRows
from dexml.ledger.writer import Writer

__all__ = ["EventRow", "Ledger", "OutboxRow", "OutcomeRow", "StepRows"]


class Ledger(Writer, Queries):
    """The one durable record of a system; several processes may have it open at once.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, Ledger.open(f"sqlite:///{folder}/a.db") as ledger:
    ...     epoch = ledger.acquire_epoch("risk", "me")
    ...     ledger.commit_event("risk", epoch, "run", "bar:1", "{}", [], StepRows())
    ...     ledger.commit_event("risk", epoch, "run", "bar:1", "{}", [], StepRows())
    True
    False
    """

    @classmethod
    def open(cls, url: str) -> Ledger:
        """Open a database by URL, make it if it is a new SQLite file, and migrate it.

        Raises
        ------
        ConfigError
            If the URL cannot be understood or names no file.
        EnvironmentRefused
            If the file cannot be written or the disk is full.
        LedgerError
            If it is no ledger, damaged, unreachable, or of a newer dexml.
        """
        database = Database(url)
        try:
            migrate(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        """Close the connections; nothing is pending, for every write was a transaction."""
        self._database.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()
