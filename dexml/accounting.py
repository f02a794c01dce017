"""What fills and prices do to the books: cash, positions, marks, outcomes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from dexml.domain import Bar, Fill, Intent, Side
from dexml.events import Filled, Reason
from dexml.risk.exits import levels
from dexml.risk.sizing import payoff
from dexml.state import Ask, Book, Gain, KernelConfig, Position, State
from dexml.vitals import order_filled

__all__ = [
    "apply_fill",
    "ask",
    "mark_bars",
    "pending_buys",
]

_ATR_BARS = 14


def mark_bars(state: State, bars: Iterable[Bar], at: datetime) -> State:
    """Return the state after a bar set: last bars, ranges, aligned returns, due outcomes."""
    closed = {bar.instrument: bar for bar in bars if bar.closed_at == at}
    books, outcomes = [], list(state.outcomes)
    for book in state.books:
        bar = closed.get(book.instrument)
        if bar is not None:
            outcomes += [
                (bar.close / a.close - 1) / a.magnitude for a in book.asks if a.due_at == at
            ]
        books.append(_marked(book, bar, at, state.config))
    kept = tuple(outcomes[-state.config.sizing.max_outcomes :])
    return replace(state, books=tuple(books), outcomes=kept)


def _marked(book: Book, bar: Bar | None, at: datetime, config: KernelConfig) -> Book:
    if bar is None:  # aligned windows: the move comes with the next bar
        return replace(book, returns=_appended(book.returns, None, config)) if book.bar else book
    if book.bar is None:
        return replace(book, bar=bar, n_bars=1, atr=bar.high - bar.low)
    before = book.bar.close
    true_range = max(bar.high, before) - min(bar.low, before)
    n_bars = book.n_bars + 1
    return replace(
        book,
        bar=bar,
        n_bars=n_bars,
        atr=book.atr + (true_range - book.atr) / min(n_bars, _ATR_BARS),
        returns=_appended(book.returns, bar.close / before - 1, config),
        asks=tuple(ask for ask in book.asks if ask.due_at > at),
    )


def _appended(
    values: tuple[float | None, ...], value: float | None, config: KernelConfig
) -> tuple[float | None, ...]:
    return (*values[-config.window_bars + 1 :], value)


def apply_fill(state: State, event: Filled) -> State:
    """Return the state after a fill of an open intent; cash and quantity move exactly."""
    fill, book = event.fill, state.book(event.fill.instrument)
    if book is None or book.pending is None:
        return state
    state = order_filled(state, book.pending, fill)
    position: Position | None
    if fill.side is Side.BUY:
        position = _bought(book, fill, state)
        cash = state.cash - fill.quote - fill.gas
    else:
        position = _sold(book, fill)
        cash = state.cash + fill.quote - fill.gas
    state = replace(state, cash=cash)
    state = _guarded(state, book.pending, fill.filled_at)
    current = state.book(fill.instrument) or book
    gains = _gains(book, fill, state.config)
    return state.having(replace(current, position=position, pending=None, gains=gains))


def _gains(book: Book, fill: Fill, config: KernelConfig) -> tuple[Gain, ...]:
    since = fill.filled_at - config.timeframe.step * config.policy.low_profit_window_bars
    kept = tuple(gain for gain in book.gains if gain.at > since)
    if fill.side is Side.BUY or book.position is None:
        return kept
    paid = book.position.paid * fill.base / book.position.quantity
    return (*kept, Gain(at=fill.filled_at, earned=float((fill.quote - fill.gas) / paid - 1)))


def _bought(book: Book, fill: Fill, state: State) -> Position:
    paid = fill.quote + fill.gas
    if book.position is not None:
        held = book.position
        return replace(held, quantity=held.quantity + fill.base, paid=held.paid + paid)
    price = float(fill.price)
    odds = payoff(state.outcomes, state.config.sizing)
    exits = levels(price, book.atr, odds.win / odds.loss, state.config.exits)
    return Position(
        quantity=fill.base, paid=paid, entered_at=fill.filled_at, best=price, exits=exits
    )


def _sold(book: Book, fill: Fill) -> Position | None:
    left = book.quantity - fill.base
    if book.position is None or left <= 0:
        return None
    share = left / book.position.quantity
    return replace(book.position, quantity=left, paid=book.position.paid * share)


def _guarded(state: State, intent: Intent, at: datetime) -> State:
    book = state.book(intent.instrument)
    if intent.reason != Reason.STOP or book is None:
        return state
    step, rules = state.config.timeframe.step, state.config.policy
    since = at - step * rules.stop_window_bars
    stops = (*(stop for stop in state.stops if stop > since), at)[-rules.max_stops :]
    closed = replace(book, closed_until=at + step * rules.cooldown_bars)
    return replace(state.having(closed), stops=stops)


def ask(book: Book, at: datetime, move: float, config: KernelConfig) -> Book:
    """Return the book with the outcome of the signal at `at` to be measured at the horizon.

    Parameters
    ----------
    move : float
        The usual move over the horizon, in which the outcome is measured.
    """
    if book.bar is None or move <= 0:
        return book
    due_at = at + config.timeframe.step * config.policy.horizon
    entry = Ask(due_at=due_at, close=book.bar.close, magnitude=move)
    return replace(book, asks=(*book.asks, entry)[-config.policy.horizon :])


def pending_buys(state: State) -> Decimal:
    """Return the cash that open buy orders will take, gas included."""
    gas = state.config.costs.gas_per_swap_usd
    buys = [intent.amount_in for intent in state.open_intents if intent.side is Side.BUY]
    return sum(buys, gas * len(state.open_intents))
