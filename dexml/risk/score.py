"""One number for all risk: any documented part at its limit refuses new risk."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from dexml.errors import ConfigError

__all__ = ["REFUSAL", "RiskParts", "part", "risk_score"]

REFUSAL = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskParts:
    """The parts of the score, each in [0, 1].

    Attributes
    ----------
    volatility : float
        One-day volatility against its limit.
    value_at_risk : float
        One-day 95% VaR of the book against its limit.
    drawdown : float
        Loss from the equity peak against its limit.
    concentration : float
        Largest weight against its limit.
    disagreement : float
        Spread of the members' probabilities against its limit.
    data_health : float
        Share of unfit instruments against its limit.
    """

    volatility: float = 0.0
    value_at_risk: float = 0.0
    drawdown: float = 0.0
    concentration: float = 0.0
    disagreement: float = 0.0
    data_health: float = 0.0

    def values(self) -> tuple[float, ...]:
        return (
            self.volatility,
            self.value_at_risk,
            self.drawdown,
            self.concentration,
            self.disagreement,
            self.data_health,
        )


def part(value: float, limit: float) -> float:
    """Return 0.7 * (value / limit)^4, at most 1: quiet at half the limit, refusing at it.

    Examples
    --------
    >>> part(0.05, limit=0.05), round(part(0.025, limit=0.05), 3)
    (0.7, 0.044)
    """
    if not limit > 0:
        raise ConfigError("risk limit", "must be positive", limit, "Set it in dexml.toml.")
    use = max(0.0, value) / limit
    return 1.0 if use > 2 else min(1.0, REFUSAL * (use * use) * (use * use))


def risk_score(parts: RiskParts) -> float:
    """Return 1 - prod(1 - s_i), at least the largest part.

    Examples
    --------
    >>> risk_score(RiskParts(volatility=0.7))
    0.7
    """
    values = parts.values()
    return min(1.0, max(max(values), 1 - prod(1 - value for value in values)))
