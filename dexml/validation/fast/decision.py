"""The decision step of one instrument in machine code: prices, then the close, as `system.step`."""

from __future__ import annotations

from typing import Any

import numpy as np

from dexml.validation.fast.compiled import compiled
from dexml.validation.fast.fills import buy, guard, round_trip, sell
from dexml.validation.fast.tape import Order, Tape
from dexml.validation.fast.words import ACTIONS, REASONS, Market, Rules

__all__ = ["decide_all"]

HAIR_VAR, HAIR_ROOM, REFUSAL, DAY_US = 0.9999, 0.999999, 0.7, 86_400_000_000
ENTER, INCREASE, HOLD, EXIT, DECLINE = ACTIONS
EDGE, BAND, COST, ABSTAIN, RISK, PORTFOLIO, LIMIT, CASH, MODE, DATA, PROTECTION = REASONS[:11]
STOP, TAKE_PROFIT, TIME, NOTHING = REASONS[12], REASONS[13], REASONS[14], -1
NO_SHARE = (DECLINE, PORTFOLIO)


@compiled
def decide_all(market: Market, rules: Rules, tape: Tape) -> None:
    """Live through every bar: the low, the high, the close, and the fill at the next opening."""
    for t in range(len(market.at)):
        if tape.book[0].quantity > 0:
            _prices(t, market, rules, tape)
        _close(t, market, rules, tape)


# Worst first: a bar that touches both levels is taken to have touched the stop.
@compiled
def _prices(t: int, market: Market, rules: Rules, tape: Tape) -> None:
    book, opened_at = tape.book[0], market.at[t] - rules.step
    for phase in range(2):
        price = market.low[t] if phase == 0 else market.high[t]
        touched = _touched(book, price)
        if touched == NOTHING:
            book.best = max(book.best, price)
            continue
        level = book.take_profit if touched == TAKE_PROFIT else price
        at = opened_at + rules.step * (phase + 1) // 3
        sell(t - 1, Order(at, level, level, touched), market, rules, tape)
        if book.quantity == 0:
            return


@compiled
def _touched(book: Any, price: float) -> int:
    if price <= book.stop:
        return STOP
    return TAKE_PROFIT if price >= book.take_profit else NOTHING


@compiled
def _close(t: int, market: Market, rules: Rules, tape: Tape) -> None:
    book, price = tape.book[0], market.close[t]
    day = (market.at[t] - 1) // DAY_US
    if day > book.day:
        before = market.close[t - 1] if t > 0 else 0.0
        book.day, book.day_open = day, book.cash + book.quantity * before
    equity = book.cash + book.quantity * price
    tape.equity[t] = equity
    book.peak = max(book.peak, equity)
    guard(equity, rules, tape)
    action, reason = _wanted(t, equity, market, rules, tape)
    amount = 0.0
    if action in (ENTER, INCREASE):
        refused, amount = _admitted(t, equity, market, rules, tape)
        if refused != NOTHING:
            action, reason = HOLD if book.quantity > 0 else DECLINE, refused
    tape.action[t], tape.reason[t] = action, reason
    if book.quantity > 0:
        book.best = max(book.best, price)
        book.stop = max(book.stop, book.best - rules.stop_atr * market.atr[t])
    _carry_out(t, amount, market, rules, tape)


@compiled
def _carry_out(t: int, amount: float, market: Market, rules: Rules, tape: Tape) -> None:
    action, filled_at = tape.action[t], market.at[t] + rules.latency
    if action not in (ENTER, INCREASE, EXIT):
        return
    book, price = tape.book[0], market.close[t]
    if t + 1 == len(market.at) or market.at[t + 1] != market.at[t] + rules.step:
        guard(book.cash + book.quantity * price, rules, tape)  # over a hole nothing is filled
    elif action == EXIT:
        order = Order(filled_at, market.open[t + 1], price, tape.reason[t])
        sell(t, order, market, rules, tape)
    else:
        buy(t, amount, market, rules, tape)


@compiled
def _wanted(t: int, equity: float, market: Market, rules: Rules, tape: Tape) -> tuple[int, int]:
    held = tape.book[0].quantity > 0
    touched = _forced(t, market, rules, tape) if held else NOTHING
    if touched != NOTHING:
        return EXIT, touched
    if np.isnan(market.probability[t]):
        return (HOLD if held else DECLINE), DATA
    if held:
        return _wanted_of_held(t, equity, market, rules, tape)
    notional, cost = _sized(t, equity, market, rules)
    net = market.expected[t] - cost
    if abs(market.probability[t] - 0.5) < rules.abstain_band or market.expected[t] <= 0:
        return DECLINE, ABSTAIN
    if net < rules.min_edge:
        return DECLINE, COST
    return (ENTER, EDGE) if _within(t, equity, notional, net, market, rules) > 0 else NO_SHARE


@compiled
def _forced(t: int, market: Market, rules: Rules, tape: Tape) -> int:
    touched = _touched(tape.book[0], market.close[t])
    if touched == NOTHING and market.at[t] - tape.book[0].entered_at >= rules.holding:
        return TIME
    return touched


@compiled
def _wanted_of_held(
    t: int, equity: float, market: Market, rules: Rules, tape: Tape
) -> tuple[int, int]:
    expected = market.expected[t]
    if expected < -rules.no_trade_band:
        return EXIT, EDGE
    notional, cost = _sized(t, equity, market, rules)
    if expected - cost >= rules.min_edge:
        weight = tape.book[0].quantity * market.close[t] / equity
        target = _within(t, equity, notional, expected, market, rules) / equity
        if target - weight > rules.rebalance_band:
            return INCREASE, EDGE
    return HOLD, BAND


@compiled
def _sized(t: int, equity: float, market: Market, rules: Rules) -> tuple[float, float]:
    most = min(rules.weight_limit * equity, rules.pool_limit)
    damping = equity / (1 + 10 * market.volatility[t])
    notional = min(most, market.fraction[t] * damping)
    cost = round_trip(max(notional, rules.min_notional), rules)
    if market.measured[t]:  # win and loss after costs
        p, move = market.probability[t], market.move[t]
        win, loss = market.win[t] * move - cost, market.loss[t] * move + cost
        kelly = (p * win - (1 - p) * loss) / win if win > 0 else 0.0
        notional = min(most, min(rules.kelly_cap, max(0.0, kelly)) * damping)
    return notional, cost


@compiled
def _within(
    t: int, equity: float, notional: float, net: float, market: Market, rules: Rules
) -> float:
    if t < rules.warm_up:
        return notional
    if not (net > 0 and market.volatility[t] > 0):
        return 0.0
    tail = market.tail[t]
    share = min(rules.weight_limit, 1.0)
    if tail > 0:
        share = min(share, rules.var_limit * HAIR_VAR / tail)
    return float(min(notional, np.rint(share * 1e6) / 1e6 * equity))


@compiled
def _admitted(t: int, equity: float, market: Market, rules: Rules, tape: Tape) -> tuple[int, float]:
    book, price = tape.book[0], market.close[t]
    weight = book.quantity * price / equity if equity > 0 else 0.0
    refused = _unsuitable(t, weight, market, rules, tape)
    if refused != NOTHING:
        return refused, 0.0
    notional, cost = _sized(t, equity, market, rules)
    net = market.expected[t] - (0.0 if book.quantity > 0 else cost)
    wanted = _within(t, equity, notional, net, market, rules) - weight * equity
    if wanted < rules.min_notional:
        return COST, 0.0
    held = book.quantity * price
    room = min(rules.instrument_notional, rules.gross_notional) - held
    room = max(0.0, min(rules.order_notional * (1 - rules.slippage), room) * HAIR_ROOM)
    free = book.cash - 2 * rules.gas
    if room < rules.min_notional:
        return LIMIT, 0.0
    if free < rules.min_notional:
        return CASH, 0.0
    amount = np.floor(min(wanted, min(room, free)) * rules.quote_unit) / rules.quote_unit
    after = weight + amount / equity
    if np.rint(after * market.tail[t] * 1e9) / 1e9 > rules.var_limit:
        return RISK, 0.0
    return NOTHING, amount


@compiled
def _unsuitable(t: int, weight: float, market: Market, rules: Rules, tape: Tape) -> int:
    book = tape.book[0]
    if t < rules.warm_up:
        return DATA
    n_stops = np.sum(tape.stops > market.at[t] - rules.stop_window)
    if n_stops >= rules.max_stops or market.at[t] < book.closed_until:
        return PROTECTION
    if _earns_little(market.at[t] - rules.low_profit_window, rules, tape):
        return PROTECTION
    if book.reducing > 0:
        return MODE
    return RISK if _score(t, weight, market, rules, tape) >= REFUSAL else NOTHING


@compiled
def _earns_little(since: int, rules: Rules, tape: Tape) -> bool:
    n_sales, earned = 0, 0.0
    for row in range(tape.book[0].n_fills - 1, -1, -1):
        fill = tape.fills[row]
        if fill.at <= since:
            break
        if fill.buys == 0:
            n_sales, earned = n_sales + 1, earned + fill.earned
    return bool(n_sales >= rules.low_profit_trades and earned < rules.least_profit)


@compiled
def _score(t: int, weight: float, market: Market, rules: Rules, tape: Tape) -> float:
    tail = np.rint(weight * market.tail[t] * 1e9) / 1e9
    fallen = max(0.0, 1 - tape.equity[t] / tape.book[0].peak)
    uses = (market.volatility[t] / rules.volatility_limit, tail / rules.var_limit)
    most, kept = 0.0, 1.0
    for use in (*uses, fallen / rules.drawdown, weight / rules.weight_limit):
        part = 1.0 if use > 2 else min(1.0, REFUSAL * (use * use) * (use * use))
        most, kept = max(most, part), kept * (1 - part)
    return min(1.0, max(most, 1 - kept))
