"""Owner of the account: the only one that carries out intents, and only from the outbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import TypeAdapter

from dexml.domain import Fill, Intent, Mode
from dexml.errors import ActorNotReady
from dexml.events import Filled, OrderFailed
from dexml.execution.broker import Broker
from dexml.ledger import Ledger
from dexml.records import decode_event, encode

__all__ = ["ExecutionActor"]

STREAM = "execution"
_INTENT = TypeAdapter(Intent)


class ExecutionActor:
    """Works through committed intents; each is carried out once, whatever is repeated.

    The outcome of an intent is committed under the intent's id, so a repeated call finds nothing
    left to do and returns the outcomes that risk has not heard yet.
    """

    def __init__(self, run: str, database_url: str, broker: Broker) -> None:
        self._run = run
        self._database_url = database_url
        self._broker = broker
        self._epoch: int | None = None
        self._ledger: Ledger

    def health(self) -> dict[str, Any]:
        """Say whether the actor is started."""
        return {"ready": self._epoch is not None}

    def start(self, epoch: int) -> None:
        """Own the account under `epoch` from now on; raises StaleEpoch if a newer owner has it."""
        self._epoch = None
        self._ledger = Ledger.open(self._database_url)
        self._ledger.require_epoch(STREAM, epoch)
        self._epoch = epoch

    def work(
        self, prices: Mapping[str, Decimal] | None, at: datetime
    ) -> list[Filled | OrderFailed]:
        """Carry out the pending intents and return all outcomes that risk has not heard.

        Parameters
        ----------
        prices : mapping of instrument to Decimal, or None
            The market each order meets, and without a price it waits; None: the price its intent
            was decided at.
        at : datetime
            When the orders reach the market.

        Raises
        ------
        ActorNotReady
            Before `start`.
        StaleEpoch
            If a newer owner has taken over; nothing more was sent.
        """
        epoch = self._require_ready()
        for row in self._ledger.outbox(self._run):
            intent = _INTENT.validate_json(row.intent)
            price = intent.reference_price if prices is None else prices.get(intent.instrument)
            if price is not None:
                self._ledger.require_epoch(STREAM, epoch)  # right before what cannot be undone
                self._settle(epoch, intent, self._sent(intent, price, at), at)
        rows = self._ledger.unheard_outcomes(self._run)
        heard = (decode_event(json.dumps(row.outcome)) for row in rows)
        return [event for event in heard if isinstance(event, Filled | OrderFailed)]

    def _sent(self, intent: Intent, price: Decimal, at: datetime) -> Fill | OrderFailed:
        asked = self._ledger.newest_request(self._run)  # by whom the kernel may not have heard yet
        if asked is not None and asked["wanted"] == Mode.HALTED:
            reason = f"halted by {asked['by']}"
            return OrderFailed(at=at, intent_id=intent.intent_id, reason=reason)
        return self._broker.execute(intent, price, at)

    def give_up(self, failure: OrderFailed) -> None:
        """Close an intent that certainly was not carried out, so that it never will be."""
        epoch = self._require_ready()
        record = json.loads(encode(failure))
        self._ledger.commit_fill(STREAM, epoch, self._run, failure.intent_id, record, "failed")

    def _require_ready(self) -> int:
        if self._epoch is None:
            raise ActorNotReady("execution", "must be started", "new", "Call start(epoch) first.")
        return self._epoch

    def _settle(
        self, epoch: int, intent: Intent, outcome: Fill | OrderFailed, at: datetime
    ) -> None:
        failed = isinstance(outcome, OrderFailed)
        event = outcome if isinstance(outcome, OrderFailed) else Filled(at=at, fill=outcome)
        record = json.loads(encode(event))
        kind: Literal["fill", "failed"] = "failed" if failed else "fill"
        self._ledger.commit_fill(STREAM, epoch, self._run, intent.intent_id, record, kind)
