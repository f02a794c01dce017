"""Runs, models and tokens are chained, commits anchor other streams, open intents reserve."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0002"

_CHAIN = ("stream", "seq", "epoch", "previous", "digest")
_HOLDER = "migration 0004"


def upgrade() -> None:
    _journal("anchors", sa.Column("anchors", sa.Text(), nullable=False))
    _reservations()
    _registers()
    _outbox()


def _reservations() -> None:
    names = ("run", "intent_id", "cash", "exposure", "cash_total", "exposure_total")
    _journal("reservations", *(sa.Column(name, sa.Text(), nullable=False) for name in names))
    op.create_index("ix_reservations_intent", "reservations", ["run", "intent_id", "seq"])
    op.create_index("ix_reservations_run", "reservations", ["run", "seq"])


def _registers() -> None:
    kept = {name: _rows(f"SELECT * FROM {name}") for name in ("runs", "models", "tokens")}
    for name in kept:
        op.drop_table(name)
    _journal(
        "runs",
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("run", name="uq_runs_run"),
    )
    texts = ("model", "target", "manifest", "status")
    _journal("models", *(sa.Column(name, sa.Text(), nullable=False) for name in texts))
    op.create_index("ix_models_model", "models", ["model", "target", "seq"])
    _journal(
        "tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Text(), nullable=True),
        sa.Column("revoked", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_tokens_id", "tokens", ["id", "seq"])
    _chain("runs", sorted(kept["runs"], key=lambda row: int(row.pop("number"))))
    models = sorted(kept["models"], key=lambda row: int(row.pop("number")))
    _chain("models", [{"model": row.pop("digest"), **row} for row in models])
    _chain("tokens", sorted(kept["tokens"], key=lambda row: str(row["id"])))


def _outbox() -> None:
    kept = _rows("SELECT run, intent_id, status FROM outbox")
    op.drop_index("ix_outbox_waiting", table_name="outbox")
    op.drop_table("outbox")
    op.create_table(
        "outbox",
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("intent_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run", "intent_id"),
    )
    op.create_index("ix_outbox_waiting", "outbox", ["run", "status"])
    _insert("outbox", kept)


def _journal(name: str, *items: Any) -> None:
    op.create_table(
        name,
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        *items,
        sa.PrimaryKeyConstraint("stream", "seq"),
    )


def _rows(query: str) -> list[dict[str, Any]]:
    return [dict(row) for row in op.get_bind().execute(sa.text(query)).mappings()]


def _insert(table: str, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        columns: list[Any] = [sa.column(name) for name in rows[0]]
        op.get_bind().execute(sa.insert(sa.table(table, *columns)), rows)


def _chain(name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write the rows that were kept as the first links of a stream of their own."""
    if not rows:
        return
    first = _linked("epochs", {"holder": _HOLDER, "anchors": "{}"}, name, 1, "0" * 64)
    _insert("epochs", [first])
    head = first
    for row in rows:
        head = _linked(name, row, name, head["seq"] + 1, head["digest"])
        _insert(name, [head])
    moved = {"stream": name, "epoch": 1, "holder": _HOLDER, "seq": head["seq"]}
    _insert("streams", [{**moved, "digest": head["digest"]}])


def _linked(
    table: str, body: dict[str, Any], stream: str, seq: int, previous: str
) -> dict[str, Any]:
    # as the ledger linked rows when this script was written
    content = [table, [stream, seq, 1, previous], body]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    place = dict(zip(_CHAIN, (stream, seq, 1, previous, digest), strict=True))
    return {**place, **body}
