"""Rows as they go in and come out: checked against their table, or typed for the reader."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache
from numbers import Real
from typing import Any

from sqlalchemy import Column, Table

from dexml.clock import utc
from dexml.errors import LedgerError
from dexml.ledger.tables import CHAIN_COLUMNS, alerts, decisions, equity, intents
from dexml.reservations import Reservation, Room

__all__ = [
    "EventRow",
    "OutboxRow",
    "OutcomeRow",
    "Row",
    "StepRows",
    "canonical",
    "fill_fields",
    "shaped",
    "stamp",
]

Row = Mapping[str, Any]
Primitive = str | int | float | None

_FILL_KEYS = ("instrument", "side", "base", "quote", "gas", "filled_at")
# what records carry beside their fields; no column of its own in the tables of a known kind
_FRAMING = frozenset({"kind", "schema", "schema_version"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRows:
    """What one event led to, as JSON-able rows: the fields of the commands of `dexml.events`.

    Attributes
    ----------
    decisions, equity, alerts : sequence of mapping
        Fields of `Decision`, `EquityMarked` and `Alert`.
    intents : sequence of mapping
        Fields of `dexml.domain.Intent`, amounts as decimal text.
    reservations : mapping of intent to Reservation
        What intents take at most from now on, where the event changed it.
    room : Room, optional
        What all open intents together may take.
    """

    decisions: Sequence[Row] = ()
    intents: Sequence[Row] = ()
    equity: Sequence[Row] = ()
    alerts: Sequence[Row] = ()
    reservations: Mapping[str, Reservation] = field(default_factory=dict)
    room: Room | None = None

    def by_table(self) -> Iterator[tuple[Table, Row]]:
        """Yield each row with its table, in the order in which they are journalled."""
        for table in (decisions, intents, equity, alerts):
            for row in getattr(self, table.name):
                yield table, row


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """A heard event: its place in the run (1, 2, ...), id, record, and the commands it led to."""

    seq: int
    event_id: str
    event: str
    commands: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """An intent that nobody has acted on yet, as JSON text."""

    intent_id: str
    intent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRow:
    """What became of an intent: its place in the run (1, 2, ...), "fill" or "failed", details."""

    number: int
    intent_id: str
    kind: str
    event_id: str
    outcome: dict[str, Any]


def canonical(value: object) -> str:
    """Return JSON text that is the same for equal values.

    Examples
    --------
    >>> canonical({"b": 1, "a": [0.5, None]})
    '{"a":[0.5,null],"b":1}'
    """
    try:
        return json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
    except (TypeError, ValueError) as error:
        raise LedgerError(
            "ledger row", "must be JSON with finite numbers", error, "Turn it into plain values."
        ) from error


def stamp(instant: datetime | str) -> str:
    """Return an instant as UTC ISO text, which sorts as time does.

    Examples
    --------
    >>> stamp("2024-01-01T02:00:00+01:00")
    '2024-01-01T01:00:00+00:00'
    """
    if isinstance(instant, str):
        try:
            instant = datetime.fromisoformat(instant)
        except ValueError as error:
            raise LedgerError(
                "instant", "must be ISO 8601 text", repr(instant), "Write 2024-01-01T00:00:00Z."
            ) from error
    return utc(instant).isoformat()


def shaped(table: Table, row: Row) -> dict[str, Primitive]:
    """Return `row` as the primitive columns of `table`, in their order; nothing may be lost.

    Raises
    ------
    LedgerError
        If a key is missing or unknown, a number is not finite, or a value has the wrong type.
    """
    columns = _own_columns(table)
    unknown = sorted(row.keys() - columns.keys() - _FRAMING)
    if unknown:
        raise LedgerError(
            f"{table.name} row",
            f"must hold only {', '.join(columns)}",
            ", ".join(unknown),
            "Drop the key or migrate the table.",
        )
    return {name: _primitive(table.name, column, row.get(name)) for name, column in columns.items()}


@cache
def _own_columns(table: Table) -> dict[str, Column[Any]]:
    hidden = CHAIN_COLUMNS if "previous" in table.columns else ()
    return {column.name: column for column in table.columns if column.name not in hidden}


def _primitive(table: str, column: Column[Any], value: object) -> Primitive:
    if value is None and column.nullable:
        return None
    if column.info.get("instant") and isinstance(value, str | datetime):
        return stamp(value)
    wanted = column.type.python_type
    if wanted is str and isinstance(value, str | Decimal):
        return str(value)
    if wanted is not str and isinstance(value, Real) and math.isfinite(float(value)):
        # adding zero turns -0.0, which SQLite does not keep, into 0.0
        return int(value) if isinstance(value, int) and wanted is int else float(value) + 0.0
    kind = "text" if wanted is str else "a finite number"
    raise LedgerError(f"{table}.{column.name}", f"must be {kind}", repr(value), "Check its maker.")


def fill_fields(outcome: Mapping[str, Any], intent_id: str) -> dict[str, Any]:
    """Return the fields of a fill from its record, which may frame it at any depth.

    Raises
    ------
    LedgerError
        If they are not there, or belong to another intent.
    """
    fill = _find_fill(json.loads(canonical(outcome)))
    if fill is None or fill.get("intent_id", intent_id) != intent_id:
        raise LedgerError(
            f"fill of intent {intent_id!r}",
            f"must hold its own {', '.join(_FILL_KEYS)}",
            canonical(outcome)[:200],
            "Give the record of a `Fill`.",
        )
    return {name: fill[name] for name in _FILL_KEYS}


def _find_fill(value: object) -> dict[str, Any] | None:
    # a record may frame the fill (event, schema version); its keys tell it apart
    if not isinstance(value, dict):
        return None
    if value.keys() >= set(_FILL_KEYS):
        return value
    return next((found for inner in value.values() if (found := _find_fill(inner))), None)
