"""A closed bar set: value the book, then decide every instrument that has a bar."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from dexml.accounting import ask, mark_bars
from dexml.assessment import Assessment, assess, weight_of
from dexml.domain import Mode
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
from dexml.gate import Refusal, admitted
from dexml.intents import identity, opened, sell_all
from dexml.prospects import Prospect, prospects
from dexml.risk.exits import exit_reason, trailed
from dexml.risk.policy import POLICIES, Policy, Proposal
from dexml.risk.score import risk_score
from dexml.state import Book, State
from dexml.vitals import day_begun, guarded

__all__ = ["hear_close"]


def hear_close(state: State, event: BarsClosed) -> tuple[State, list[Command]]:
    """Return the state after a close, and: alerts, the valuation, decisions and their trades."""
    state = mark_bars(day_begun(state, event.at), event.bars, event.at)
    state = replace(state, peak=max(state.peak, state.equity))
    whole = assess(state)
    state, alerts = guarded(state, event.at, whole.equity)
    mark = _valued(state, whole, event.at)
    found, more = prospects(replace(state, mark=mark), event, whole)
    state, decided = _decide_all(replace(state, mark=mark), found, whole)
    state, left = _leave_the_silent(state, event.at)
    return state, [*alerts, *more, mark, *decided, *left]


def _leave_the_silent(state: State, at: datetime) -> tuple[State, list[Command]]:
    """Sell what is held and has had no bar for long, delisted or not: tried once each such time."""
    commands: list[Command] = []
    for book in state.books:
        if book.position is None or book.bar is None:
            continue
        n_silent = (at - book.bar.closed_at) // state.config.timeframe.step
        if n_silent == 0 or n_silent % state.config.exits.max_silent_bars:
            continue
        text = f"{book.instrument} has had no bar for {n_silent} bars: it is sold at what is paid."
        alert = Alert(at=at, severity="critical", subject=book.instrument, text=text)
        state, trades = sell_all(state, book, book.bar.close, at, Reason.DATA)
        commands += [alert, *trades]
    return state, commands


def _valued(state: State, whole: Assessment, at: datetime) -> EquityMarked:
    return EquityMarked(
        at=at,
        equity=str(whole.equity),
        cash=str(state.cash),
        drawdown=whole.measured["drawdown"],
        value_at_risk=whole.measured["value_at_risk"],
        risk_score=whole.score,
        mode=state.mode,
        measured=tuple(whole.measured.items()),
    )


def _decide_all(
    state: State, found: list[Prospect], whole: Assessment
) -> tuple[State, list[Command]]:
    # The strongest signal is served first while cash and limits last; names break ties.
    found = sorted(found, key=lambda one: (-(one.probability or 0.0), one.book.instrument))
    answers: list[tuple[Decision, list[Trade]]] = []
    for one in found:
        state, decision, trades = _decide(state, one, whole)
        answers.append((decision, trades))
    answers.sort(key=lambda answer: answer[0].instrument)
    commands: list[Command] = []
    for decision, trades in answers:
        commands += [decision, *trades]
    return state, commands


def _decide(state: State, one: Prospect, whole: Assessment) -> tuple[State, Decision, list[Trade]]:
    proposal = _forced(state, one) or _proposed(state, one)
    state, answer = _carried_out(state, one, proposal, whole)
    book = state.book(one.book.instrument) or one.book
    if one.probability is not None:
        book = ask(book, one.at, whole.moves[book.instrument], state.config)
    decision = _decision(state.run, one, book, answer, whole)
    return state.having(_trailing(book, state)), decision, answer.trades


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    action: Action
    reason: Reason
    detail: str = ""
    trades: list[Trade] = field(default_factory=list)


def _carried_out(
    state: State, one: Prospect, proposal: Proposal, whole: Assessment
) -> tuple[State, _Answer]:
    action, reason = proposal.action, proposal.reason
    if action in (Action.ENTER, Action.INCREASE):
        found = admitted(state, one, whole)
        if isinstance(found, Refusal):
            kept = _kept(one.book, found.reason)
            return state, _Answer(action=kept.action, reason=kept.reason, detail=found.detail)
        state, trades = opened(state, one.book, found)
        return state, _Answer(action=action, reason=reason, trades=trades)
    if action is Action.EXIT and one.book.bar is not None:
        if state.mode is Mode.HALTED:
            return state, _Answer(action=Action.HOLD, reason=Reason.MODE, detail=str(state.mode))
        state, trades = sell_all(state, one.book, one.book.bar.close, one.at, reason)
        return state, _Answer(action=action, reason=reason, trades=trades)
    return state, _Answer(action=action, reason=reason)


def _trailing(book: Book, state: State) -> Book:
    held, bar = book.position, book.bar
    if held is None or bar is None:
        return book
    best = max(held.best, bar.close)
    stop = trailed(held.exits.stop, best, book.atr, state.config.exits)
    return replace(book, position=replace(held, best=best, exits=replace(held.exits, stop=stop)))


def _forced(state: State, one: Prospect) -> Proposal | None:
    book = one.book
    if book.pending is not None:
        return _kept(book, Reason.PENDING)
    if book.position is None or book.bar is None:
        return None
    if state.closing:  # what could not be sold when it was asked for, or was bought since
        return Proposal(action=Action.EXIT, reason=Reason.REQUEST)
    touched = exit_reason(book.bar.close, book.position.exits)
    age = one.at - book.position.entered_at
    if touched is None and age >= state.config.timeframe.step * state.config.exits.max_holding_bars:
        touched = Reason.TIME
    return None if touched is None else Proposal(action=Action.EXIT, reason=touched)


def _kept(book: Book, reason: Reason) -> Proposal:
    action = Action.DECLINE if book.position is None else Action.HOLD
    return Proposal(action=action, reason=reason)


def _proposed(state: State, one: Prospect) -> Proposal:
    if one.probability is None:
        return _kept(one.book, Reason.DATA)
    return _policy(state)(one.view, state.config.policy)


def _policy(state: State) -> Policy:
    name = state.config.policy.name
    if name not in POLICIES:
        raise ConfigError(
            "policy.name", f"must be one of {sorted(POLICIES)}", name, "Register it by @policy."
        )
    return POLICIES[name]


def _decision(run: str, one: Prospect, book: Book, answer: _Answer, whole: Assessment) -> Decision:
    leaves = answer.action in (Action.EXIT, Action.DECLINE)
    return Decision(
        decision_id=identity(run, book.instrument, one.at.isoformat()),
        at=one.at,
        instrument=book.instrument,
        action=answer.action,
        reason=answer.reason,
        detail=answer.detail,
        probability=one.probability,
        expected_return=one.view.expected_return,
        cost=one.view.cost,
        net_edge=one.view.expected_return - one.view.cost,
        target_weight=0.0 if leaves else weight_of(book, whole.equity),
        portfolio_weight=one.portfolio_weight,
        risk_score=risk_score(one.parts),
    )
