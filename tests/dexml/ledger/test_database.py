from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from dexml.errors import ConfigError, EnvironmentRefused, LedgerError
from dexml.ledger import Ledger
from dexml.ledger.migrate import NEWEST, SCRIPTS
from dexml.ledger.tables import metadata
from tests.dexml.ledger.examples import commit


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "no url"])
def test_a_url_that_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="database_url"):
        Ledger.open(url)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("this is a letter, not a ledger" * 100)
    with pytest.raises(LedgerError, match="must be a ledger"):
        Ledger.open(f"sqlite:///{tmp_path}/a.db")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentRefused, match="must be writable"):
        Ledger.open(f"sqlite:///{tmp_path}/file/a.db")


def test_a_ledger_of_a_newer_version_is_not_touched(ledger: Ledger, url: str) -> None:
    with ledger._database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num='9999'")
    with pytest.raises(LedgerError, match="A newer dexml wrote it"):
        Ledger.open(url)


def test_a_full_disk_is_said_and_nothing_half_written(ledger: Ledger) -> None:
    epoch = ledger.acquire_epoch("risk", "a")
    with ledger._database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(EnvironmentRefused, match="must have room"):
        _ = [commit(ledger, epoch, number) for number in range(1_000)]
    with ledger._database.reading() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    written = len(list(ledger.events("r")))
    assert written == len(ledger.decisions("r")) == len(ledger.outbox("r"))
    ledger.verify_chain("risk")
    assert commit(ledger, epoch, written)


def test_a_locked_database_is_an_error_in_plain_words(url: str) -> None:
    from dexml.ledger.database import Database

    Ledger.open(url).close()
    patient, hasty = Database(url), Database(url, busy_timeout_s=0.05)
    with (
        patient.writing(),
        pytest.raises(LedgerError, match="must be free"),
        hasty.writing(),
    ):
        pass


def test_migrations_make_the_tables_that_the_code_expects(ledger: Ledger) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with ledger._database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_newest_revision_is_the_one_the_code_names() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == NEWEST


def test_sqlite_is_durable_and_lets_readers_in(ledger: Ledger) -> None:
    with ledger._database.reading() as connection:
        assert connection.execute(sa.text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(sa.text("PRAGMA synchronous")).scalar() == 2


def test_every_table_compiles_for_postgresql() -> None:
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.schema import CreateTable

    for table in metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=postgresql.dialect()))
