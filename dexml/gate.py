"""What stands between a wish to buy and an order: data, protections, mode, score, limits, cash."""

from __future__ import annotations

from dataclasses import asdict
from math import fsum
from typing import NamedTuple

from dexml.accounting import pending_buys
from dexml.assessment import Assessment, book_risk, weights
from dexml.desk import buying_room, desk_of, order_of
from dexml.domain import Intent, Mode
from dexml.events import Reason
from dexml.intents import buy_intent
from dexml.prospects import Prospect, is_fit
from dexml.risk.orders import breaches
from dexml.risk.score import REFUSAL, risk_score
from dexml.state import State

__all__ = ["Refusal", "admitted"]


class Refusal(NamedTuple):
    """Why nothing is bought, and what exactly stood against it."""

    reason: Reason
    detail: str = ""


def admitted(state: State, one: Prospect, whole: Assessment) -> Intent | Refusal:
    """Return the buy that everything lets pass, made smaller where a limit leaves less."""
    refusal = _unsuitable(state, one)
    if refusal is not None:
        return refusal
    least = state.config.sizing.min_notional
    wanted = one.notional - one.view.weight * float(whole.equity)
    if wanted < least:
        return Refusal(Reason.COST, "too small")
    (room, limit), cash = buying_room(state, one.book), _free_cash(state)
    if room < least:
        return Refusal(Reason.LIMIT, limit)
    if cash < least:
        return Refusal(Reason.CASH)
    intent = buy_intent(state, one.book, min(wanted, room, cash), one.at, "enter")
    if intent is None:
        return Refusal(Reason.COST, "too small")
    return _beyond(state, one, intent, whole) or intent


def _unsuitable(state: State, one: Prospect) -> Refusal | None:
    if not is_fit(state, one.book):
        return Refusal(Reason.DATA, "health" if not one.book.healthy else "warm-up")
    guard = _protection(state, one)
    if guard is not None:
        return Refusal(Reason.PROTECTION, guard)
    if state.mode is not Mode.ACTIVE:
        return Refusal(Reason.MODE, str(state.mode))
    if risk_score(one.parts) >= REFUSAL:
        parts = asdict(one.parts)
        alone = [name for name, value in parts.items() if value >= REFUSAL]
        together = [name for name, value in parts.items() if value > 0]
        return Refusal(Reason.RISK, ", ".join(alone or together))
    return None


def _protection(state: State, one: Prospect) -> str | None:
    rules, step = state.config.policy, state.config.timeframe.step
    since = one.at - step * rules.stop_window_bars
    if sum(stop > since for stop in state.stops) >= rules.max_stops:
        return "stops"
    closed_until = one.book.closed_until
    if closed_until is not None and one.at < closed_until:
        return "cooldown"
    since = one.at - step * rules.low_profit_window_bars
    earned = [gain.earned for gain in one.book.gains if gain.at > since]
    poor = len(earned) >= rules.low_profit_trades and fsum(earned) < rules.least_profit
    return "low profit" if poor else None


def _free_cash(state: State) -> float:
    gas = 2 * state.config.costs.gas_per_swap_usd  # what is bought must also be sold
    return float(state.cash - pending_buys(state) - gas)


def _beyond(state: State, one: Prospect, intent: Intent, whole: Assessment) -> Refusal | None:
    config = state.config
    broken = breaches(order_of(intent), desk_of(state), state.mode, config.orders, one.at)
    if broken:
        return Refusal(Reason.LIMIT, ", ".join(broken))
    held = weights(state)
    held[one.book.instrument] += float(intent.amount_in / whole.equity)
    tail = book_risk(whole.returns, held, config.bars_per_day)
    if tail > config.limits.value_at_risk:
        return Refusal(Reason.RISK, "value_at_risk")
    return None
