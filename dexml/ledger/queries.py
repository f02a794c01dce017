"""What readers may ask; everything comes back as plain values, oldest first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, Table, func, select

from dexml.errors import LedgerError
from dexml.ledger import chain, tables
from dexml.ledger.checks import verify_ledger
from dexml.ledger.database import Database
from dexml.ledger.reserving import open_reservations
from dexml.ledger.rows import EventRow, OutboxRow, OutcomeRow, canonical, stamp
from dexml.ledger.tables import CHAIN_COLUMNS
from dexml.reservations import Reservation

__all__ = ["Queries"]

PAGE = 500


class Queries:
    """The reading half of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def run(self, run: str) -> dict[str, Any] | None:
        """Return a run (run, at, config, seed), or None."""
        return self._run(select(tables.runs).where(tables.runs.c.run == run))

    def latest_run(self) -> dict[str, Any] | None:
        """Return the run that was started last, or None."""
        return self._run(select(tables.runs).order_by(tables.runs.c.seq.desc()).limit(1))

    def n_events(self, run: str) -> int:
        """Return how many events a run has heard."""
        heard = tables.events.c
        rows = self._rows(select(func.max(heard.number).label("n")).where(heard.run == run))
        return int(rows[0]["n"] or 0)

    def event_commands(self, run: str, event_id: str) -> list[str] | None:
        """Return the commands that an event led to; None if it was not heard."""
        heard = tables.events.c
        rows = self._rows(
            select(heard.commands).where(heard.run == run, heard.event_id == event_id)
        )
        return json.loads(rows[0]["commands"]) if rows else None

    def events(self, run: str, after_seq: int = 0) -> Iterator[EventRow]:
        """Yield the events of a run in the order in which they were heard."""
        heard = tables.events.c
        while True:
            query = select(heard.number, heard.event_id, heard.event, heard.commands)
            query = query.where(heard.run == run, heard.number > after_seq)
            page = self._rows(query.order_by(heard.number).limit(PAGE))
            for row in page:
                after_seq, commands = row.pop("number"), json.loads(row.pop("commands"))
                yield EventRow(seq=after_seq, commands=commands, **row)
            if len(page) < PAGE:
                return

    def latest_snapshot(self, run: str) -> tuple[int, str] | None:
        """Return (event number, state) of the newest snapshot, checked against its event.

        Raises
        ------
        LedgerError
            If the snapshot is not the one its event was committed with.
        """
        kept, heard = tables.snapshots.c, tables.events.c
        joined = tables.snapshots.join(
            tables.events, (kept.run == heard.run) & (kept.number == heard.number)
        )
        query = select(kept.number, kept.state, heard.snapshot_digest).select_from(joined)
        rows = self._rows(query.where(kept.run == run).order_by(kept.number.desc()).limit(1))
        if not rows:
            return None
        if hashlib.sha256(rows[0]["state"].encode()).hexdigest() != rows[0]["snapshot_digest"]:
            raise LedgerError(
                f"snapshot {rows[0]['number']} of run {run!r}",
                "must be what was committed",
                "changed",
                "Halt, and restore the ledger from a backup.",
            )
        return rows[0]["number"], rows[0]["state"]

    def outbox(self, run: str, limit: int = 100) -> list[OutboxRow]:
        """Return the intents nobody has acted on, in the order in which they were decided.

        Raises
        ------
        LedgerError
            If one is not what was committed.
        """
        box, wanted = tables.outbox.c, tables.intents.c
        joined = tables.outbox.outerjoin(
            tables.intents, (box.run == wanted.run) & (box.intent_id == wanted.intent_id)
        )
        query = select(tables.intents, box.intent_id.label("queued")).select_from(joined)
        query = query.where(box.run == run, box.status == "waiting")
        rows = self._rows(query.order_by(wanted.seq).limit(limit))
        return [_sealed_intent(run, row.pop("queued"), row) for row in rows]

    def reservations(self, run: str, known: Sequence[str] = ()) -> dict[str, Reservation]:
        """Return what open intents reserve, by intent; those of `known` also once settled."""
        with self._database.reading() as connection:
            return open_reservations(connection, run, known)

    def fills(self, run: str, after: int = 0) -> list[OutcomeRow]:
        """Return the fills of a run after the outcome numbered `after`."""
        done = tables.orders.c
        return self._outcomes_of(run, done.number > after, done.kind == "fill")

    def unheard_outcomes(self, run: str) -> list[OutcomeRow]:
        """Return what became of intents and has not yet been committed as an event."""
        done, heard = tables.orders.c, tables.events.c
        known = select(1).where(heard.run == run, heard.event_id == done.event_id)
        return self._outcomes_of(run, ~known.correlate(tables.orders).exists())

    def unheard_requests(self, run: str) -> list[str]:
        """Return the records of what people asked and the owner has not yet heard."""
        asked, heard = tables.requests.c, tables.events.c
        known = select(1).where(heard.run == run, heard.event_id == asked.event_id)
        query = select(asked.event).where(
            asked.run == run, ~known.correlate(tables.requests).exists()
        )
        return [row["event"] for row in self._rows(query.order_by(asked.seq))]

    def newest_request(self, run: str) -> dict[str, Any] | None:
        """Return what was asked last (event_id, at, by, wanted, event), or None."""
        rows = self._newest(tables.requests, run, 1)
        return rows[0] if rows else None

    def forecasts(self, run: str, closed_at: datetime | str) -> list[dict[str, Any]]:
        """Return the forecasts made at a bar's close, by instrument and target."""
        made = tables.forecasts
        query = _own(made).where(made.c.run == run, made.c.closed_at == stamp(closed_at))
        return self._rows(query.order_by(made.c.instrument, made.c.target))

    def inputs(self, run: str, closed_at: datetime | str) -> dict[str, str]:
        """Return the digest of the features that each instrument's forecasts were made from."""
        made = tables.inputs.c
        query = select(made.instrument, made.features)
        rows = self._rows(query.where(made.run == run, made.closed_at == stamp(closed_at)))
        return {row["instrument"]: row["features"] for row in rows}

    def outcomes(self, run: str) -> list[dict[str, Any]]:
        """Return labels with the probability and model that forecast them, by time."""
        known, made = tables.outcomes.c, tables.forecasts.c
        same = [known[name] == made[name] for name in ("run", "closed_at", "instrument", "target")]
        query = select(
            known.instrument,
            known.closed_at,
            known.target,
            known.label,
            made.probability,
            made.model,
        ).where(*same, known.run == run)
        return self._rows(query.order_by(known.closed_at, known.instrument, known.target))

    def equity(self, run: str, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the marks of the book (the newest `limit` of them)."""
        return self._newest(tables.equity, run, limit)

    def decisions(self, run: str, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the decisions (the newest `limit` of them)."""
        return self._newest(tables.decisions, run, limit)

    def alerts(self, run: str, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the alerts (the newest `limit` of them), whoever wrote them, by their time."""
        told = tables.alerts.c
        query = _own(tables.alerts).where(told.run == run)
        query = query.order_by(told.at.desc(), told.stream, told.seq.desc()).limit(limit)
        return self._rows(query)[::-1]

    def trades(self, run: str, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the fills with their price (decimal text, quote per base) and reason."""
        rows = self._newest(tables.fills, run, limit)
        wanted = tables.intents.c
        reasons = self._rows(select(wanted.intent_id, wanted.reason).where(wanted.run == run))
        reason_of = {row["intent_id"]: row["reason"] for row in reasons}
        for row in rows:
            row["price"] = format(Decimal(row["quote"]) / Decimal(row["base"]), "f")
            row["reason"] = reason_of[row["intent_id"]]
        return rows

    def models(self, run: str | None = None) -> list[dict[str, Any]]:
        """Return the model versions: digest, target, manifest (JSON text), newest status.

        Parameters
        ----------
        run : str, optional
            Only what was registered for this run, as it was then, with the status of now.
        """
        known = tables.models.c
        query = select(known.model.label("digest"), known.target, known.manifest, known.status)
        rows = self._rows(query.order_by(known.seq))
        status = {(row["digest"], row["target"]): row["status"] for row in rows}
        of_run = [row for row in rows if run in (None, json.loads(row["manifest"]).get("run"))]
        newest = {(row["digest"], row["target"]): row for row in of_run}
        return [{**row, "status": status[key]} for key, row in newest.items()]

    def models_used(self) -> set[str]:
        """Return the digests of the models that made a forecast of any run."""
        return {row["model"] for row in self._rows(select(tables.forecasts.c.model).distinct())}

    def token(self, id: str) -> dict[str, Any] | None:
        """Return a token's record (id, sha256, scopes, expires_at, revoked), or None."""
        query = _own(tables.tokens).where(tables.tokens.c.id == id)
        rows = self._rows(query.order_by(tables.tokens.c.seq.desc()).limit(1))
        return _token(rows[0]) if rows else None

    def tokens(self) -> list[dict[str, Any]]:
        """Return the records of all tokens, by id."""
        rows = self._rows(_own(tables.tokens).order_by(tables.tokens.c.seq))
        newest = {row["id"]: row for row in rows}
        return [_token(newest[id]) for id in sorted(newest)]

    def streams(self) -> list[str]:
        """Return the names of the writer streams."""
        with self._database.reading() as connection:
            return chain.named_streams(connection)

    def verify_chain(self, stream: str) -> None:
        """Check every row of a stream against its hash chain.

        Raises
        ------
        LedgerError
            Naming the first row that was changed, added or removed.
        """
        with self._database.reading() as connection:
            chain.verify(connection, stream)

    def verify(self) -> None:
        """Check every row of the ledger: all chains, and what is kept beside them.

        Raises
        ------
        LedgerError
            Naming the first row that was changed, added or removed.
        """
        with self._database.reading() as connection:
            verify_ledger(connection)

    def _rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        with self._database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def _run(self, query: Select[Any]) -> dict[str, Any] | None:
        rows = self._rows(query)
        if not rows:
            return None
        for name in CHAIN_COLUMNS:
            rows[0].pop(name)
        return {**rows[0], "config": json.loads(rows[0]["config"])}

    def _outcomes_of(self, run: str, *conditions: Any) -> list[OutcomeRow]:
        done = tables.orders.c
        query = select(done.number, done.intent_id, done.kind, done.event_id, done.outcome)
        rows = self._rows(query.where(done.run == run, *conditions).order_by(done.number))
        return [OutcomeRow(**{**row, "outcome": json.loads(row["outcome"])}) for row in rows]

    def _newest(self, table: Table, run: str, limit: int | None) -> list[dict[str, Any]]:
        query = _own(table).where(table.c.run == run).order_by(table.c.seq.desc()).limit(limit)
        return self._rows(query)[::-1]


def _sealed_intent(run: str, intent_id: str, row: dict[str, Any]) -> OutboxRow:
    body = {name: value for name, value in row.items() if name not in CHAIN_COLUMNS}
    if row["digest"] is None or row["digest"] != chain.link("intents", row, body):
        raise LedgerError(
            f"intent {intent_id!r} of run {run!r}",
            "must be what was committed",
            "changed or missing",
            "Halt, and restore the ledger from a backup.",
        )
    body.pop("run")
    return OutboxRow(intent_id=intent_id, intent=canonical(body))


def _own(table: Table) -> Select[Any]:
    hidden = {*CHAIN_COLUMNS, "run"}
    return select(*(column for column in table.c if column.name not in hidden))


def _token(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "scopes": row["scopes"].split(), "revoked": bool(row["revoked"])}
