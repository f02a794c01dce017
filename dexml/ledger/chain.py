"""One hash chain for each writer stream: every row names the row before it.

A changed, inserted or removed row breaks its digest, its neighbour's `previous`, or the head.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, insert, select, update

from dexml.errors import LedgerError, StaleEpoch
from dexml.ledger.rows import Primitive, Row, canonical, shaped
from dexml.ledger.tables import CHAIN_COLUMNS, JOURNALS, epochs, streams

__all__ = ["GENESIS", "Appender", "Head", "heads", "read_head", "take_over", "verify"]

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest link of a stream: its owner's epoch, how many rows, the last digest."""

    stream: str
    epoch: int = 0
    holder: str = ""
    seq: int = 0
    digest: str = GENESIS


def link(table: str, chain: Mapping[str, Any], body: Mapping[str, Primitive]) -> str:
    """Return the digest of a row: sha256 over its place, its predecessor and its content."""
    place = [chain[name] for name in ("stream", "seq", "epoch", "previous")]
    return hashlib.sha256(canonical([table, place, body]).encode()).hexdigest()


def read_head(connection: Connection, stream: str) -> Head | None:
    """Return the head of a stream, locked until the transaction ends (SQLite locks it all)."""
    query = select(streams).where(streams.c.stream == stream).with_for_update()
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else Head(**row)


def heads(connection: Connection) -> list[Head]:
    """Return the heads of all streams, by name."""
    rows = connection.execute(select(streams).order_by(streams.c.stream)).mappings()
    return [Head(**row) for row in rows]


class Appender:
    """Rows that one owner adds to its stream within one transaction.

    Raises
    ------
    StaleEpoch
        If the stream has a newer owner.
    LedgerError
        If nobody owns the stream.
    """

    def __init__(self, connection: Connection, stream: str, epoch: int) -> None:
        self.connection = connection
        self._head = _owned_head(connection, stream, epoch)
        self._rows: dict[Table, list[dict[str, Any]]] = {}

    @property
    def epoch(self) -> int:
        """The epoch under which the rows are added."""
        return self._head.epoch

    def append(self, table: Table, row: Row) -> None:
        """Check a row, chain it, and keep it for `flush`."""
        body = shaped(table, row)
        chain: dict[str, Any] = {
            "stream": self._head.stream,
            "seq": self._head.seq + 1,
            "epoch": self._head.epoch,
            "previous": self._head.digest,
        }
        digest = link(table.name, chain, body)
        self._rows.setdefault(table, []).append({**chain, "digest": digest, **body})
        self._head = Head(
            stream=self._head.stream,
            epoch=self._head.epoch,
            holder=self._head.holder,
            seq=self._head.seq + 1,
            digest=digest,
        )

    def flush(self) -> None:
        """Insert the rows and move the head."""
        for table, rows in self._rows.items():
            self.connection.execute(insert(table), rows)
        moved = update(streams).where(
            streams.c.stream == self._head.stream, streams.c.epoch == self._head.epoch
        )
        self.connection.execute(moved.values(seq=self._head.seq, digest=self._head.digest))
        self._rows = {}


def _owned_head(connection: Connection, stream: str, epoch: int) -> Head:
    head = read_head(connection, stream)
    if head is None:
        raise LedgerError(
            f"stream {stream!r}", "must have an owner", "nobody's", "Acquire its epoch first."
        )
    if head.epoch != epoch:
        raise StaleEpoch(
            f"epoch of stream {stream!r}",
            f"must be {head.epoch}, held by {head.holder!r}",
            epoch,
            "Stop this writer: a newer owner has taken over.",
        )
    return head


def take_over(connection: Connection, stream: str, holder: str) -> Appender:
    """Own a stream under a new epoch, recorded with the heads of all other streams."""
    head = read_head(connection, stream)
    epoch = 1 if head is None else head.epoch + 1
    _set_owner(connection, stream, holder, epoch, new=head is None)
    others = {h.stream: [h.seq, h.digest] for h in heads(connection) if h.stream != stream}
    appender = Appender(connection, stream, epoch)
    appender.append(epochs, {"holder": holder, "anchors": canonical(others)})
    return appender


def _set_owner(connection: Connection, stream: str, holder: str, epoch: int, *, new: bool) -> None:
    if new:
        head = Head(stream=stream, epoch=epoch, holder=holder)
        values = {name: getattr(head, name) for name in Head.__slots__}
        connection.execute(insert(streams), values)
        return
    mine = update(streams).where(streams.c.stream == stream)
    connection.execute(mine.values(epoch=epoch, holder=holder))


def verify(connection: Connection, stream: str) -> int:
    """Walk the chain of a stream and return its number of rows.

    Raises
    ------
    LedgerError
        Naming the first row that does not fit, or the head or anchor that does not.
    """
    head = read_head(connection, stream)
    if head is None:
        raise LedgerError(f"stream {stream!r}", "must exist", "unknown", "Name a known stream.")
    seq, digest, epoch = 0, GENESIS, 0
    for table, row in _chained_rows(connection, stream):
        _check_link(table, row, seq, digest, epoch)
        if table == "epochs":
            _check_anchors(connection, row)
        seq, digest, epoch = row["seq"], row["digest"], row["epoch"]
    if (seq, digest, epoch) != (head.seq, head.digest, head.epoch):
        raise LedgerError(
            f"stream {stream!r}",
            f"must end at row {head.seq} with digest {head.digest[:12]}",
            f"row {seq} with {digest[:12]}",
            "Rows at its end are missing: halt, and restore the ledger from a backup.",
        )
    return seq


def _chained_rows(connection: Connection, stream: str) -> Iterator[tuple[str, dict[str, Any]]]:
    def rows_of(table: Table) -> Iterator[tuple[int, str, dict[str, Any]]]:
        query = select(table).where(table.c.stream == stream).order_by(table.c.seq)
        result = opened.enter_context(connection.execute(query, execution_options=_STREAMING))
        for row in result.mappings():
            yield row["seq"], table.name, dict(row)

    with ExitStack() as opened:
        # (seq, table name) is unique, so that the dicts are never compared
        for _, name, row in heapq.merge(*(rows_of(table) for table in JOURNALS)):
            yield name, row


_STREAMING = {"yield_per": 1_000}


def _check_link(table: str, row: dict[str, Any], seq: int, digest: str, epoch: int) -> None:
    body = {name: value for name, value in row.items() if name not in CHAIN_COLUMNS}
    checks = {
        f"follow row {seq}": row["seq"] == seq + 1,
        "name the digest of the row before it": row["previous"] == digest,
        "have an epoch that does not go back": row["epoch"] >= epoch,
        "hold what its digest was made from": row["digest"] == link(table, row, body),
    }
    for rule, holds in checks.items():
        if not holds:
            raise LedgerError(
                f"{table} row {row['seq']} of stream {row['stream']!r}",
                f"must {rule}",
                "changed, added, or next to a removed row",
                "Halt, and restore the ledger from a backup.",
            )


def _check_anchors(connection: Connection, row: dict[str, Any]) -> None:
    for stream, (seq, digest) in json.loads(row["anchors"]).items():
        if digest not in _digests_at(connection, stream, seq):
            raise LedgerError(
                f"row {seq} of stream {stream!r}",
                f"must have the digest anchored in stream {row['stream']!r}",
                "another, or missing",
                "Halt, and restore the ledger from a backup.",
            )


def _digests_at(connection: Connection, stream: str, seq: int) -> set[str]:
    found: set[str] = set()
    for table in JOURNALS:
        query = select(table.c.digest).where(table.c.stream == stream, table.c.seq == seq)
        found.update(connection.execute(query).scalars())
    return found
