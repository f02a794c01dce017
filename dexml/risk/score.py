"""One number for all risk: any documented part at its limit refuses new risk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import inf, isnan, log1p, prod

from dexml.errors import ConfigError, DataError

__all__ = ["REFUSAL", "PartShown", "RiskParts", "part", "parts_shown", "risk_score"]

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

    A value that is not known (NaN) is the worst there is.

    Examples
    --------
    >>> part(0.05, limit=0.05), round(part(0.025, limit=0.05), 3)
    (0.7, 0.044)
    """
    if not limit > 0:
        raise ConfigError("risk limit", "must be positive", limit, "Set it in dexml.toml.")
    if isnan(value):
        return 1.0
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PartShown:
    """One part of the score, with what it was made of.

    Attributes
    ----------
    value, limit : float
        What was measured, and where new risk ends, in the same unit.
    part : float
        In [0, 1]; 0.7 at the limit.
    share : float
        Of the score: ln(1 - part) over the sum of all; the shares add up to 1, or are all 0.
    """

    name: str
    value: float
    limit: float
    part: float
    share: float

    @property
    def refuses(self) -> bool:
        return self.part >= REFUSAL


def parts_shown(
    values: Mapping[str, float], limits: Mapping[str, float]
) -> tuple[float, tuple[PartShown, ...]]:
    """Return the score and every part of it, the one that weighs most first.

    Parameters
    ----------
    values, limits : mapping of part to float
        By the names of `RiskParts`; a part without a value counts as 0, NaN as the worst.

    Raises
    ------
    DataError
        If a name is no part of the score, or a value has no limit.
    ConfigError
        If a limit is not positive.

    Examples
    --------
    >>> score, shown = parts_shown({"drawdown": 0.15, "volatility": 0.02},
    ...                            {"drawdown": 0.15, "volatility": 0.2})
    >>> round(score, 4), [(one.name, round(one.share, 4)) for one in shown]
    (0.7, [('drawdown', 0.9999), ('volatility', 0.0001)])
    """
    known = {field.name for field in fields(RiskParts)}
    for name in values:
        if name not in known or name not in limits:
            rule = f"must be one of {sorted(known)} and have a limit"
            raise DataError("part of the risk score", rule, name, "See RiskParts.")
    parts = {name: part(value, limits[name]) for name, value in values.items()}
    weights = _shares(parts)
    shown = [
        PartShown(name=name, value=value, limit=limits[name], part=parts[name], share=weights[name])
        for name, value in values.items()
    ]
    shown.sort(key=lambda one: (-one.share, one.name))
    return risk_score(RiskParts(**parts)), tuple(shown)


def _shares(parts: Mapping[str, float]) -> dict[str, float]:
    weights = {name: -log1p(-value) if value < 1 else inf for name, value in parts.items()}
    if inf in weights.values():  # parts that alone say 1 share the score among themselves
        weights = {name: float(weight == inf) for name, weight in weights.items()}
    total = sum(weights.values())
    return {name: weight / total if total > 0 else 0.0 for name, weight in weights.items()}
