"""One hash chain for each writer stream: every row names the row before it.

A changed, inserted or removed row breaks its digest, its neighbour's `previous`, or the head. What
one transaction adds ends with the heads of all other streams, so that none of them can lose its
newest rows, head and all, unnoticed.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Table, bindparam, insert, select, union_all, update
from sqlalchemy.exc import IntegrityError

from dexml.errors import LedgerError, StaleEpoch
from dexml.ledger.rows import Primitive, Row, canonical, shaped
from dexml.ledger.tables import CHAIN_COLUMNS, JOURNALS, anchors, epochs, streams

__all__ = [
    "GENESIS",
    "Appender",
    "Head",
    "heads",
    "link",
    "named_streams",
    "owned_head",
    "read_head",
    "take_over",
    "verify",
]

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


def read_head(connection: Connection, stream: str, *, lock: bool = True) -> Head | None:
    """Return the head of a stream, locked until the transaction ends (SQLite locks it all)."""
    query = select(streams).where(streams.c.stream == stream)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
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
        self._head = owned_head(connection, stream, epoch)
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
        """Insert the rows, anchor the other streams after them, and move the head."""
        if not self._rows:
            return
        if epochs not in self._rows:  # a new epoch is a row with anchors itself
            self.append(anchors, {"anchors": _others(self.connection, self._head.stream)})
        for table, rows in self._rows.items():
            self.connection.execute(insert(table), rows)
        moved = update(streams).where(
            streams.c.stream == self._head.stream, streams.c.epoch == self._head.epoch
        )
        self.connection.execute(moved.values(seq=self._head.seq, digest=self._head.digest))
        self._rows = {}


def owned_head(connection: Connection, stream: str, epoch: int, *, lock: bool = True) -> Head:
    """Return the head of a stream that is owned under `epoch`, locked as by `read_head`.

    Raises
    ------
    StaleEpoch
        If the stream has a newer owner.
    LedgerError
        If nobody owns the stream.
    """
    head = read_head(connection, stream, lock=lock)
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
    epoch = _locked_head(connection, stream).epoch + 1
    mine = update(streams).where(streams.c.stream == stream)
    connection.execute(mine.values(epoch=epoch, holder=holder))
    appender = Appender(connection, stream, epoch)
    appender.append(epochs, {"holder": holder, "anchors": _others(connection, stream)})
    return appender


def _locked_head(connection: Connection, stream: str) -> Head:
    head = read_head(connection, stream)
    while head is None:
        with suppress(IntegrityError), connection.begin_nested():  # another may be first
            connection.execute(insert(streams), asdict(Head(stream=stream)))
        head = read_head(connection, stream)
    return head


def _others(connection: Connection, stream: str) -> str:
    others = (head for head in heads(connection) if head.stream != stream)
    return canonical({head.stream: [head.seq, head.digest] for head in others if head.seq})


def named_streams(connection: Connection) -> list[str]:
    """Return the names of all streams, also of one that rows name and no head does."""
    names = [select(table.c.stream) for table in (streams, *JOURNALS)]
    return sorted(connection.execute(union_all(*names)).scalars().unique())


def verify(connection: Connection, stream: str) -> int:
    """Walk the chain of a stream and return its number of rows.

    Raises
    ------
    LedgerError
        Naming the first row that does not fit, or the head or anchor that does not.
    """
    head = read_head(connection, stream, lock=False)
    if head is None:
        rule = "must exist and have a head"
        raise LedgerError(f"stream {stream!r}", rule, "unknown", "Name a known stream.")
    seen, anchored = Head(stream=stream), dict[str, list[Any]]()
    # a row that does not fit must not leave statements open: SQLite then refuses the next writer
    with closing(_chained_rows(connection, stream)) as rows:
        for table, row in rows:
            _check_link(table, row, seen)
            anchored |= json.loads(row["anchors"]) if "anchors" in row else {}
            seen = Head(
                stream=stream,
                epoch=row["epoch"],
                holder=row["holder"] if table == epochs.name else seen.holder,
                seq=row["seq"],
                digest=row["digest"],
            )
    if seen != head:
        raise LedgerError(
            f"stream {stream!r}",
            f"must end at row {head.seq} with digest {head.digest[:12]}, epoch {head.epoch} of "
            f"{head.holder!r}",
            f"row {seen.seq} with {seen.digest[:12]}, epoch {seen.epoch} of {seen.holder!r}",
            "Rows at its end are missing or its head was changed: halt, and restore the ledger "
            "from a backup.",
        )
    # older anchors name rows before these in chains that are verified themselves
    for other, (seq, digest) in anchored.items():
        _check_anchor(connection, stream, Head(stream=other, seq=seq, digest=digest))
    return seen.seq


def _chained_rows(
    connection: Connection, stream: str
) -> Generator[tuple[str, dict[str, Any]], None, None]:
    def rows_of(table: Table) -> Iterator[tuple[int, str, dict[str, Any]]]:
        result = opened.enter_context(
            connection.execute(_ROWS_OF[table.name], {"of": stream}, execution_options=_STREAMING)
        )
        for row in result.mappings():
            yield row["seq"], table.name, dict(row)

    with ExitStack() as opened:
        # (seq, table name) is unique, so that the dicts are never compared
        for _, name, row in heapq.merge(*(rows_of(table) for table in JOURNALS)):
            yield name, row


_STREAMING = {"yield_per": 1_000}
# built once: to build a statement takes longer than to execute it
_ROWS_OF = {
    table.name: select(table).where(table.c.stream == bindparam("of")).order_by(table.c.seq)
    for table in JOURNALS
}
_DIGEST_AT = union_all(
    *(
        select(table.c.digest).where(
            table.c.stream == bindparam("of"), table.c.seq == bindparam("at")
        )
        for table in JOURNALS
    )
)


def _check_link(table: str, row: dict[str, Any], before: Head) -> None:
    body = {name: value for name, value in row.items() if name not in CHAIN_COLUMNS}
    checks = {
        f"follow row {before.seq}": row["seq"] == before.seq + 1,
        "name the digest of the row before it": row["previous"] == before.digest,
        "have an epoch that does not go back": row["epoch"] >= before.epoch,
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


def _check_anchor(connection: Connection, stream: str, anchored: Head) -> None:
    found = connection.execute(_DIGEST_AT, {"of": anchored.stream, "at": anchored.seq})
    if anchored.digest not in found.scalars().all():
        raise LedgerError(
            f"row {anchored.seq} of stream {anchored.stream!r}",
            f"must have the digest anchored in stream {stream!r}",
            "another, or missing",
            "Halt, and restore the ledger from a backup.",
        )
