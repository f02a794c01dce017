"""The journal of an account and what it adds up to, moved together."""

from __future__ import annotations

from dexml.errors import LedgerError
from dexml.execution.account import AccountBook
from dexml.execution.entries import Entry
from dexml.execution.journal import Journal

__all__ = ["Records"]


class Records:
    """Every change goes through here: checked, made durable, and only then acted upon."""

    def __init__(self, journal: Journal) -> None:
        self.book = AccountBook(journal.entries())
        self._journal = journal
        self._broken = False

    def write(self, *entries: Entry) -> None:
        """Check entries against the book and make them durable.

        Raises
        ------
        LedgerError
            If they cannot follow what is there, or an earlier write failed: start anew then.
        """
        if self._broken:
            fix = "Start again: what is durable is read anew."
            raise LedgerError("journal", "must have taken the last entry", "failed", fix)
        self._broken = True  # until both are done: a book ahead of its journal must not go on
        for entry in entries:
            self.book.add(entry)
        self._journal.append(*entries)
        self._broken = False
