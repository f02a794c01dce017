"""The tables of the ledger. Journals are append-only and carry the hash chain of their writer."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, MetaData, Table, Text, UniqueConstraint
from sqlalchemy.sql.schema import SchemaItem

__all__ = ["CHAIN_COLUMNS", "JOURNALS", "metadata"]

CHAIN_COLUMNS = ("stream", "seq", "epoch", "previous", "digest")

metadata = MetaData()


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


def _instant(name: str, *, nullable: bool = False) -> Column[str]:
    # ISO text in UTC sorts as time does, and reads the same on every database
    return Column(name, Text, nullable=nullable, info={"instant": True})


def _number(name: str, *, nullable: bool = False) -> Column[float]:
    return Column(name, Float(53), nullable=nullable)


def _count(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _journal(name: str, *items: SchemaItem) -> Table:
    return Table(
        name,
        metadata,
        Column("stream", Text, primary_key=True),
        Column("seq", BigInteger, primary_key=True, autoincrement=False),
        _count("epoch"),
        _text("previous"),
        _text("digest"),
        *items,
    )


def _once(table: str, *columns: str) -> UniqueConstraint:
    return UniqueConstraint(*columns, name=f"uq_{table}_{'_'.join(columns[1:])}")


epochs = _journal("epochs", _text("holder"), _text("anchors"), _once("epochs", "stream", "epoch"))

anchors = _journal("anchors", _text("anchors"))

events = _journal(
    "events",
    _text("run"),
    _count("number"),
    _text("event_id"),
    _count("schema_version"),
    _text("event"),
    _text("commands"),
    _text("snapshot_digest", nullable=True),
    _once("events", "run", "number"),
    _once("events", "run", "event_id"),
)

decisions = _journal(
    "decisions",
    _text("run"),
    _text("decision_id"),
    _instant("at"),
    _text("instrument"),
    _text("action"),
    _text("reason"),
    _number("probability", nullable=True),
    _number("expected_return"),
    _number("cost"),
    _number("net_edge"),
    _number("target_weight"),
    _number("risk_score"),
    _once("decisions", "run", "decision_id"),
)

intents = _journal(
    "intents",
    _text("run"),
    _text("intent_id"),
    _text("instrument"),
    _text("side"),
    _text("amount_in"),
    _text("minimum_out"),
    _text("reference_price"),
    _text("reason"),
    _instant("decided_at"),
    _once("intents", "run", "intent_id"),
)

# What the open intents of a run may take: the newest row of an intent counts, 0 releases it.
reservations = _journal(
    "reservations",
    _text("run"),
    _text("intent_id"),
    _text("cash"),
    _text("exposure"),
    _text("cash_total"),
    _text("exposure_total"),
    Index("ix_reservations_intent", "run", "intent_id", "seq"),
    Index("ix_reservations_run", "run", "seq"),
)

equity = _journal(
    "equity",
    _text("run"),
    _instant("at"),
    _text("equity"),
    _text("cash"),
    _number("drawdown"),
    _number("value_at_risk"),
    _number("risk_score"),
    _text("mode"),
    Index("ix_equity_run", "run", "seq"),
)

alerts = _journal(
    "alerts",
    _text("run"),
    _instant("at"),
    _text("severity"),
    _text("subject"),
    _text("text"),
    Index("ix_alerts_run", "run", "seq"),
)

orders = _journal(
    "orders",
    _text("run"),
    _count("number"),
    _text("intent_id"),
    _text("kind"),
    _text("event_id"),
    _text("outcome"),
    _once("orders", "run", "number"),
    _once("orders", "run", "intent_id"),
)

fills = _journal(
    "fills",
    _text("run"),
    _text("intent_id"),
    _text("instrument"),
    _text("side"),
    _text("base"),
    _text("quote"),
    _text("gas"),
    _instant("filled_at"),
    _once("fills", "run", "intent_id"),
)

forecasts = _journal(
    "forecasts",
    _text("run"),
    _text("instrument"),
    _instant("closed_at"),
    _text("target"),
    _number("probability", nullable=True),
    _text("model"),
    UniqueConstraint("run", "closed_at", "instrument", "target", name="uq_forecasts_key"),
)

outcomes = _journal(
    "outcomes",
    _text("run"),
    _text("instrument"),
    _instant("closed_at"),
    _text("target"),
    _number("label"),
    UniqueConstraint("run", "closed_at", "instrument", "target", name="uq_outcomes_key"),
)

requests = _journal(
    "requests",
    _text("run"),
    _text("event_id"),
    _instant("at"),
    _text("by"),
    _text("wanted"),
    _text("event"),
    _once("requests", "run", "event_id"),
)

runs = _journal(
    "runs",
    _text("run"),
    _instant("at"),
    _text("config"),
    _count("seed"),
    UniqueConstraint("run", name="uq_runs_run"),
)

# A row for each change of status; the newest of a model and target counts.
models = _journal(
    "models",
    _text("model"),
    _text("target"),
    _text("manifest"),
    _text("status"),
    Index("ix_models_model", "model", "target", "seq"),
)

# A row when a token is made and one when it is revoked; the newest of an id counts.
tokens = _journal(
    "tokens",
    _text("id"),
    _text("sha256"),
    _text("scopes"),
    _instant("expires_at", nullable=True),
    _count("revoked"),
    Index("ix_tokens_id", "id", "seq"),
)

JOURNALS: tuple[Table, ...] = (
    epochs,
    anchors,
    events,
    decisions,
    intents,
    reservations,
    equity,
    alerts,
    orders,
    fills,
    forecasts,
    outcomes,
    requests,
    runs,
    models,
    tokens,
)

streams = Table(
    "streams",
    metadata,
    Column("stream", Text, primary_key=True),
    _count("epoch"),
    _text("holder"),
    _count("seq"),
    _text("digest"),
)

# The work left to do: what an intent says stands in the journal of intents alone.
outbox = Table(
    "outbox",
    metadata,
    Column("run", Text, primary_key=True),
    Column("intent_id", Text, primary_key=True),
    _text("status"),
    Index("ix_outbox_waiting", "run", "status"),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("run", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    _text("state"),
)
