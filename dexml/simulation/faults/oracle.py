"""The one judge of every run with faults: invariants I1 to I8, from the venue's books and the file.

The ledger is read through a connection of the oracle's own, and added up without the code that is
judged; what cannot be seen by that code (the venue's books, the rows the market made) is the truth.

I1 an order was journalled first, is sent while it waits, and once; I2 the ledger adds up, chains
hold, fills are the venue's; I3 no limit is passed at any instant; I4 nothing rests on unsound or
old data; I5 no order is forgotten; I6 no two holders act; I7 no record holds a secret; I8 the
system comes back by itself.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from dexml.data.feeds.hearing import Row
from dexml.domain import Fill, Intent, Side
from dexml.ledger.chain import GENESIS, link
from dexml.ledger.tables import CHAIN_COLUMNS, JOURNALS
from dexml.simulation.faults.books import Books
from dexml.simulation.faults.rules import Rules
from dexml.simulation.faults.venue import Placed, Venue
from dexml.state import KernelConfig, State

__all__ = ["Oracle", "Violation"]


@dataclass(frozen=True, slots=True)
class Violation:
    """What was broken: one of "I1" to "I8", and how."""

    invariant: str
    text: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.text}"


@dataclass(slots=True)
class _Head:
    seq: int = 0
    digest: str = GENESIS
    epoch: int = 0


class Oracle:
    """Judges one run.

    Parameters
    ----------
    path : Path
        The ledger's file.
    config : KernelConfig
        The limits that are promised.
    cash : Decimal
        What the account began with.
    venue : Venue
        Its books.
    legit : mapping of (instrument, close in seconds) to set of rows
        Bars that the market made.
    secret : str
        What may stand in no record.

    Attributes
    ----------
    judged : Counter of str
        How often each invariant was put to the test.
    """

    def __init__(
        self,
        path: Path,
        config: KernelConfig,
        cash: Decimal,
        venue: Venue,
        legit: Mapping[tuple[str, int], set[Row]],
        secret: str,
    ) -> None:
        self._file = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        self._file.row_factory = sqlite3.Row
        self._venue, self._legit, self._secret = venue, legit, secret
        self.books = Books(cash)
        self.rules = Rules(config, self.books)
        self.violations: list[Violation] = []
        self.judged: Counter[str] = Counter()
        self.n_checks = 0
        self._read_to = dict.fromkeys((table.name for table in JOURNALS), 0)
        self._heads: dict[str, _Head] = {}
        self._outcomes: dict[str, str] = {}
        self._epoch_sent = 0
        self.log: list[str] = []
        self._timeframe = config.timeframe.step

    def close(self) -> None:
        self._file.close()

    def broken(self, invariant: str, text: str) -> None:
        """Note that an invariant does not hold."""
        self.violations.append(Violation(invariant, text))

    def check(self) -> None:
        """Judge everything that was written since the last time, and the venue's books."""
        self.n_checks += 1
        self._read_on()

    def _read_on(self) -> None:
        rows = {table.name: self._new_rows(table.name) for table in JOURNALS}
        self._check_chains(rows)
        self._check_secrets(rows)
        for row in rows["events"]:
            self._check_event(row)
        for row in rows["orders"]:
            self._check_outcome(row)
        for row in rows["fills"]:
            self._check_fill(row)
        self._check_venue()

    def sending(self, intent: Intent, price: Decimal, at: datetime, epoch: int | None) -> None:
        """Judge an order at the instant at which it leaves."""
        self._read_on()
        self.judged.update(("I1", "I3", "I4", "I6"))
        name = f"order {intent.intent_id[:8]} of {intent.instrument}"
        self._check_journalled(name, intent)
        owner = self._one("SELECT epoch FROM streams WHERE stream = 'execution'")
        if epoch != owner or (epoch or 0) < self._epoch_sent:
            self.broken("I6", f"{name} sent under epoch {epoch}, the owner's is {owner}")
        self._epoch_sent = max(self._epoch_sent, epoch or 0)
        if intent.intent_id in self._venue.placed:
            return
        wanted = self._one("SELECT wanted FROM requests ORDER BY seq DESC LIMIT 1")
        if wanted == "halted":
            self.broken("I3", f"{name} sent while a person had halted the run")
        if intent.side is Side.BUY and at - intent.decided_at > self._timeframe:
            self.broken("I4", f"{name} sent at {at}, decided at {intent.decided_at}")
        self._check_price(name, intent, price, at)
        for text in self.rules.at_the_venue(intent, price, self._venue):
            self.broken("I3", f"{name} {text}")

    def has_work(self) -> bool:
        """Say whether an intent waits to be carried out."""
        return self._one("SELECT 1 FROM outbox WHERE status = 'waiting' LIMIT 1") is not None

    def settle(self, state: State) -> None:
        """Judge a run that has had time to recover; `state` is what its owner would restore."""
        self.check()
        for table in ("intents", "orders"):
            self._check_closed(table)
        if state.open_intents:
            self.broken("I5", f"still open after recovery: {state.open_intents}")
        self.judged.update(("I2", "I5"))
        held = {book.instrument: book.quantity for book in state.books if book.quantity}
        for whose, cash, base in (
            ("events", self.books.cash, self.books.base),
            ("venue", self._venue.cash, self._venue.base),
        ):
            if (cash, {name: one for name, one in base.items() if one}) != (state.cash, held):
                self.broken("I2", f"book {state.cash} {held}, by the {whose} {cash} {base}")

    def _check_closed(self, table: str) -> None:
        left = {
            "intents": "SELECT intent_id FROM intents EXCEPT SELECT intent_id FROM orders",
            "orders": "SELECT event_id FROM orders EXCEPT SELECT event_id FROM events",
        }[table]
        for row in self._file.execute(left):
            self.broken("I5", f"{table} row {row[0]} was never closed")

    def _new_rows(self, table: str) -> list[dict[str, Any]]:
        query = f"SELECT rowid AS place, * FROM {table} WHERE rowid > ? ORDER BY rowid"
        rows = [dict(row) for row in self._file.execute(query, (self._read_to[table],))]
        for row in rows:
            self._read_to[table] = row.pop("place")
        return rows

    def _one(self, query: str, *values: str) -> Any:
        row = self._file.execute(query, values).fetchone()
        return None if row is None else row[0]

    def _check_chains(self, rows: Mapping[str, list[dict[str, Any]]]) -> None:
        linked = [(row["stream"], row["seq"], name, row) for name in rows for row in rows[name]]
        linked.sort(key=lambda one: one[:3])
        self.judged.update({"I2": len(linked), "I6": len(linked)})
        for stream, seq, name, row in linked:
            head = self._heads.setdefault(stream, _Head())
            body = {key: value for key, value in row.items() if key not in CHAIN_COLUMNS}
            follows = (seq, row["previous"]) == (head.seq + 1, head.digest)
            if not follows or row["digest"] != link(name, row, body):
                self.broken("I2", f"{name} row {seq} does not follow in the chain of {stream}")
            if row["epoch"] < head.epoch:
                self.broken("I6", f"{name} row {seq} of {stream} has an older epoch")
            self._heads[stream] = _Head(seq, row["digest"], row["epoch"])

    def _check_secrets(self, rows: Mapping[str, list[dict[str, Any]]]) -> None:
        texts = [*(f"{name} {row}" for name in rows for row in rows[name]), *self.log]
        self.judged["I7"] += len(texts)
        for text in texts:
            if self._secret in text:
                self.broken("I7", f"a secret stands in {text[:300]}")
        self.log.clear()

    def _check_event(self, row: dict[str, Any]) -> None:
        event = json.loads(row["event"])["body"]
        if event["kind"] == "bars_closed":
            self._check_bars(event)
            self.books.hear(event["bars"])
        if event["kind"] == "filled":
            self.books.fill(event["fill"])
            if self._outcomes.get(event["fill"]["intent_id"]) == "failed":
                self.broken("I2", f"{row['event_id']} heard of an order that failed")
        commands = [json.loads(text)["body"] for text in json.loads(row["commands"])]
        for text in self.rules.heard(event, commands):
            self.broken("I3", f"{row['event_id']} {text}")
        for command in commands:
            self._check_command(event, command)

    def _check_command(self, event: dict[str, Any], command: dict[str, Any]) -> None:
        if command["kind"] == "equity":
            self.judged["I2"] += 1
            told = Decimal(command["equity"]), Decimal(command["cash"])
            if told != (self.books.equity, self.books.cash):
                text = f"{self.books.equity} {self.books.cash}"
                self.broken("I2", f"equity {told} at {command['at']} is {text} by its fills")
        if command["kind"] == "trade":
            self.judged["I3"] += 1
            if command["intent"]["side"] == "buy":
                self._check_basis(event, command["intent"])

    def _check_basis(self, event: dict[str, Any], intent: dict[str, Any]) -> None:
        said = {signal["instrument"]: signal for signal in event.get("signals", ())}
        barred = {bar["instrument"] for bar in event.get("bars", ())}
        signal, name = said.get(intent["instrument"]), intent["instrument"]
        fresh = signal and signal["closed_at"] == event["at"] == intent["decided_at"]
        if not fresh or name not in barred or name in self.rules.unfit:
            self.broken("I4", f"{name} bought at {event['at']} without sound fresh data")

    def _check_bars(self, event: dict[str, Any]) -> None:
        self.judged["I4"] += len(event["bars"])
        for bar in event["bars"]:
            closed = int(datetime.fromisoformat(bar["closed_at"]).timestamp())
            numbers = tuple(bar[key] for key in ("open", "high", "low", "close", "volume"))
            versions = self._legit.get((bar["instrument"], closed), set())
            if numbers not in {version[1:] for version in versions}:
                self.broken("I4", f"heard a bar that no market made: {bar}")
            if bar["closed_at"] != event["at"]:
                self.broken("I4", f"heard {bar['closed_at']} as of {event['at']}")

    def _check_outcome(self, row: dict[str, Any]) -> None:
        self.judged["I5"] += 1
        self._outcomes[row["intent_id"]] = row["kind"]
        placed = self._venue.placed.get(row["intent_id"])
        if row["kind"] == "failed" and placed and isinstance(placed.outcome, Fill):
            self.broken("I5", f"order {row['intent_id'][:8]} was filled and is booked as failed")

    def _check_fill(self, row: dict[str, Any]) -> None:
        placed = self._venue.placed.get(row["intent_id"])
        if placed is None or not _same(row, placed):
            self.broken("I2", f"fill {row['intent_id'][:8]} is not the venue's: {row} {placed}")

    def _check_venue(self) -> None:
        if self._venue.cash < 0 or any(base < 0 for base in self._venue.base.values()):
            self.broken("I3", f"overdrawn: {self._venue.cash} {self._venue.base}")

    def _check_journalled(self, name: str, intent: Intent) -> None:
        query = "SELECT status FROM outbox WHERE intent_id = ?"
        status = self._one(query, intent.intent_id)
        if status != "waiting":
            self.broken("I1", f"{name} sent while its intent is {status or 'not journalled'}")
        kept = self._one("SELECT amount_in FROM intents WHERE intent_id = ?", intent.intent_id)
        if kept is None or Decimal(kept) != intent.amount_in:
            self.broken("I1", f"{name} asks for {intent.amount_in}, journalled was {kept}")

    def _check_price(self, name: str, intent: Intent, price: Decimal, at: datetime) -> None:
        versions = list(self._around(intent.instrument, at))
        if not versions:
            return
        lowest, highest = min(row.low for row in versions), max(row.high for row in versions)
        if intent.reason == "take_profit":  # it rested at its level, which a gap may leave behind
            lowest = 0.0
        if not lowest * 0.95 <= float(price) <= highest * 1.05:
            self.broken("I4", f"{name} meets {price}, the market was at {lowest} to {highest}")

    def _around(self, instrument: str, at: datetime) -> Iterator[Row]:
        hour = int(at.timestamp()) // 3_600 * 3_600
        for closed in range(hour - 2 * 3_600, hour + 2 * 3_600, 3_600):
            yield from self._legit.get((instrument, closed), ())


def _same(row: Mapping[str, Any], placed: Placed) -> bool:
    fill = placed.outcome
    if not isinstance(fill, Fill):
        return False
    amounts = all(Decimal(row[name]) == getattr(fill, name) for name in ("base", "quote", "gas"))
    return amounts and (row["instrument"], row["side"]) == (fill.instrument, str(fill.side))
