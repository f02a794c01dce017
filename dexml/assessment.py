"""The book's risk at a close: equity, weights, drawdown, one-day tail, score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from math import fsum, sqrt

import numpy as np

from dexml.domain import Side, Signal, Target
from dexml.errors import DataError
from dexml.risk.gaps import per_bar, tail_with_gaps
from dexml.risk.recurrence import Floats
from dexml.risk.score import RiskParts, part, risk_score
from dexml.risk.sizing import Payoff, payoff
from dexml.state import Book, KernelConfig, State
from dexml.vitals import drawdown

__all__ = ["Assessment", "assess", "book_risk", "part_limits", "parts_for", "weight_of", "weights"]

_ON_PRICE = frozenset({Target.DIRECTION, Target.SENTIMENT, Target.MACRO})
_DIGITS = 9  # of recorded risk figures: more would tell one processor's arithmetic from another's


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assessment:
    """What is true of the whole book at one close.

    Attributes
    ----------
    returns : ndarray of shape (n_bars, n_instruments)
        Close to close, oldest first, books in their order; NaN where a bar is missing.
    weights, volatilities, moves : mapping of instrument to float
        Share of equity; one-day return standard deviation about zero; mean absolute return over the
        horizon. The last two are 0 without returns.
    odds : Payoff
        Mean win and loss so far, in units of the usual move.
    measured : mapping of part to float
        What the parts of the score were made from.
    """

    equity: Decimal
    returns: Floats
    weights: Mapping[str, float]
    volatilities: Mapping[str, float]
    moves: Mapping[str, float]
    odds: Payoff
    measured: Mapping[str, float]
    parts: RiskParts

    @property
    def value_at_risk(self) -> float:
        return self.measured["value_at_risk"]

    @property
    def score(self) -> float:
        return risk_score(self.parts)


def weights(state: State) -> dict[str, float]:
    """Return the share of equity in each instrument, open buys counted as done."""
    equity = state.equity
    return {book.instrument: weight_of(book, equity) for book in state.books}


def weight_of(book: Book, equity: Decimal) -> float:
    """Return the share of a positive equity in one instrument, an open buy counted as done."""
    return float((book.value + _buying(book)) / equity) if equity > 0 else 0.0


def _buying(book: Book) -> Decimal:
    if book.pending is None or book.pending.side is Side.SELL:
        return Decimal(0)
    return book.pending.amount_in


def book_risk(returns: Floats, held: Mapping[str, float], bars_per_day: float) -> float:
    """Return the one-day 95% VaR of these weights; 1 where too little is known of what is held.

    Parameters
    ----------
    returns : ndarray of shape (n_bars, n_instruments)
        Columns in the order of `held`.
    """
    try:
        tail = tail_with_gaps(returns, list(held.values()), bars_per_day)
    except DataError:
        return 1.0
    return round(tail.value_at_risk, _DIGITS)


def assess(state: State) -> Assessment:
    """Return the book's assessment at its latest marks."""
    held, returns = weights(state), _returns(state)
    size = per_bar(returns)
    n_days, n_ahead = state.config.bars_per_day, state.config.policy.horizon
    volatilities = dict(zip(held, np.sqrt(_means(size * size) * n_days).tolist(), strict=True))
    moves = dict(zip(held, (_means(abs(size)) * sqrt(n_ahead)).tolist(), strict=True))
    measured = {
        "volatility": fsum(held[name] * volatilities[name] for name in held),
        "value_at_risk": book_risk(returns, held, n_days),
        "drawdown": drawdown(state, state.equity),
        "concentration": max(held.values()),
        "data_health": sum(not book.healthy for book in state.books) / len(state.books),
    }
    limits = part_limits(state.config)
    return Assessment(
        equity=state.equity,
        returns=returns,
        weights=held,
        volatilities=volatilities,
        moves=moves,
        odds=payoff(state.outcomes, state.config.sizing),
        measured=measured,
        parts=RiskParts(**{name: part(value, limits[name]) for name, value in measured.items()}),
    )


def part_limits(config: KernelConfig) -> dict[str, float]:
    """Return where each part of the risk score refuses new risk, in the unit of what it measures.

    Examples
    --------
    >>> part_limits(KernelConfig())["value_at_risk"]
    0.05
    """
    limits = config.limits
    return {
        "volatility": limits.volatility,
        "value_at_risk": limits.value_at_risk,
        "drawdown": config.trips.drawdown,
        "concentration": limits.weight,
        "disagreement": limits.disagreement,
        "data_health": limits.unhealthy_share,
    }


def parts_for(book: Book, signal: Signal | None, state: State, whole: Assessment) -> RiskParts:
    """Return the score's parts for new risk in one instrument."""
    said = [p for name, p in (signal.members if signal else ()) if name in _ON_PRICE]
    spread = max(said) - min(said) if said else 0.0
    own = part(whole.volatilities[book.instrument], state.config.limits.volatility)
    return replace(
        whole.parts,
        volatility=max(own, whole.parts.volatility),
        disagreement=part(spread, state.config.limits.disagreement),
        data_health=whole.parts.data_health if book.healthy else 1.0,
    )


def _returns(state: State) -> Floats:
    n_bars = max(len(book.returns) for book in state.books)
    table = np.full((n_bars, len(state.books)), np.nan)
    for column, book in enumerate(state.books):
        if book.returns:
            table[-len(book.returns) :, column] = book.returns
    return table


def _means(sizes: Floats) -> Floats:
    """Return the mean of each column over what is there, 0 where nothing is."""
    n_seen = np.maximum(1, (~np.isnan(sizes)).sum(axis=0))
    means: Floats = np.nansum(sizes, axis=0) / n_seen
    return means
