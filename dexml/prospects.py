"""What each instrument promises at a close, and the share of equity the portfolio gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from math import isnan, nan

import numpy as np

from dexml.assessment import Assessment, parts_for
from dexml.costs import round_trip_cost
from dexml.domain import Signal
from dexml.errors import DataError
from dexml.events import Alert, BarsClosed
from dexml.risk.covariance import ledoit_wolf
from dexml.risk.gaps import tail_with_gaps, with_peers
from dexml.risk.policy import MarketView
from dexml.risk.portfolio import max_sharpe
from dexml.risk.recurrence import Floats
from dexml.risk.score import RiskParts
from dexml.risk.sizing import expected_return, kelly_fraction, volatility_damped
from dexml.state import Book, State

__all__ = ["Prospect", "is_fit", "prospects"]

_DIGITS = 6  # the last bits of a matrix product depend on the number of threads
_HAIR = 0.9999  # weights so rounded still keep together within the limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """An instrument at a close, before anything is decided.

    Attributes
    ----------
    probability : float or None
        The signal; None without one.
    portfolio_weight : float
        The most that the portfolio gives it, as a share of equity.
    notional : float
        Wanted value of the position: by Kelly, portfolio and limits, in quote currency.
    parts : RiskParts
        Of the risk score of new risk in it.
    """

    book: Book
    at: datetime
    probability: float | None
    view: MarketView
    portfolio_weight: float
    notional: float
    parts: RiskParts


def prospects(
    state: State, event: BarsClosed, whole: Assessment
) -> tuple[list[Prospect], list[Alert]]:
    """Return what the instruments with a bar promise, in the order of the books.

    An alert is returned if there is no portfolio; then nothing is bought.
    """
    signals = {signal.instrument: signal for signal in event.signals}
    books = [book for book in state.books if book.bar and book.bar.closed_at == event.at]
    drafts = [_draft(state, book, signals.get(book.instrument), event.at, whole) for book in books]
    views = {one.book.instrument: _net(one) for one in drafts if is_fit(state, one.book)}
    alerts = []
    try:
        shares = _portfolio(state, views, whole)
    except DataError as error:
        alerts = [Alert(at=event.at, severity="warning", subject="portfolio", text=str(error))]
        shares = dict.fromkeys(views, 0.0)
    return [_within(one, shares.get(one.book.instrument), whole) for one in drafts], alerts


def is_fit(state: State, book: Book) -> bool:
    """Say whether an instrument's data are good and long enough for new risk."""
    return book.healthy and book.n_bars > state.config.warm_up_bars


def _draft(
    state: State, book: Book, signal: Signal | None, at: datetime, whole: Assessment
) -> Prospect:
    config, equity, odds = state.config, float(whole.equity), whole.odds
    move, volatility = whole.moves[book.instrument], whole.volatilities[book.instrument]
    p = signal.probability if signal else None
    gross, chance = odds.scaled(move), 0.5 if p is None else p
    limit = min(config.limits.weight * equity, _pool_limit(state))
    fraction = kelly_fraction(chance, gross, config.sizing.kelly_cap)
    notional = min(limit, volatility_damped(fraction, equity, volatility))
    cost = round_trip_cost(max(notional, config.sizing.min_notional), config.costs)
    if len(state.outcomes) >= config.sizing.min_outcomes:  # measured: win and loss after costs
        fraction = kelly_fraction(chance, odds.scaled(move, cost), config.sizing.kelly_cap)
        notional = min(limit, volatility_damped(fraction, equity, volatility))
    view = MarketView(
        probability=chance,
        expected_return=expected_return(chance, gross),
        cost=cost,
        weight=whole.weights[book.instrument],
        target_weight=0.0,
    )
    return Prospect(
        book=book,
        at=at,
        probability=p,
        view=view,
        portfolio_weight=0.0,
        notional=notional,
        parts=parts_for(book, signal, state, whole),
    )


def _pool_limit(state: State) -> float:
    return state.config.sizing.max_pool_share * state.config.costs.pool_depth_usd


def _net(draft: Prospect) -> float:
    view = draft.view
    if draft.probability is None:
        return nan
    # what is held has paid to get in
    return view.expected_return if view.weight > 0 else view.expected_return - view.cost


def _within(draft: Prospect, share: float | None, whole: Assessment) -> Prospect:
    equity = float(whole.equity)
    notional = draft.notional if share is None else min(draft.notional, share * equity)
    target = notional / equity if equity > 0 else 0.0
    view = replace(draft.view, target_weight=target)
    return replace(draft, view=view, portfolio_weight=share or 0.0, notional=notional)


def _portfolio(state: State, views: Mapping[str, float], whole: Assessment) -> dict[str, float]:
    """Return the shares of equity of the largest Sharpe ratio within the limits."""
    shares = dict.fromkeys(views, 0.0)
    names = [n for n, view in views.items() if not isnan(view) and whole.volatilities[n] > 0]
    expected = np.array([views[name] for name in names])
    if not (expected > 0).any():
        return shares
    order = list(whole.weights)
    returns = whole.returns[:, [order.index(name) for name in names]]
    best = max_sharpe(
        expected,
        ledoit_wolf(with_peers(returns)).covariance,
        partial(_tail, returns, state.config.bars_per_day),
        state.config.limits.value_at_risk * _HAIR,
        state.config.limits.weight,
    )
    return shares | dict(zip(names, best.weights.round(_DIGITS).tolist(), strict=True))


def _tail(returns: Floats, bars_per_day: float, held: Floats) -> float:
    return tail_with_gaps(returns, held, bars_per_day).value_at_risk
