"""The port through which orders leave."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Protocol

from dexml.domain import Fill, Intent
from dexml.events import OrderFailed

__all__ = ["Broker"]


class Broker(Protocol):
    """Whoever can carry out an intent and say exactly what happened."""

    def execute(self, intent: Intent, market_price: Decimal, at: datetime) -> Fill | OrderFailed:
        """Carry out `intent` while the market is at `market_price` (quote per base)."""
        ...

    def find(self, intent_id: str) -> Fill | OrderFailed | None:
        """Say what became of an order that may have been sent; None if it never arrived."""
        ...
