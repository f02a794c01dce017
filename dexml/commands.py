"""What the decision kernel asks for and tells, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dexml.domain import Action, Intent, Mode, Reason

__all__ = ["Alert", "Decision", "EquityMarked", "Trade"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the policy decided for one instrument at one instant, and from what.

    Attributes
    ----------
    decision_id : str
        Digest of (run, instrument, instant); the same instant is decided once.
    probability : float or None
        The signal it was based on.
    expected_return, cost, net_edge : float
        Fractions of notional over the horizon: forecast, round trip at the intended size,
        difference.
    target_weight, portfolio_weight : float
        Wanted share of equity after the decision; the most that the portfolio gives it.
    risk_score : float
        In [0, 1].
    detail : str
        What stood against new risk: parts of the score, limits; empty otherwise.
    """

    kind: Literal["decision"] = "decision"
    decision_id: str
    at: datetime
    instrument: str
    action: Action
    reason: Reason
    probability: float | None
    expected_return: float
    cost: float
    net_edge: float
    target_weight: float
    risk_score: float
    portfolio_weight: float = 0.0
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """Carry out an intent."""

    kind: Literal["trade"] = "trade"
    intent: Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something a person should know."""

    kind: Literal["alert"] = "alert"
    at: datetime
    severity: Literal["info", "warning", "critical"]
    subject: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityMarked:
    """The book valued at the closes of a bar set.

    Attributes
    ----------
    equity, cash : str
        Decimal text in quote currency.
    measured : tuple of (part, value)
        What the parts of the risk score were made from (see `risk.score.parts_shown`).
    """

    kind: Literal["equity"] = "equity"
    at: datetime
    equity: str
    cash: str
    drawdown: float
    value_at_risk: float
    risk_score: float
    mode: Mode
    measured: tuple[tuple[str, float], ...] = ()
