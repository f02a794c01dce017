"""Hard limits and what each mode lets pass."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from dexml.domain import Mode, Side
from dexml.errors import ConfigError

__all__ = ["LimitConfig", "permits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitConfig:
    """Where new risk ends; all are fractions.

    Attributes
    ----------
    value_at_risk : float
        One-day 95% VaR of the book.
    weight, volatility : float
        Largest share of equity in one instrument; largest one-day volatility of an instrument.
    disagreement, unhealthy_share : float
        Largest spread of members' probabilities; largest share of unfit instruments.
    slippage, exit_slippage : float
        How much worse than the reference price an entry or exit may fill.
    """

    value_at_risk: float = 0.05
    weight: float = 0.30
    volatility: float = 0.20
    disagreement: float = 0.90
    unhealthy_share: float = 0.75
    slippage: float = 0.02
    exit_slippage: float = 0.10

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not 0 < getattr(self, name) < 1:
                raise ConfigError(
                    f"limits.{name}", "must be in (0, 1)", getattr(self, name), "5% is 0.05."
                )


def permits(mode: Mode, position: Decimal, side: Side, base: Decimal) -> bool:
    """Say whether an order of `base` units may be sent while holding `position` units.

    In REDUCING an order passes if and only if it reduces exposure without crossing zero.

    Examples
    --------
    >>> permits(Mode.REDUCING, Decimal(2), Side.SELL, Decimal(2))
    True
    >>> permits(Mode.REDUCING, Decimal(2), Side.SELL, Decimal(3))
    False
    """
    if mode is Mode.ACTIVE:
        return True
    if mode is Mode.HALTED:
        return False
    reduces = position > 0 if side is Side.SELL else position < 0
    return reduces and base <= abs(position)
