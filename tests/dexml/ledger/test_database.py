from __future__ import annotations

import multiprocessing
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from dexml.errors import ConfigError, EnvironmentRefused, LedgerAway, LedgerError
from dexml.ledger import Ledger
from dexml.ledger.chain import heads
from dexml.ledger.checks import verify_ledger
from dexml.ledger.database import Database
from dexml.ledger.migrate import NEWEST, SCRIPTS, upgrade
from dexml.ledger.server import CONNECT_S, POOL_SIZE
from dexml.ledger.tables import metadata
from tests.dexml.ledger.examples import commit
from tests.postgres import Server


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


OLD = """
INSERT INTO runs VALUES ('b', 2, '2024-01-02T00:00:00+00:00', '{"x":1}', 7);
INSERT INTO runs VALUES ('a', 1, '2024-01-01T00:00:00+00:00', '{}', 0);
INSERT INTO models VALUES ('d2', 'volume', 2, '{}', 'retired');
INSERT INTO models VALUES ('d1', 'direction', 1, '{"n":1}', 'champion');
INSERT INTO tokens VALUES ('t1', 'abc', 'read trade', NULL, 0);
INSERT INTO outbox VALUES ('a', 'i1', 1, '{}', 'done');
"""


def test_what_an_older_version_wrote_is_chained_and_kept(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    with closing(Database(url)) as database, database.writing() as connection:
        upgrade(connection, "0002")
        for statement in OLD.strip().splitlines():
            connection.exec_driver_sql(statement)
    with Ledger.open(url) as ledger:
        assert (ledger.latest_run() or {})["run"] == "b"
        assert (ledger.run("a") or {})["seed"] == 0
        assert [row["digest"] for row in ledger.models()] == ["d1", "d2"]
        assert (ledger.token("t1") or {})["scopes"] == ["read", "trade"]
        for stream in ledger.streams():
            ledger.verify_chain(stream)
        with pytest.raises(LedgerError, match="outbox row of intent 'i1'"):
            ledger.verify()  # of an intent that nobody decided
        assert ledger.revoke_token("t1")
        assert ledger.start_run("c", datetime(2024, 1, 3, tzinfo=UTC), {}, 0)
        ledger.add_model("d1", "direction", "{}", "retired")
        assert [row["status"] for row in ledger.models()] == ["retired", "retired"]
        assert ledger.streams() == ["models", "runs", "tokens"]
        for stream in ledger.streams():
            ledger.verify_chain(stream)


def test_several_processes_migrate_a_new_server_at_once(postgres: Server) -> None:
    url = postgres.url(postgres.new())
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_open, args=(url,)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * len(children)


def _open(url: str) -> None:
    Ledger.open(url).close()


def test_a_pool_that_is_used_up_is_not_waited_for_long(postgres: Server) -> None:
    with Ledger.open(postgres.url(postgres.new())) as ledger, ExitStack() as taken:
        for _ in range(POOL_SIZE):
            taken.enter_context(ledger._database.reading())
        began = time.monotonic()
        with pytest.raises(LedgerAway, match="must answer"):
            ledger.streams()
        assert time.monotonic() - began < 2 * CONNECT_S
        taken.close()
        assert ledger.streams() == []


def test_a_server_that_is_not_there_is_known_in_time() -> None:
    with pytest.raises(LedgerAway, match="must answer"):
        Ledger.open("postgresql://me:secret@127.0.0.1:1/none")


def test_a_statement_without_end_is_ended(postgres: Server) -> None:
    with (
        Ledger.open(postgres.url(postgres.new())) as ledger,
        pytest.raises(LedgerAway, match="statement timeout"),
        ledger._database.reading() as connection,
    ):
        connection.execute(sa.text("SELECT pg_sleep(60)"))


def test_a_reader_sees_one_state_while_others_write(any_url: str) -> None:
    with Ledger.open(any_url) as ledger:
        epoch = ledger.acquire_epoch("risk", "a")
        commit(ledger, epoch, 1)
        with ledger._database.reading() as connection:
            count = sa.text("SELECT count(*) FROM events")
            assert connection.execute(count).scalar() == 1
            commit(ledger, epoch, 2)
            assert connection.execute(count).scalar() == 1
            verify_ledger(connection)
        ledger.verify()


def test_a_chain_written_on_either_database_is_the_same(tmp_path: Path, postgres: Server) -> None:
    told = []
    for url in (f"sqlite:///{tmp_path}/a.db", postgres.url(postgres.new())):
        with Ledger.open(url) as ledger:
            epoch = ledger.acquire_epoch("risk", "a")
            for number in range(1, 4):
                commit(ledger, epoch, number)
            ledger.verify()
            with ledger._database.reading() as connection:
                told.append(heads(connection))
    assert told[0] == told[1]
