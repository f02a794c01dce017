"""What open intents may take of a run's limits: rows of their own, added up where they are made.

The kernel decides on the book in its memory; here the rows are added up once more, under the lock
of the stream, so that two who decide from one book cannot both have the last of a limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext

from sqlalchemy import Connection, func, select

from dexml.costs import MONEY
from dexml.errors import LimitReached
from dexml.ledger.chain import Appender
from dexml.ledger.tables import reservations
from dexml.reservations import NOTHING, Reservation, Room

__all__ = ["open_reservations", "reserve"]

_KINDS = ("cash", "exposure")


def reserve(
    appender: Appender, run: str, changed: Mapping[str, Reservation], room: Room | None
) -> None:
    """Append what intents reserve from now on; what adds to a total must leave it within `room`.

    Raises
    ------
    LimitReached
        If a total would grow above its room.
    """
    if not changed:
        return
    totals = _totals(appender.connection, run)
    for intent_id, wanted in changed.items():
        before = _newest(appender.connection, run, [intent_id]).get(intent_id, NOTHING)
        grown = [name for name in _KINDS if getattr(wanted, name) > getattr(before, name)]
        totals = _moved(totals, before, wanted)
        _check_room(run, totals, grown, room)
        row = {"run": run, "intent_id": intent_id}
        row |= {name: _plain(getattr(wanted, name)) for name in _KINDS}
        row |= {f"{name}_total": _plain(getattr(totals, name)) for name in _KINDS}
        appender.append(reservations, row)


def open_reservations(
    connection: Connection, run: str, intent_ids: Sequence[str] = ()
) -> dict[str, Reservation]:
    """Return what the open intents of a run reserve; those of `intent_ids` also once settled."""
    last = reservations.alias()
    newest = select(func.max(last.c.seq)).where(
        last.c.run == run, last.c.intent_id == reservations.c.intent_id
    )
    query = select(reservations.c.intent_id, reservations.c.cash, reservations.c.exposure)
    query = query.where(reservations.c.run == run, reservations.c.seq == newest.scalar_subquery())
    held = {row.intent_id: _read(row) for row in connection.execute(query)}
    return {name: one for name, one in held.items() if one != NOTHING or name in intent_ids}


def _newest(connection: Connection, run: str, intent_ids: Sequence[str]) -> dict[str, Reservation]:
    kept = reservations.c
    query = select(kept.intent_id, kept.cash, kept.exposure).order_by(kept.seq)
    rows = connection.execute(query.where(kept.run == run, kept.intent_id.in_(intent_ids)))
    return {row.intent_id: _read(row) for row in rows}


def _totals(connection: Connection, run: str) -> Reservation:
    kept = reservations.c
    query = select(kept.cash_total.label("cash"), kept.exposure_total.label("exposure"))
    row = connection.execute(
        query.where(kept.run == run).order_by(kept.seq.desc()).limit(1)
    ).one_or_none()
    return NOTHING if row is None else _read(row)


def _read(row: object) -> Reservation:
    return Reservation(**{name: Decimal(getattr(row, name)) for name in _KINDS})


def _moved(totals: Reservation, before: Reservation, wanted: Reservation) -> Reservation:
    with localcontext(MONEY):
        return Reservation(
            cash=totals.cash - before.cash + wanted.cash,
            exposure=totals.exposure - before.exposure + wanted.exposure,
        )


def _check_room(run: str, totals: Reservation, grown: Sequence[str], room: Room | None) -> None:
    for name in grown:
        most, total = getattr(room, name, None), getattr(totals, name)
        if most is not None and total > most:
            raise LimitReached(
                f"{name} that open intents of run {run!r} reserve",
                f"must be at most {most}",
                total,
                "Decide again on the book as the ledger has it.",
            )


def _plain(amount: Decimal) -> str:
    return format(amount.normalize(), "f")
