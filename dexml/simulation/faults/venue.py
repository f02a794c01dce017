"""A venue with books of its own, which the code under test cannot see: the truth about orders.

It honours the id of an order as a chain honours a nonce: the same id is carried out once, and
whoever sends it again is told what became of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal, localcontext

from dexml.costs import MONEY, CostConfig
from dexml.domain import Fill, Intent, Side
from dexml.events import OrderFailed
from dexml.execution.paper import PaperBroker
from dexml.simulation.faults.kinds import Fault

__all__ = ["Connection", "Placed", "Venue"]

_MOVED = Decimal("0.5")  # of the price remains: below the floor of any sale, and of no use to it
_PART = Decimal("0.4")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An order that reached the venue: what was sent, under which epoch, and what came of it."""

    intent: Intent
    epoch: int | None
    at: datetime
    price: Decimal
    outcome: Fill | OrderFailed


@dataclass(slots=True)
class Venue:
    """Carries out orders by the real paper broker, and keeps the books of the account.

    Attributes
    ----------
    cash, base : Decimal, dict of Decimal
        What the account holds here.
    placed : dict of intent id to Placed
        Every order, in the order in which they came.
    n_again : int
        How often an order came again.
    wish : Fault or None
        What happens to the next new order.
    """

    costs: CostConfig
    cash: Decimal
    base: dict[str, Decimal] = field(default_factory=dict)
    placed: dict[str, Placed] = field(default_factory=dict)
    n_again: int = 0
    wish: Fault | None = None
    done: list[Fault] = field(default_factory=list)

    def submit(
        self, intent: Intent, price: Decimal, at: datetime, epoch: int | None
    ) -> Fill | OrderFailed:
        """Carry out an order, or say what became of it the first time."""
        known = self.placed.get(intent.intent_id)
        if known is not None:
            self.n_again += 1
            return known.outcome
        wish, self.wish = self.wish, None
        outcome = self._carried_out(intent, price, at, wish)
        order = Placed(intent=intent, epoch=epoch, at=at, price=price, outcome=outcome)
        self.placed[intent.intent_id] = order
        if isinstance(outcome, Fill):
            self._book(outcome)
        return outcome

    def held(self, instrument: str) -> Decimal:
        """Return the base units of an instrument in the account."""
        return self.base.get(instrument, Decimal(0))

    def _carried_out(
        self, intent: Intent, price: Decimal, at: datetime, wish: Fault | None
    ) -> Fill | OrderFailed:
        broker = PaperBroker(self.costs)
        if wish is None:
            return broker.execute(intent, price, at)
        self.done.append(wish)
        if wish is Fault.ORDER_REJECTED:
            return OrderFailed(at=at, intent_id=intent.intent_id, reason="rejected by the venue")
        if wish is Fault.MARKET_MOVED:
            against = _MOVED if intent.side is Side.SELL else 1 / _MOVED
            return broker.execute(intent, price * against, at)
        with localcontext(MONEY):  # what is left of the order is cancelled
            part = replace(
                intent, amount_in=intent.amount_in * _PART, minimum_out=intent.minimum_out * _PART
            )
        return broker.execute(part, price, at)

    def _book(self, fill: Fill) -> None:
        with localcontext(MONEY):
            sign = 1 if fill.side is Side.BUY else -1
            self.cash -= sign * fill.quote + fill.gas
            self.base[fill.instrument] = self.held(fill.instrument) + sign * fill.base


class Connection:
    """One holder's line to the venue: the broker of one life of the account's owner.

    Parameters
    ----------
    struck : callable
        Told "before_send" and "after_send"; may raise what a line can raise.
    sending : callable
        Told of an order, and of the epoch of who sends it, before it leaves.
    """

    def __init__(
        self,
        venue: Venue,
        struck: Callable[[str], None],
        sending: Callable[[Intent, Decimal, datetime, int | None], None],
    ) -> None:
        self._venue, self._struck, self._sending = venue, struck, sending
        self.epoch: int | None = None

    def execute(self, intent: Intent, market_price: Decimal, at: datetime) -> Fill | OrderFailed:
        """Send an order and wait for the answer."""
        self._struck("before_send")
        self._sending(intent, market_price, at, self.epoch)
        answer = self._venue.submit(intent, market_price, at, self.epoch)
        self._struck("after_send")
        return answer

    def find(self, intent_id: str) -> Fill | OrderFailed | None:
        """Ask what became of an order."""
        placed = self._venue.placed.get(intent_id)
        return None if placed is None else placed.outcome
