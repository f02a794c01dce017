"""From a forecast to a fill, as frozen messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from dexml.domain.words import Side, Target
from dexml.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Calibrated probability of one target for one instrument, made at a bar's close.

    Attributes
    ----------
    probability : float or None
        In (0, 1); None when the model has no inputs or failed.
    model : str
        Digest of the model version.
    """

    instrument: str
    closed_at: datetime
    target: Target
    probability: float | None
    model: str

    def __post_init__(self) -> None:
        _check_probability(f"{self.target} forecast of {self.instrument}", self.probability)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """The ensemble's word on an instrument at a bar's close.

    Attributes
    ----------
    probability : float or None
        Calibrated probability that the price is higher after `horizon` bars; None: no signal.
    members : tuple of (target, probability)
        What the members said, sorted by name; a member that failed is absent.
    """

    instrument: str
    closed_at: datetime
    probability: float | None
    members: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        _check_probability(f"signal of {self.instrument}", self.probability)


def _check_probability(subject: str, probability: float | None) -> None:
    if probability is not None and not 0 < probability < 1:
        raise DataError(
            subject, "must be a probability in (0, 1)", probability, "Clip it or send none."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A decision to trade, journalled before anything is sent. Swaps are exact-input.

    Attributes
    ----------
    intent_id : str
        Digest of what decided it; the same decision always has the same id.
    amount_in : Decimal
        Quote currency for a buy, base currency for a sell; positive.
    minimum_out : Decimal
        Slippage floor in the other currency; positive.
    reference_price : Decimal
        Quote per base at which the kernel saw the market.
    reason : str
        Why, in one word: "enter", "exit", "stop", "take_profit", "time".
    """

    intent_id: str
    instrument: str
    side: Side
    amount_in: Decimal
    minimum_out: Decimal
    reference_price: Decimal
    reason: str
    decided_at: datetime

    def __post_init__(self) -> None:
        for name in ("amount_in", "minimum_out", "reference_price"):
            value = getattr(self, name)
            if not value.is_finite() or value <= 0:
                raise DataError(f"intent {name}", "must be positive", value, "Do not trade dust.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """What a swap really did.

    Attributes
    ----------
    base, quote : Decimal
        Amounts that moved, both positive; quote includes the pool fee.
    gas : Decimal
        Network cost in quote currency, at least 0; paid on top.
    """

    intent_id: str
    instrument: str
    side: Side
    base: Decimal
    quote: Decimal
    gas: Decimal
    filled_at: datetime

    def __post_init__(self) -> None:
        for name in ("base", "quote"):
            if getattr(self, name) <= 0:
                raise DataError(
                    f"fill {name}", "must be positive", getattr(self, name), "Read it again."
                )
        if self.gas < 0:
            raise DataError("fill gas", "must be at least 0", self.gas, "Read the receipt again.")

    @property
    def price(self) -> Decimal:
        return self.quote / self.base
