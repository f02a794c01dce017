from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dexml.errors import LedgerError
from dexml.ledger import Ledger, StepRows
from dexml.ledger.chain import heads
from dexml.ledger.checks import verify_ledger
from dexml.ledger.tables import JOURNALS, metadata, streams
from tests.dexml.ledger.examples import AT, commit, decision, fill


def _tamper(url: str, statement: str) -> None:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    with connection:
        assert connection.execute(statement).rowcount > 0
    connection.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """A ledger in which a forger's rows are rolled back after each verification."""
    with Ledger.open(f"sqlite:///{tmp_path_factory.mktemp('chain')}/ledger.db") as ledger:
        _written(ledger)
        yield ledger


def _written(ledger: Ledger) -> None:
    """Write at least two rows to every table."""
    for run in ("r", "other"):
        ledger.start_run(run, datetime(2024, 1, 1, tzinfo=UTC), {"run": run}, 0)
        ledger.add_model(f"model of {run}", "direction", "{}", "champion")
        ledger.add_token(f"token of {run}", "ab" * 32, ["read"], AT)
        ledger.add_request(run, "mode:1", "{}", "halted", datetime(2024, 1, 1, tzinfo=UTC), "ada")
    execution = ledger.acquire_epoch("execution", "e")
    commit(ledger, execution, 1, stream="execution", run="other")
    risk = ledger.acquire_epoch("risk", "a")
    for number in range(1, 4):
        commit(ledger, risk, number)
    for number in (1, 2):
        ledger.commit_fill("execution", execution, "r", f"intent-{number}", fill(number), "fill")
    _forecast(ledger, ledger.acquire_epoch("forecast", "f"))
    ledger.verify()


def _forecast(ledger: Ledger, epoch: int) -> None:
    keys = [{"instrument": f"{n}/USDT", "closed_at": AT, "target": "up"} for n in ("BTC", "ETH")]
    ledger.add_forecasts(
        "forecast", epoch, "r", [{**key, "probability": 0.5, "model": "m"} for key in keys]
    )
    ledger.add_outcomes("forecast", epoch, "r", [{**key, "label": 1.0} for key in keys])


def _another(column: sa.Column[Any], value: Any) -> Any:
    if value is None:
        return "x" if column.type.python_type is str else 1
    return f"{value}x" if isinstance(value, str) else value + 1_000


def _key(table: sa.Table, row: Any) -> Any:
    return sa.and_(*(column == row._mapping[column.name] for column in table.primary_key))


def _found(connection: sa.Connection, forged: Sequence[sa.Executable], named: str) -> None:
    """Execute what a forger would, verify, and undo it; the complaint must name the place."""
    nested = connection.begin_nested()
    for statement in forged:
        assert connection.execute(statement).rowcount == 1  # type: ignore[attr-defined]
    with pytest.raises(LedgerError, match=named):
        verify_ledger(connection)
    nested.rollback()


def _rows(connection: sa.Connection, table: sa.Table) -> list[Any]:
    rows = connection.execute(sa.select(table).order_by(*table.primary_key)).all()
    assert len(rows) >= 2
    return list(rows)


TABLES = pytest.mark.parametrize("table", metadata.sorted_tables, ids=str)


@TABLES
def test_any_changed_column_of_any_row_is_named(written: Ledger, table: sa.Table) -> None:
    n_changed = 0
    with written._database.writing() as connection:
        for row in _rows(connection, table)[-2:]:
            for column in table.columns:
                value = _another(column, row._mapping[column.name])
                forged = sa.update(table).where(_key(table, row)).values({column.name: value})
                _found(connection, [forged], _place(table, row))
                n_changed += 1
    assert n_changed >= 2 * len(table.columns)


@TABLES
def test_any_removed_row_is_named(written: Ledger, table: sa.Table) -> None:
    with written._database.writing() as connection:
        for row in _rows(connection, table):
            _found(connection, [sa.delete(table).where(_key(table, row))], _place(table, row))
        verify_ledger(connection)


@TABLES
def test_two_swapped_rows_are_named(written: Ledger, table: sa.Table) -> None:
    with written._database.writing() as connection:
        first, second = _rows(connection, table)[:2]
        free = {column.name for column in table.columns if not column.primary_key}
        swapped = [
            sa.delete(table).where(_key(table, first)),
            sa.delete(table).where(_key(table, second)),
            *(
                sa.insert(table).values({**one._mapping, **{n: other._mapping[n] for n in free}})
                for one, other in ((first, second), (second, first))
            ),
        ]
        _found(connection, swapped, _place(table, first))


def _place(table: sa.Table, row: Any) -> str:
    """Return what a complaint about a row must hold."""
    if table.name in {"outbox", "snapshots"}:
        return f"{table.name} row .*{row.run!r}"
    return "stream '"


@pytest.mark.parametrize("stream", ["runs", "models", "tokens", "requests", "execution", "risk"])
def test_a_chain_cut_at_its_end_is_named_by_the_stream_that_anchored_it(
    written: Ledger, stream: str
) -> None:
    with written._database.writing() as connection:
        head = {head.stream: head for head in heads(connection)}[stream]
        assert _cut(connection, stream) == head.seq - 1
        with pytest.raises(LedgerError, match=rf"{head.seq} of stream '{stream}' must have the"):
            verify_ledger(connection)
        connection.rollback()
    written.verify()


def _cut(connection: sa.Connection, stream: str) -> int:
    """Remove the newest row of a stream, and move its head back as if it had never been."""
    newest = max(
        (row for table in JOURNALS for row in _linked(connection, table, stream)),
        key=lambda row: row.seq,
    )
    for table in JOURNALS:
        at = (table.c.stream == stream) & (table.c.seq == newest.seq)
        connection.execute(sa.delete(table).where(at))
    before = next(
        row
        for table in JOURNALS
        for row in _linked(connection, table, stream)
        if row.seq == newest.seq - 1
    )
    moved = sa.update(streams).where(streams.c.stream == stream)
    connection.execute(moved.values(seq=before.seq, digest=before.digest, epoch=before.epoch))
    return int(before.seq)


def _linked(connection: sa.Connection, table: sa.Table, stream: str) -> Sequence[Any]:
    names = [table.c[name] for name in ("seq", "digest", "epoch")]
    return connection.execute(sa.select(*names).where(table.c.stream == stream)).all()


def test_a_stream_without_its_head_is_named(ledger: Ledger, url: str) -> None:
    _written(ledger)
    _tamper(url, "DELETE FROM streams WHERE stream='forecast'")
    with pytest.raises(LedgerError, match="stream 'forecast' must exist and have a head"):
        ledger.verify()


def test_an_intent_that_was_changed_is_never_handed_out(ledger: Ledger, url: str) -> None:
    _written(ledger)
    _tamper(url, "UPDATE intents SET amount_in='1000000' WHERE intent_id='intent-3'")
    with pytest.raises(LedgerError, match="intent 'intent-3' of run 'r' must be what was commit"):
        ledger.outbox("r")


def test_an_intent_that_nobody_decided_is_never_handed_out(ledger: Ledger, url: str) -> None:
    _written(ledger)
    _tamper(url, "INSERT INTO outbox VALUES ('r', 'intent-9', 'waiting')")
    with pytest.raises(LedgerError, match="'intent-9' of run 'r' must be what was committed"):
        ledger.outbox("r")
    with pytest.raises(LedgerError, match="outbox row of intent 'intent-9' of run 'r'"):
        ledger.verify()


def test_a_stream_rewritten_as_a_whole_breaks_its_anchor(ledger: Ledger, url: str) -> None:
    _written(ledger)
    for table in (*JOURNALS, streams):
        with ledger._database.writing() as connection:
            connection.execute(sa.delete(table).where(table.c.stream == "execution"))
    ledger.acquire_epoch("execution", "mallory")
    ledger.verify_chain("execution")
    with pytest.raises(LedgerError, match="anchored in stream 'risk'"):
        ledger.verify_chain("risk")


def test_a_changed_snapshot_is_not_handed_out(ledger: Ledger, url: str) -> None:
    _written(ledger)
    _tamper(url, "UPDATE snapshots SET state='{\"cash\":1}' WHERE run='r'")
    with pytest.raises(LedgerError, match="must be what was committed"):
        ledger.latest_snapshot("r")


def test_an_unknown_stream_is_an_error_not_a_success(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="must exist"):
        ledger.verify_chain("nobody")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    number=st.floats(allow_nan=False, allow_infinity=False),
    text=st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0")),
)
def test_any_number_and_text_survive_the_database(ledger: Ledger, number: float, text: str) -> None:
    epoch = ledger.acquire_epoch("risk", "a")
    run = f"run {epoch}"
    row = {**decision(1), "cost": number, "reason": text}
    ledger.commit_event("risk", epoch, run, text, text, [text], StepRows(decisions=[row]))
    ledger.verify_chain("risk")
    (kept,) = ledger.decisions(run)
    assert (kept["cost"], kept["reason"]) == (number, text)
    assert ledger.event_commands(run, text) == [text]
