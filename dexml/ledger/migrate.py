"""Bring a database to the newest schema with the packaged Alembic scripts."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from dexml.errors import LedgerError
from dexml.ledger.database import Database

__all__ = ["NEWEST", "migrate", "revision", "upgrade"]

NEWEST = "0004"

SCRIPTS = Path(__file__).parent / "migrations"


def revision(connection: Connection) -> str | None:
    """Return the schema revision of a database, None if it is new."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def migrate(database: Database) -> None:
    """Run what is missing, in one transaction, while no other process can do the same.

    Raises
    ------
    LedgerError
        If the database was written by a newer dexml.
    """
    with database.reading() as connection:
        if revision(connection) == NEWEST:
            return
    with database.writing() as connection:
        _keep_others_out(connection)
        found = revision(connection)
        if found is not None and found > NEWEST:
            raise LedgerError(
                f"schema of {database.name}",
                f"must be at most {NEWEST}",
                found,
                "A newer dexml wrote it: upgrade this one.",
            )
        if found != NEWEST:
            upgrade(connection, NEWEST)


def _keep_others_out(connection: Connection) -> None:
    # SQLite has let in one writer only; elsewhere two could make the same tables
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = '2s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('dexml.migrate'))"))


def upgrade(connection: Connection, to: str) -> None:
    """Run the scripts up to a revision on a connection that holds the write lock."""
    from alembic import command  # 0.2 s that a migrated database does not pay
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, to)
