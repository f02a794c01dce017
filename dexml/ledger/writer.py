"""What writers may do: each call is one transaction under the epoch of its stream."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from sqlalchemy import Connection, Table, delete, func, insert, select, update

from dexml.errors import LedgerError, StaleEpoch
from dexml.events import SCHEMA_VERSION
from dexml.ledger import tables
from dexml.ledger.chain import Appender, owned_head, take_over
from dexml.ledger.checks import KEPT_SNAPSHOTS
from dexml.ledger.registers import Registers
from dexml.ledger.reserving import reserve
from dexml.ledger.rows import Row, StepRows, canonical, fill_fields, shaped

__all__ = ["Writer"]


_EVENT_OF = {"fill": "filled", "failed": "order_failed"}


class Writer(Registers):
    """The writing half of the ledger."""

    def acquire_epoch(self, stream: str, holder: str) -> int:
        """Take a stream over: from now on every older owner is refused. Return the new epoch.

        The heads of all other streams are anchored in the row that records it.
        """
        with self._database.writing() as connection:
            appender = take_over(connection, stream, holder)
            appender.flush()
        return appender.epoch

    def require_epoch(self, stream: str, epoch: int) -> None:
        """Raise StaleEpoch if the stream has a newer owner."""
        with self._database.reading() as connection:
            owned_head(connection, stream, epoch, lock=False)

    def commit_event(
        self,
        stream: str,
        epoch: int,
        run: str,
        event_id: str,
        event: str,
        commands: Sequence[str],
        rows: StepRows,
        snapshot: str | None = None,
        after: int | None = None,
    ) -> bool:
        """Record an event with all it led to, or nothing: False if it was heard before.

        Parameters
        ----------
        after : int, optional
            How many events the decision knew of; the run must have heard no more.
        event, snapshot : str
            Records as JSON text; the snapshot is the state after the event.
        commands : sequence of str
            Records as JSON text, kept byte by byte.

        Raises
        ------
        StaleEpoch
            If the stream has a newer owner, or somebody decided meanwhile under the same epoch.
        LimitReached
            If open intents would take more than `rows.room`.
        LedgerError
            If a row is malformed or its id was used by another event.
        """
        with self._appending(stream, epoch) as appender:
            if _exists(appender.connection, tables.events, run=run, event_id=event_id):
                return False
            number = _next_number(appender.connection, tables.events, run)
            _require_newest(run, number - 1, after)
            heard = {
                "run": run,
                "number": number,
                "event_id": event_id,
                "schema_version": SCHEMA_VERSION,
                "event": event,
                "commands": canonical(list(commands)),
                "snapshot_digest": None if snapshot is None else _sha256(snapshot),
            }
            appender.append(tables.events, heard)
            for table, row in rows.by_table():
                appender.append(table, {**row, "run": run})
            reserve(appender, run, rows.reservations, rows.room)
            _queue(appender.connection, run, rows.intents)
            if snapshot is not None:
                _keep_snapshot(appender.connection, run, number, snapshot)
        return True

    def commit_fill(
        self,
        stream: str,
        epoch: int,
        run: str,
        intent_id: str,
        outcome: Mapping[str, Any],
        kind: Literal["fill", "failed"],
    ) -> bool:
        """Record what became of an intent and take it from the outbox; False if it is known.

        Parameters
        ----------
        outcome : mapping
            JSON-able. For a fill it is, or holds at any depth, the fields of `domain.Fill`.
        """
        if kind not in _EVENT_OF:
            raise LedgerError("outcome kind", "must be fill or failed", kind, "Name one of both.")
        with self._appending(stream, epoch) as appender:
            connection = appender.connection
            if _exists(connection, tables.orders, run=run, intent_id=intent_id):
                return False
            _close_intent(connection, run, intent_id)
            order = {
                "run": run,
                "number": _next_number(connection, tables.orders, run),
                "intent_id": intent_id,
                "kind": kind,
                "event_id": f"{_EVENT_OF[kind]}:{intent_id}",
                "outcome": canonical(outcome),
            }
            appender.append(tables.orders, order)
            if kind == "fill":
                fill = fill_fields(outcome, intent_id)
                appender.append(tables.fills, {**fill, "run": run, "intent_id": intent_id})
        return True

    def add_forecasts(
        self, stream: str, epoch: int, run: str, rows: Sequence[Row], inputs: Sequence[Row] = ()
    ) -> int:
        """Record forecasts (fields of `domain.Forecast`); the first of a key stands.

        Parameters
        ----------
        inputs : sequence of mapping
            What they were made from: instrument, closed_at, features (a digest of the row).

        Returns
        -------
        int
            How many were new by (run, instrument, closed_at, target).
        """
        with self._appending(stream, epoch) as appender:
            _add_once(appender, tables.inputs, run, inputs)
            return _add_once(appender, tables.forecasts, run, rows)

    def add_outcomes(self, stream: str, epoch: int, run: str, rows: Sequence[Row]) -> int:
        """Record labels (instrument, closed_at, target, label); the first of a key stands."""
        with self._appending(stream, epoch) as appender:
            return _add_once(appender, tables.outcomes, run, rows)

    def turn_alert(self, stream: str, epoch: int, run: str, alert: Row, *, ends: bool) -> bool:
        """Record that something begins, unless it stands, or that it ends, if it stands.

        Parameters
        ----------
        alert : mapping
            Fields of `dexml.events.Alert`. What stands is told by the newest of the same subject
            and writer: anything but "info", which is what ends it.

        Returns
        -------
        bool
            False if nothing was written.
        """
        told = tables.alerts.c
        query = select(told.severity).where(
            told.stream == stream, told.run == run, told.subject == alert["subject"]
        )
        with self._appending(stream, epoch) as appender:
            newest = appender.connection.execute(query.order_by(told.seq.desc()).limit(1)).scalar()
            if (newest not in (None, "info")) is not ends:
                return False
            appender.append(tables.alerts, {**alert, "run": run})
        return True

    @contextmanager
    def _appending(self, stream: str, epoch: int) -> Iterator[Appender]:
        with self._database.writing() as connection:
            appender = Appender(connection, stream, epoch)
            yield appender
            appender.flush()


def _add_once(appender: Appender, table: Table, run: str, rows: Sequence[Row]) -> int:
    names = ("run", "closed_at", "instrument", "target")
    added: set[tuple[Any, ...]] = set()
    for row in rows:
        values = shaped(table, {**row, "run": run})
        key = {name: values[name] for name in names if name in values}
        known = tuple(key.values()) in added
        if not known and not _exists(appender.connection, table, **key):
            appender.append(table, values)
            added.add(tuple(key.values()))
    return len(added)


def _exists(connection: Connection, table: Table, **key: Any) -> bool:
    query = select(1).where(*(table.c[name] == value for name, value in key.items()))
    return connection.execute(query).first() is not None


def _next_number(connection: Connection, table: Table, run: str | None = None) -> int:
    query = select(func.max(table.c.number))
    if run is not None:
        query = query.where(table.c.run == run)
    return int(connection.execute(query).scalar() or 0) + 1


def _require_newest(run: str, n_heard: int, n_known: int | None) -> None:
    if n_known is not None and n_heard != n_known:
        raise StaleEpoch(
            f"run {run!r}",
            f"must be decided on with all its {n_heard} events known",
            n_known,
            "Stop this writer: another one decides under its epoch.",
        )


def _queue(connection: Connection, run: str, intents: Sequence[Row]) -> None:
    rows = [
        {"run": run, "intent_id": intent["intent_id"], "status": "waiting"} for intent in intents
    ]
    if rows:
        connection.execute(insert(tables.outbox), rows)


def _close_intent(connection: Connection, run: str, intent_id: str) -> None:
    waiting = (tables.outbox.c.run == run) & (tables.outbox.c.intent_id == intent_id)
    closed = connection.execute(update(tables.outbox).where(waiting).values(status="done"))
    if closed.rowcount != 1:
        raise LedgerError(
            f"intent {intent_id!r} of run {run!r}",
            "must be in the outbox",
            "unknown",
            "Act only on intents that were committed.",
        )


def _keep_snapshot(connection: Connection, run: str, number: int, state: str) -> None:
    kept = tables.snapshots
    connection.execute(insert(kept), {"run": run, "number": number, "state": state})
    newest = select(kept.c.number).where(kept.c.run == run).order_by(kept.c.number.desc())
    numbers = connection.execute(newest.limit(KEPT_SNAPSHOTS)).scalars().all()
    connection.execute(delete(kept).where(kept.c.run == run, kept.c.number < numbers[-1]))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
