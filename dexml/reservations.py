"""What open orders may take of the account before it is known what they took."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import reduce

from dexml.costs import MONEY
from dexml.domain import Intent, Side
from dexml.state import State

__all__ = ["NOTHING", "Reservation", "Room", "changed", "reserved", "room"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What an intent may take at most, in quote currency; nothing once it is settled.

    Attributes
    ----------
    cash, exposure : Decimal
        Out of the account, gas included; added to what is at risk.
    """

    cash: Decimal = Decimal(0)
    exposure: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What all open intents of a run together may take, in quote currency; None: no bound."""

    cash: Decimal | None = None
    exposure: Decimal | None = None


NOTHING = Reservation()


def reserved(state: State) -> dict[str, Reservation]:
    """Return what each open intent reserves: a buy its amount, every order its gas.

    Examples
    --------
    >>> from dexml.state import KernelConfig
    >>> from dexml.system import initial_state
    >>> reserved(initial_state("r", KernelConfig(), ["BTC/USDT"], Decimal(100)))
    {}
    """
    gas = state.config.costs.gas_per_swap_usd
    return {intent.intent_id: _reservation(intent, gas) for intent in state.open_intents}


def _reservation(intent: Intent, gas: Decimal) -> Reservation:
    bought = intent.amount_in if intent.side is Side.BUY else Decimal(0)
    return Reservation(cash=MONEY.add(bought, gas), exposure=bought)


def changed(before: State, after: State) -> dict[str, Reservation]:
    """Return what intents reserve from now on, where a step changed it; `NOTHING` if settled."""
    old, new = reserved(before), reserved(after)
    settled = {intent_id: NOTHING for intent_id in old if intent_id not in new}
    return settled | {name: one for name, one in new.items() if old.get(name) != one}


def room(before: State, after: State) -> Room | None:
    """Return what open intents may take after a step; None if it opened no buy.

    Gas for a sale is never what forbids it, so a step that only sells is not bounded.
    """
    known = {intent.intent_id for intent in before.open_intents}
    opened = [one for one in after.open_intents if one.intent_id not in known]
    if not any(intent.side is Side.BUY for intent in opened):
        return None
    held = reduce(MONEY.add, (abs(book.value) for book in after.books), Decimal(0))
    gross = after.config.orders.gross_notional
    return Room(cash=after.cash, exposure=MONEY.subtract(gross, held))
