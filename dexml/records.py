"""Canonical JSON of events, commands and state, and back: what is journalled and replayed."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Annotated, Any, get_args

from pydantic import Field, TypeAdapter, ValidationError

from dexml.errors import LedgerError
from dexml.events import SCHEMA_VERSION, Command, Event
from dexml.state import State

__all__ = ["decode_command", "decode_event", "decode_state", "digest", "encode"]

_EVENTS = get_args(Event)


@cache
def _adapter(type_: str) -> TypeAdapter[Any]:
    if type_ == "state":
        return TypeAdapter(State)
    union: Any = Event if type_ == "event" else Command
    return TypeAdapter(Annotated[union, Field(discriminator="kind")])


def _type_of(value: Event | Command | State) -> str:
    if isinstance(value, State):
        return "state"
    return "event" if isinstance(value, _EVENTS) else "command"


def encode(value: Event | Command | State) -> str:
    """Return the canonical record: sorted keys, shortest floats, Decimal as text, its schema.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from dexml.domain import Mode
    >>> from dexml.events import ModeRequested
    >>> event = ModeRequested(at=datetime(2024, 1, 1, tzinfo=UTC), mode=Mode.HALTED, by="ada")
    >>> decode_event(encode(event)) == event
    True
    """
    type_ = _type_of(value)
    body = _adapter(type_).dump_python(value, mode="json")
    record = {"schema": SCHEMA_VERSION, "type": type_, "body": body}
    return json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Event | Command | State | str) -> str:
    """Return the SHA-256 of a value's record, or of a text, in hexadecimal."""
    text = value if isinstance(value, str) else encode(value)
    return hashlib.sha256(text.encode()).hexdigest()


def decode_event(text: str) -> Event:
    """Read an event back; raises LedgerError if it is another thing or another schema."""
    event: Event = _decode("event", text)
    return event


def decode_command(text: str) -> Command:
    """Read a command back; raises LedgerError if it is another thing or another schema."""
    command: Command = _decode("command", text)
    return command


def decode_state(text: str) -> State:
    """Read a state back; raises LedgerError if it is another thing or another schema."""
    state: State = _decode("state", text)
    return state


def _decode(type_: str, text: str) -> Any:
    fix = "Read it with the version of dexml that wrote it."
    try:
        record = json.loads(text)
        found = (record["schema"], record["type"])
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerError("record", "must be JSON with schema and type", text[:60], fix) from error
    if found != (SCHEMA_VERSION, type_):
        rule = f"must be of type {type_}, schema {SCHEMA_VERSION}"
        raise LedgerError("record", rule, found, fix)
    try:
        return _adapter(type_).validate_python(record["body"])
    except (ValidationError, KeyError) as error:
        raise LedgerError("record", f"must be a whole {type_}", text[:60], fix) from error
