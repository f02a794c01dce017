"""The account as the ledger's events tell it, added up without the code under test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext
from typing import Any

__all__ = ["Books"]

_EXACT = Context(prec=60)


@dataclass(slots=True)
class Books:
    """Cash, base tokens and last closes, exact.

    Examples
    --------
    >>> books = Books(Decimal(100))
    >>> fill = {"instrument": "BTC/USDT", "side": "buy", "base": "2", "quote": "60", "gas": "1"}
    >>> books.fill(fill)
    >>> books.hear([{"instrument": "BTC/USDT", "close": 25.0}])
    >>> books.cash, books.equity
    (Decimal('39'), Decimal('89.0'))
    """

    cash: Decimal
    base: dict[str, Decimal] = field(default_factory=dict)
    closes: dict[str, Decimal] = field(default_factory=dict)

    @property
    def equity(self) -> Decimal:
        """Cash and positions at the last closes."""
        return self.worth(self.closes)

    def worth(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Return cash and positions at these marks."""
        with localcontext(_EXACT):
            values = (base * marks[name] for name, base in self.base.items() if base)
            return sum(values, self.cash)

    def held(self, instrument: str) -> Decimal:
        """Return the base units of an instrument."""
        return self.base.get(instrument, Decimal(0))

    def value(self, instrument: str) -> Decimal:
        """Return what is held of an instrument, at its last close."""
        with localcontext(_EXACT):
            return self.held(instrument) * self.closes.get(instrument, Decimal(0))

    def hear(self, bars: list[dict[str, Any]]) -> None:
        """Take the closes of a bar set."""
        for bar in bars:
            self.closes[bar["instrument"]] = Decimal(repr(bar["close"]))

    def fill(self, fill: Mapping[str, Any]) -> None:
        """Move what a fill moved."""
        name = fill["instrument"]
        with localcontext(_EXACT):
            base, quote, gas = (Decimal(fill[key]) for key in ("base", "quote", "gas"))
            sign = 1 if fill["side"] == "buy" else -1
            self.cash -= sign * quote + gas
            self.base[name] = self.held(name) + sign * base
