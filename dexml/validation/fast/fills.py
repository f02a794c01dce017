"""Fills of one instrument in machine code: what a swap pays, and what the book keeps of it."""

from __future__ import annotations

import numpy as np

from dexml.domain import Reason
from dexml.validation.fast.compiled import compiled
from dexml.validation.fast.tape import N_SLIPS, Order, Tape
from dexml.validation.fast.words import Market, Rules

__all__ = ["buy", "guard", "round_trip", "sell"]

LEAST_SLIPS, LEAST_SLIPPAGE = 10, 1e-4
STOP = list(Reason).index(Reason.STOP)


@compiled
def buy(t: int, amount: float, market: Market, rules: Rules, tape: Tape) -> None:
    """Spend `amount` of quote currency at the next opening, unless it slips too far."""
    book, price, reference = tape.book[0], market.open[t + 1], market.close[t]
    base = np.floor(_swap(amount, rules) / price * rules.base_unit) / rules.base_unit
    if base < amount / reference * (1 - rules.slippage) or base <= 0:
        guard(book.cash + book.quantity * reference, rules, tape)
        return
    _slipped(1 - base * reference / amount, amount, rules, tape)
    if book.quantity == 0:
        paid = amount / base
        distance = rules.stop_atr * market.atr[t]
        profit = distance * rules.take_profit_ratio * (market.win[t] / market.loss[t])
        book.stop, book.take_profit = max(paid * 1e-6, paid - distance), paid + profit
        book.entered_at, book.best, book.paid = market.at[t] + rules.latency, paid, 0.0
    book.quantity += base
    book.paid += amount + rules.gas
    book.cash -= amount + rules.gas
    _write(t, market.at[t] + rules.latency, 1, base, amount, 0.0, tape.reason[t], tape)
    guard(book.cash + book.quantity * reference, rules, tape)


@compiled
def sell(t: int, order: Order, market: Market, rules: Rules, tape: Tape) -> None:
    """Sell all that is held, unless it slips too far."""
    book = tape.book[0]
    base, worth = book.quantity, book.quantity * order.reference
    out = np.floor(_swap(base * order.price, rules) * rules.quote_unit) / rules.quote_unit
    if out < worth * (1 - rules.exit_slippage) or out <= 0:
        guard(book.cash + base * market.close[t], rules, tape)
        return
    _slipped(1 - out / worth, worth, rules, tape)
    book.losses_in_row = book.losses_in_row + 1 if out - rules.gas < book.paid else 0.0
    book.cash += out - rules.gas
    book.quantity = 0.0
    if order.reason == STOP:
        tape.stops[np.argmin(tape.stops)] = order.at
        book.closed_until = order.at + rules.cooldown
    earned = (out - rules.gas) / book.paid - 1
    _write(t, order.at, 0, base, out, earned, order.reason, tape)
    guard(book.cash, rules, tape)


@compiled
def _slipped(realised: float, notional: float, rules: Rules, tape: Tape) -> None:
    row = tape.book[0].n_fills % N_SLIPS
    tape.slips[row, 0], tape.slips[row, 1] = realised, 1 - _swap(notional, rules) / notional


@compiled
def _write(
    t: int, at: int, buys: int, base: float, quote: float, earned: float, reason: int, tape: Tape
) -> None:
    book = tape.book[0]
    fill = tape.fills[book.n_fills]
    fill.row, fill.at, fill.buys, fill.reason = t, at, buys, reason
    fill.base, fill.quote, fill.earned = base, quote, earned
    book.n_fills += 1


@compiled
def guard(equity: float, rules: Rules, tape: Tape) -> None:
    """Buy nothing more once a trip is beyond its limit."""
    book = tape.book[0]
    daily = 1 - equity / book.day_open if book.day_open > 0 else 0.0
    fallen = 1 - equity / book.peak if book.peak > 0 else 0.0
    calm = daily <= rules.daily_loss and fallen <= rules.drawdown
    calm = calm and book.losses_in_row <= rules.consecutive_losses
    if not (calm and _slippage_ratio(tape) <= rules.slippage_ratio):
        book.reducing = 1.0


@compiled
def _slippage_ratio(tape: Tape) -> float:
    n = min(tape.book[0].n_fills, N_SLIPS)
    if n < LEAST_SLIPS:
        return 0.0
    return float(tape.slips[:n, 0].mean() / max(tape.slips[:n, 1].mean(), LEAST_SLIPPAGE))


@compiled
def round_trip(notional: float, rules: Rules) -> float:
    """Return what buying and selling again costs, as a share of `notional`."""
    return (notional - _swap(_swap(notional, rules), rules) + 2 * rules.gas) / notional


@compiled
def _swap(amount: float, rules: Rules) -> float:
    kept = amount * (1 - rules.fee)
    return kept * rules.depth / (rules.depth + kept)
