"""Whether the whole ledger is what was written: every chain, and the tables kept beside them.

Three tables carry no chain of their own. `streams` is compared with the ends of the chains. The
state of a snapshot has its digest in the event it was committed with. A row of the outbox follows
from the intent and the outcome that are chained.
"""

from __future__ import annotations

import hashlib
from typing import NoReturn

from sqlalchemy import Connection, select

from dexml.errors import LedgerError
from dexml.ledger.chain import named_streams, verify
from dexml.ledger.tables import events, intents, orders, outbox, snapshots

__all__ = ["KEPT_SNAPSHOTS", "verify_ledger"]

KEPT_SNAPSHOTS = 3


def verify_ledger(connection: Connection) -> None:
    """Check every row of the ledger; raises LedgerError, naming the first that does not fit."""
    for stream in named_streams(connection):
        verify(connection, stream)
    _verify_outbox(connection)
    _verify_snapshots(connection)


def _verify_outbox(connection: Connection) -> None:
    settled = (orders.c.run == intents.c.run) & (orders.c.intent_id == intents.c.intent_id)
    query = select(intents.c.run, intents.c.intent_id, orders.c.seq)
    made = connection.execute(query.select_from(intents.outerjoin(orders, settled)))
    due = {(run, one): "waiting" if outcome is None else "done" for run, one, outcome in made}
    rows = connection.execute(select(outbox.c.run, outbox.c.intent_id, outbox.c.status))
    queued = {(row.run, row.intent_id): row.status for row in rows}
    for run, one in sorted(due.keys() | queued.keys()):
        if due.get((run, one)) != queued.get((run, one)):
            was = queued.get((run, one), "missing")
            _unfit(f"outbox row of intent {one!r} of run {run!r}", due.get((run, one)), was)


def _verify_snapshots(connection: Connection) -> None:
    rows = connection.execute(select(snapshots))
    kept = {(row.run, row.number): _sha256(row.state) for row in rows}
    query = select(events.c.run, events.c.number, events.c.snapshot_digest)
    committed: dict[str, list[tuple[int, str]]] = {}
    for run, number, digest in connection.execute(
        query.where(events.c.snapshot_digest.is_not(None)).order_by(events.c.number)
    ):
        committed.setdefault(run, []).append((number, digest))
    due = {
        (run, number): digest
        for run, made in committed.items()
        for number, digest in made[-KEPT_SNAPSHOTS:]
    }
    for run, number in sorted(due.keys() | kept.keys()):
        if due.get((run, number)) != kept.get((run, number)):
            was = "changed" if (run, number) in kept else "missing"
            _unfit(f"snapshots row {number} of run {run!r}", "what was committed", was)


def _unfit(subject: str, due: str | None, was: str) -> NoReturn:
    fix = "Halt, and restore the ledger from a backup."
    raise LedgerError(subject, f"must be {due or 'absent'}", was, fix)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
