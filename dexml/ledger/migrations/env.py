"""Run by Alembic: migrate on the connection that `dexml.ledger.migrate` passes in."""

from __future__ import annotations

from alembic import context

from dexml.ledger.tables import metadata


def run() -> None:
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()


if __name__ == "env_py":  # the name under which Alembic loads this file
    run()
