"""The book's risk at a close: equity, weights, drawdown, one-day tail, score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import fsum

from dexml.accounting import daily_volatility
from dexml.domain import Side, Signal, Target
from dexml.risk.score import RiskParts, part, risk_score
from dexml.risk.sizing import Payoff, payoff
from dexml.risk.tail import tail_risk
from dexml.state import Book, State

__all__ = ["Assessment", "assess", "drawdown", "parts_for", "value_at_risk", "weights"]

_ON_PRICE = frozenset({Target.DIRECTION, Target.SENTIMENT, Target.MACRO})


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What is true of the whole book at one close.

    Attributes
    ----------
    weights, volatilities : mapping of instrument to float
        Share of equity; one-day return standard deviation.
    odds : Payoff
        Mean win and loss so far, in units of the usual move.
    """

    equity: Decimal
    drawdown: float
    value_at_risk: float
    weights: Mapping[str, float]
    volatilities: Mapping[str, float]
    odds: Payoff
    parts: RiskParts

    @property
    def score(self) -> float:
        return risk_score(self.parts)


def weights(state: State) -> dict[str, float]:
    """Return the share of equity in each instrument, open buys counted as done."""
    equity = state.equity
    if equity <= 0:
        return {book.instrument: 0.0 for book in state.books}
    return {book.instrument: float((book.value + _buying(book)) / equity) for book in state.books}


def _buying(book: Book) -> Decimal:
    if book.pending is None or book.pending.side is Side.SELL:
        return Decimal(0)
    return book.pending.amount_in


def drawdown(state: State) -> float:
    """Return the loss from the equity peak as a fraction, at least 0."""
    if state.peak <= 0:
        return 0.0
    return max(0.0, float(1 - state.equity / state.peak))


def value_at_risk(state: State, held: Mapping[str, float]) -> float:
    """Return the one-day 95% VaR of these weights, from the instruments' aligned returns."""
    active = [book for book in state.books if held[book.instrument] > 0]
    n_common = min((len(book.returns) for book in active), default=0)
    if n_common < 20:  # no entry happens before the warm-up; see KernelConfig
        return 0.0
    earned = [0.0] * n_common
    for book in active:
        weight, column = held[book.instrument], book.returns[-n_common:]
        earned = [sum_ + weight * value for sum_, value in zip(earned, column, strict=True)]
    return tail_risk(earned, state.config.bars_per_day).value_at_risk


def assess(state: State) -> Assessment:
    """Return the book's assessment at its latest marks."""
    limits, held = state.config.limits, weights(state)
    lost, tail = drawdown(state), value_at_risk(state, held)
    volatilities = {b.instrument: daily_volatility(b, state.config) for b in state.books}
    moving = fsum(held[name] * volatilities[name] for name in held)
    unfit = sum(not book.healthy for book in state.books) / len(state.books)
    parts = RiskParts(
        volatility=part(moving, limits.volatility),
        value_at_risk=part(tail, limits.value_at_risk),
        drawdown=part(lost, limits.drawdown),
        concentration=part(max(held.values()), limits.weight),
        data_health=part(unfit, limits.unhealthy_share),
    )
    return Assessment(
        equity=state.equity,
        drawdown=lost,
        value_at_risk=tail,
        weights=held,
        volatilities=volatilities,
        odds=payoff(state.outcomes, state.config.sizing),
        parts=parts,
    )


def parts_for(book: Book, signal: Signal | None, state: State, whole: Assessment) -> RiskParts:
    """Return the score's parts for new risk in one instrument."""
    limits = state.config.limits
    said = [p for name, p in (signal.members if signal else ()) if name in _ON_PRICE]
    spread = max(said) - min(said) if said else 0.0
    own = part(whole.volatilities[book.instrument], limits.volatility)
    return RiskParts(
        volatility=max(own, whole.parts.volatility),
        value_at_risk=whole.parts.value_at_risk,
        drawdown=whole.parts.drawdown,
        concentration=whole.parts.concentration,
        disagreement=part(spread, limits.disagreement),
        data_health=whole.parts.data_health if book.healthy else 1.0,
    )
