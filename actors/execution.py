"""Owner of the account: the only one that carries out intents, and only from the outbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from pydantic import TypeAdapter

from dexml.domain import Fill, Intent, Mode, Side
from dexml.errors import ActorNotReady
from dexml.events import Filled, OrderFailed
from dexml.execution.broker import Broker
from dexml.ledger import Ledger
from dexml.records import decode_event, encode

__all__ = ["ExecutionActor"]

STREAM = "execution"
EXPIRES = timedelta(minutes=12)  # a fifth of an hour's bar: what was decided on it is then old
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
            The market each order meets, and without a price it waits until it expires; None: the
            price its intent was decided at.
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
            price = _price(intent, prices, at)
            self._ledger.require_epoch(STREAM, epoch)  # right before what cannot be undone
            outcome = self._outcome(intent, price, at)
            if outcome is not None:
                self._settle(epoch, intent.intent_id, outcome, at)
        return self._unheard()

    def give_up(self, failure: OrderFailed) -> Filled | OrderFailed:
        """Close an intent so that it never will be carried out, and return what became of it.

        An order that had arrived after all, or was settled before, stays what it is.
        """
        epoch = self._require_ready()
        self._ledger.require_epoch(STREAM, epoch)
        found = self._broker.find(failure.intent_id)
        self._settle(epoch, failure.intent_id, found or failure, failure.at)
        stands = (one for one in self._unheard() if _intent_of(one) == failure.intent_id)
        return next(stands, failure)

    def _unheard(self) -> list[Filled | OrderFailed]:
        rows = self._ledger.unheard_outcomes(self._run)
        heard = (decode_event(json.dumps(row.outcome)) for row in rows)
        return [event for event in heard if isinstance(event, Filled | OrderFailed)]

    def _outcome(
        self, intent: Intent, price: Decimal | None, at: datetime
    ) -> Fill | OrderFailed | None:
        found = self._broker.find(intent.intent_id)  # the answer to it may have been lost
        if found is not None:
            return found
        refusal = self._refusal(intent, price, at)
        if refusal is not None:
            return OrderFailed(at=at, intent_id=intent.intent_id, reason=refusal)
        return None if price is None else self._broker.execute(intent, price, at)

    def _refusal(self, intent: Intent, price: Decimal | None, at: datetime) -> str | None:
        asked = self._ledger.newest_request(self._run)  # by whom the kernel may not have heard yet
        if asked is not None and asked["wanted"] == Mode.HALTED:
            return f"halted by {asked['by']}"
        if at - intent.decided_at <= EXPIRES:
            return None
        if intent.side is Side.BUY:
            return f"decided more than {EXPIRES} ago"
        return "no price to fill at" if price is None else None  # what reduces risk is never late

    def _require_ready(self) -> int:
        if self._epoch is None:
            raise ActorNotReady("execution", "must be started", "new", "Call start(epoch) first.")
        return self._epoch

    def _settle(
        self, epoch: int, intent_id: str, outcome: Fill | OrderFailed, at: datetime
    ) -> None:
        failed = isinstance(outcome, OrderFailed)
        event = outcome if isinstance(outcome, OrderFailed) else Filled(at=at, fill=outcome)
        record = json.loads(encode(event))
        kind: Literal["fill", "failed"] = "failed" if failed else "fill"
        self._ledger.commit_fill(STREAM, epoch, self._run, intent_id, record, kind)


def _price(intent: Intent, prices: Mapping[str, Decimal] | None, at: datetime) -> Decimal | None:
    if prices is not None:
        return prices.get(intent.instrument)
    # what was decided long ago was decided at a price that the market has left
    return intent.reference_price if at - intent.decided_at <= EXPIRES else None


def _intent_of(outcome: Filled | OrderFailed) -> str:
    return outcome.fill.intent_id if isinstance(outcome, Filled) else outcome.intent_id
