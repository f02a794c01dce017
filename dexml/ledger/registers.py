"""What is written now and then by whoever does it: runs, models, tokens, requests of people.

Each writer takes the stream over for its one transaction, so the rows are chained like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, select

from dexml.errors import LedgerError
from dexml.ledger import tables
from dexml.ledger.chain import take_over
from dexml.ledger.database import Database
from dexml.ledger.rows import Row, canonical

__all__ = ["Registers"]


_NOTHING_SAID = "{}"


class Registers:
    """The part of the writing half that needs no epoch of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start_run(self, run: str, at: datetime, config: Row, seed: int) -> bool:
        """Record a run; False if it is there already, with the same configuration and seed."""
        values = {"run": run, "at": at, "config": canonical(config), "seed": seed}
        with self._database.writing() as connection:
            kept = _newest(connection, tables.runs, run=run)
            if kept is None:
                appender = take_over(connection, tables.runs.name, f"starter of {run}")
                kept = _newest(connection, tables.runs, run=run)  # by who was first meanwhile
                if kept is None:
                    appender.append(tables.runs, values)
                appender.flush()
        if kept is None:
            return True
        if (kept["config"], kept["seed"]) != (values["config"], seed):
            raise LedgerError(
                f"run {run!r}", "must keep its configuration", "another", "Name a new run."
            )
        return False

    def add_request(
        self, run: str, event_id: str, event: str, wanted: str, at: datetime, by: str
    ) -> None:
        """Record what a person asks of a run; whoever asks takes the stream of requests over.

        Parameters
        ----------
        event : str
            The record that the run's owner will hear, under `event_id`.
        wanted : str
            The mode that it leads to; it holds from now on for whoever is about to send an order.
        """
        row = {"run": run, "event_id": event_id, "event": event}
        self._register(tables.requests, {**row, "wanted": wanted, "at": at, "by": by}, by)

    def add_model(self, digest: str, target: str, manifest: str, status: str) -> None:
        """Record a model version, or give a known one another manifest or status.

        Parameters
        ----------
        manifest : str
            JSON text; "{}" leaves what stands. What it says of a run is kept beside what earlier
            ones say of others.
        """
        row = {"model": digest, "target": target, "manifest": manifest, "status": status}
        with self._database.writing() as connection:
            appender = take_over(connection, tables.models.name, "registry of models")
            kept = _newest(connection, tables.models, model=digest, target=target)
            if kept is not None and manifest == _NOTHING_SAID:
                row["manifest"] = kept["manifest"]
            appender.append(tables.models, row)
            appender.flush()

    def add_token(
        self, id: str, sha256: str, scopes: Sequence[str], expires_at: datetime | str | None
    ) -> None:
        """Record an access token by the hash of its secret."""
        row = {"id": id, "sha256": sha256, "scopes": " ".join(scopes), "revoked": 0}
        with self._database.writing() as connection:
            appender = take_over(connection, tables.tokens.name, "keeper of tokens")
            if _newest(connection, tables.tokens, id=id) is not None:
                raise LedgerError(f"token {id!r}", "must be new", "known", "Make another.")
            appender.append(tables.tokens, {**row, "expires_at": expires_at})
            appender.flush()

    def revoke_token(self, id: str) -> bool:
        """Refuse a token from now on; False if there is none of that id."""
        with self._database.reading() as connection:
            if _newest(connection, tables.tokens, id=id) is None:
                return False
        with self._database.writing() as connection:
            appender = take_over(connection, tables.tokens.name, "keeper of tokens")
            kept = _newest(connection, tables.tokens, id=id) or {}
            appender.append(tables.tokens, {**_body(tables.tokens, kept), "revoked": 1})
            appender.flush()
        return True

    def _register(self, table: Table, row: Mapping[str, Any], holder: str) -> None:
        with self._database.writing() as connection:
            appender = take_over(connection, table.name, holder)
            appender.append(table, row)
            appender.flush()


def _newest(connection: Connection, table: Table, **key: Any) -> dict[str, Any] | None:
    query = select(table).where(*(table.c[name] == value for name, value in key.items()))
    row = connection.execute(query.order_by(table.c.seq.desc()).limit(1)).mappings().first()
    return None if row is None else dict(row)


def _body(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    names = (column.name for column in table.c)
    return {name: row[name] for name in names if name not in tables.CHAIN_COLUMNS}
