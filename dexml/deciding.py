"""A closed bar set: value the book, then decide every instrument that has a bar."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from dexml.accounting import ask, mark_bars, pending_buys, usual_move
from dexml.assessment import Assessment, assess, parts_for, value_at_risk, weights
from dexml.costs import round_trip_cost
from dexml.domain import Mode, Side, Signal
from dexml.errors import ConfigError
from dexml.events import (
    Action,
    Alert,
    BarsClosed,
    Command,
    Decision,
    EquityMarked,
    Reason,
    Trade,
)
from dexml.intents import buy, identity, sell_all
from dexml.risk.exits import exit_reason, trailed
from dexml.risk.limits import permits
from dexml.risk.policy import POLICIES, MarketView, Policy, Proposal
from dexml.risk.score import REFUSAL, risk_score
from dexml.risk.sizing import expected_return, kelly_fraction, volatility_damped
from dexml.state import Book, State

__all__ = ["hear_close"]


def hear_close(state: State, event: BarsClosed) -> tuple[State, list[Command]]:
    """Return the state after a close, and: alerts, the valuation, decisions and their trades."""
    state = mark_bars(state, event.bars, event.at)
    state = replace(state, peak=max(state.peak, state.equity))
    whole = assess(state)
    state, commands = _limited(state, whole, event.at)
    mark = _valued(state, whole, event.at)
    state = replace(state, mark=mark)
    state, decided = _decide_all(state, event, whole)
    return state, [*commands, mark, *decided]


def _limited(state: State, whole: Assessment, at: datetime) -> tuple[State, list[Command]]:
    limit = state.config.limits.drawdown
    if state.mode is not Mode.ACTIVE or whole.drawdown < limit:
        return state, []
    alert = Alert(
        at=at,
        severity="critical",
        subject="drawdown",
        text=f"Equity is {whole.drawdown:.1%} below its peak, the limit is {limit:.1%}: only "
        "reductions pass until trading is resumed by hand.",
    )
    return replace(state, mode=Mode.REDUCING), [alert]


def _valued(state: State, whole: Assessment, at: datetime) -> EquityMarked:
    return EquityMarked(
        at=at,
        equity=str(whole.equity),
        cash=str(state.cash),
        drawdown=whole.drawdown,
        value_at_risk=whole.value_at_risk,
        risk_score=whole.score,
        mode=state.mode,
    )


def _decide_all(state: State, event: BarsClosed, whole: Assessment) -> tuple[State, list[Command]]:
    signals = {signal.instrument: signal for signal in event.signals}
    books = [book for book in state.books if book.bar and book.bar.closed_at == event.at]
    # The strongest signal is served first while cash and limits last; names break ties.
    books.sort(key=lambda book: (-_strength(signals.get(book.instrument)), book.instrument))
    answers: list[tuple[Decision, list[Trade]]] = []
    for book in books:
        case = _case(state, book, signals.get(book.instrument), event.at, whole)
        state, decision, trades = _decide(state, case)
        answers.append((decision, trades))
    answers.sort(key=lambda answer: answer[0].instrument)
    commands: list[Command] = []
    for decision, trades in answers:
        commands += [decision, *trades]
    return state, commands


def _strength(signal: Signal | None) -> float:
    return signal.probability if signal and signal.probability is not None else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    book: Book
    at: datetime
    probability: float | None
    view: MarketView
    notional: float
    score: float


def _case(
    state: State, book: Book, signal: Signal | None, at: datetime, whole: Assessment
) -> _Case:
    config, equity = state.config, float(whole.equity)
    p = signal.probability if signal else None
    odds, move = whole.odds, usual_move(book, config)
    volatility = whole.volatilities[book.instrument]
    measured = len(state.outcomes) >= config.sizing.min_outcomes
    gross = odds.scaled(move)
    chance = 0.5 if p is None else p
    limit = min(config.limits.weight * equity, _pool_limit(state))
    fraction = kelly_fraction(chance, gross, config.sizing.kelly_cap)
    notional = min(limit, volatility_damped(fraction, equity, volatility))
    cost = round_trip_cost(max(notional, config.sizing.min_notional), config.costs)
    if measured:  # win and loss after costs, once they are measured and not assumed
        fraction = kelly_fraction(chance, odds.scaled(move, cost), config.sizing.kelly_cap)
        notional = min(limit, volatility_damped(fraction, equity, volatility))
    view = MarketView(
        probability=chance,
        expected_return=expected_return(chance, gross),
        cost=cost,
        weight=whole.weights[book.instrument],
        target_weight=notional / equity if equity > 0 else 0.0,
    )
    score = risk_score(parts_for(book, signal, state, whole))
    return _Case(book=book, at=at, probability=p, view=view, notional=notional, score=score)


def _pool_limit(state: State) -> float:
    return state.config.sizing.max_pool_share * state.config.costs.pool_depth_usd


def _decide(state: State, case: _Case) -> tuple[State, Decision, list[Trade]]:
    proposal = _allowed(state, case, _forced(state, case) or _proposed(state, case))
    state, trades = _ordered(state, case, proposal)
    book = state.book(case.book.instrument) or case.book
    if case.probability is not None:
        book = ask(book, case.at, state.config)
    decision = _decision(state, case, proposal)
    return state.having(_trailing(book, state)), decision, trades


def _trailing(book: Book, state: State) -> Book:
    held, bar = book.position, book.bar
    if held is None or bar is None:
        return book
    best = max(held.best, bar.close)
    stop = trailed(held.exits.stop, best, book.atr, state.config.exits)
    return replace(book, position=replace(held, best=best, exits=replace(held.exits, stop=stop)))


def _forced(state: State, case: _Case) -> Proposal | None:
    book = case.book
    if book.pending is not None:
        return _kept(book, Reason.PENDING)
    if book.position is None or book.bar is None:
        return None
    touched = exit_reason(book.bar.close, book.position.exits)
    age = case.at - book.position.entered_at
    if touched is None and age >= state.config.timeframe.step * state.config.exits.max_holding_bars:
        touched = Reason.TIME
    return None if touched is None else Proposal(action=Action.EXIT, reason=touched)


def _kept(book: Book, reason: Reason) -> Proposal:
    action = Action.DECLINE if book.position is None else Action.HOLD
    return Proposal(action=action, reason=reason)


def _proposed(state: State, case: _Case) -> Proposal:
    if case.probability is None:
        return _kept(case.book, Reason.DATA)
    return _policy(state)(case.view, state.config.policy)


def _policy(state: State) -> Policy:
    name = state.config.policy.name
    if name not in POLICIES:
        raise ConfigError(
            "policy.name", f"must be one of {sorted(POLICIES)}", name, "Register it by @policy."
        )
    return POLICIES[name]


def _allowed(state: State, case: _Case, proposal: Proposal) -> Proposal:
    if proposal.action in (Action.ENTER, Action.INCREASE):
        refusal = _refusal(state, case)
        return proposal if refusal is None else _kept(case.book, refusal)
    if proposal.action is Action.EXIT:
        quantity = case.book.quantity
        if not permits(state.mode, quantity, Side.SELL, quantity):
            return Proposal(action=Action.HOLD, reason=Reason.RISK)
    return proposal


def _refusal(state: State, case: _Case) -> Reason | None:
    if not case.book.healthy or case.book.n_bars <= state.config.warm_up_bars:
        return Reason.DATA
    if _protected(state, case):
        return Reason.PROTECTION
    if state.mode is not Mode.ACTIVE or case.score >= REFUSAL:
        return Reason.RISK
    wanted, least = _wanted(state, case), state.config.sizing.min_notional
    if wanted < least:
        return Reason.COST
    if min(wanted, _free_cash(state)) < least or _over_limit(state, case):
        return Reason.RISK
    return None


def _over_limit(state: State, case: _Case) -> bool:
    held = weights(state)
    held[case.book.instrument] = case.view.target_weight
    return value_at_risk(state, held) > state.config.limits.value_at_risk


def _protected(state: State, case: _Case) -> bool:
    rules, closed_until = state.config.policy, case.book.closed_until
    since = case.at - state.config.timeframe.step * rules.stop_window_bars
    n_stops = sum(stop > since for stop in state.stops)
    return n_stops >= rules.max_stops or (closed_until is not None and case.at < closed_until)


def _wanted(state: State, case: _Case) -> float:
    return case.notional - case.view.weight * float(state.equity)


def _free_cash(state: State) -> float:
    gas = 2 * state.config.costs.gas_per_swap_usd  # what is bought must also be sold
    return float(state.cash - pending_buys(state) - gas)


def _ordered(state: State, case: _Case, proposal: Proposal) -> tuple[State, list[Trade]]:
    if proposal.action in (Action.ENTER, Action.INCREASE):
        notional = min(_wanted(state, case), _free_cash(state))
        return buy(state, case.book, notional, case.at, "enter")
    if proposal.action is Action.EXIT and case.book.bar is not None:
        return sell_all(state, case.book, case.book.bar.close, case.at, proposal.reason)
    return state, []


def _decision(state: State, case: _Case, proposal: Proposal) -> Decision:
    leaves = proposal.action in (Action.EXIT, Action.DECLINE)
    return Decision(
        decision_id=identity(state.run, case.book.instrument, case.at.isoformat()),
        at=case.at,
        instrument=case.book.instrument,
        action=proposal.action,
        reason=proposal.reason,
        probability=case.probability,
        expected_return=case.view.expected_return,
        cost=case.view.cost,
        net_edge=case.view.expected_return - case.view.cost,
        target_weight=0.0 if leaves else weights(state)[case.book.instrument],
        risk_score=case.score,
    )
