"""The decision kernel: one pure function from a state and an event to a state and commands.

Backtest, replay, simulation, paper and live all run `step`; they differ in who feeds the events
and who carries out the commands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Literal

from dexml.accounting import apply_fill, mark_bars
from dexml.costs import MONEY
from dexml.deciding import hear_close
from dexml.domain import Bar, Mode, check_instrument
from dexml.errors import ConfigError
from dexml.events import (
    Alert,
    BarsClosed,
    CloseRequested,
    Command,
    Event,
    Filled,
    HealthChanged,
    LedgerReturned,
    ModeRequested,
    OrderFailed,
    PartChanged,
    PricesSeen,
    Reason,
    Request,
    VitalsSeen,
)
from dexml.intents import sell_all
from dexml.risk.exits import exit_reason
from dexml.state import Book, KernelConfig, State
from dexml.vitals import equity_at, guarded, ledger_returned, order_failed, resumed

__all__ = ["initial_state", "step", "warm_up"]

_N_HEARD = 256
Severity = Literal["info", "warning", "critical"]


def initial_state(
    run: str, config: KernelConfig, instruments: Iterable[str], cash: Decimal
) -> State:
    """Return a state that holds only cash.

    Parameters
    ----------
    run : str
        Name of the run; part of every id.
    config : KernelConfig
        Settings; they travel with the state.
    instruments : iterable of str
        What may be traded.
    cash : Decimal
        Quote currency, positive.

    Raises
    ------
    ConfigError
        If there is no instrument or no cash.

    Examples
    --------
    >>> state = initial_state("r", KernelConfig(), ["BTC/USDT"], Decimal(10_000))
    >>> state.equity, state.mode.value
    (Decimal('10000'), 'active')
    """
    names = sorted({check_instrument(name) for name in instruments})
    if not names:
        raise ConfigError("instruments", "must not be empty", names, "Name one, as BTC/USDT.")
    if not cash > 0:
        raise ConfigError("cash", "must be positive", cash, "Start with money.")
    books = tuple(Book(instrument=name) for name in names)
    return State(run=run, config=config, cash=cash, books=books, peak=cash)


def warm_up(state: State, bar_sets: Iterable[tuple[Bar, ...]]) -> State:
    """Return the state after hearing past bar sets, oldest first, without deciding anything."""
    with localcontext(MONEY):
        for bars in bar_sets:
            at = max(bar.closed_at for bar in bars)
            state = replace(mark_bars(state, bars, at), closed_at=at)
    return state


def step(state: State, event: Event) -> tuple[State, list[Command]]:
    """Hear one event and return what is known and what is to be done after it.

    Parameters
    ----------
    state : State
        Never changed.
    event : Event
        An event heard before, or a market event older than the newest one, changes nothing.

    Returns
    -------
    state : State
        Equal for equal arguments, to the byte of its record.
    commands : list of Command
        Alerts, a valuation, decisions; each trade follows the decision that made it.
    """
    if _is_known(state, event):
        return state, []
    with localcontext(MONEY):
        return _hear(_remembered(state, event), event)


def _is_known(state: State, event: Event) -> bool:
    if event.id in state.heard:
        return True
    closed_at, seen_at = state.closed_at, state.seen_at
    if isinstance(event, BarsClosed):  # prices may overtake a close, never the other way round
        return closed_at is not None and event.at <= closed_at
    if isinstance(event, PricesSeen):
        return any(instant is not None and event.at < instant for instant in (closed_at, seen_at))
    return False


def _remembered(state: State, event: Event) -> State:
    heard = (*state.heard, event.id)[-_N_HEARD:]
    if isinstance(event, BarsClosed):
        return replace(state, heard=heard, closed_at=event.at)
    if isinstance(event, PricesSeen):
        return replace(state, heard=heard, seen_at=event.at)
    return replace(state, heard=heard)


def _hear(state: State, event: Event) -> tuple[State, list[Command]]:
    match event:
        case BarsClosed():
            return hear_close(state, event)
        case PricesSeen():
            return _hear_prices(state, event)
        case Filled():
            return _hear_fill(state, event)
        case OrderFailed():
            return _hear_failure(state, event)
        case HealthChanged():
            return _hear_health(state, event)
        case PartChanged() | VitalsSeen() | LedgerReturned():
            return _hear_world(state, event)
        case ModeRequested() | CloseRequested():
            return _hear_request(state, event)


def _hear_prices(state: State, event: PricesSeen) -> tuple[State, list[Command]]:
    commands: list[Command] = []
    if event.phase == "live":
        state, commands = _guarded(state, event.at, equity_at(state, event.prices))
    for instrument, price in event.prices:
        book = state.book(instrument)
        if book is None or book.position is None:
            continue
        reason = exit_reason(price, book.position.exits)
        if reason is None:
            best = max(book.position.best, price)
            state = state.having(replace(book, position=replace(book.position, best=best)))
            continue
        # A take profit rests at its level; a stop is filled where the market is.
        level = book.position.exits.take_profit if reason is Reason.TAKE_PROFIT else price
        state, trades = sell_all(state, book, level, event.at, reason)
        commands += trades
    return state, commands


def _hear_fill(state: State, event: Filled) -> tuple[State, list[Command]]:
    fill, book = event.fill, state.book(event.fill.instrument)
    if book is None or book.pending is None or book.pending.intent_id != fill.intent_id:
        return state, [_alert(event, "critical", f"A fill of {fill.instrument} was not ordered.")]
    state = apply_fill(state, event)
    return _guarded(state, event.at, state.equity)


def _hear_failure(state: State, event: OrderFailed) -> tuple[State, list[Command]]:
    for book in state.books:
        if book.pending is not None and book.pending.intent_id == event.intent_id:
            alert = _alert(event, "warning", f"{book.instrument} order failed: {event.reason}.")
            state = order_failed(state.having(replace(book, pending=None)), event.at)
            state, trips = _guarded(state, event.at, state.equity)
            return state, [alert, *trips]
    return state, []


def _hear_health(state: State, event: HealthChanged) -> tuple[State, list[Command]]:
    book = state.book(event.instrument)
    if book is None or book.healthy == event.healthy:
        return state, []
    word = "is fit again" if event.healthy else "takes no new risk"
    alert = _alert(
        event,
        "info" if event.healthy else "warning",
        f"{event.instrument} {word}: {event.reason}.",
    )
    return state.having(replace(book, healthy=event.healthy)), [alert]


def _hear_world(
    state: State, event: PartChanged | VitalsSeen | LedgerReturned
) -> tuple[State, list[Command]]:
    if isinstance(event, VitalsSeen):
        state = replace(state, watch=replace(state.watch, outside=event))
        return _guarded(state, event.at, state.equity)
    if isinstance(event, LedgerReturned):
        state, alerts = ledger_returned(state, event)
        return state, [*alerts]
    if event.working:
        return state, [_alert(event, "info", f"{event.part} works again.")]
    text = f"{event.part} failed, the loop goes on: {event.reason}"
    return state, [_alert(event, "warning", text)]


def _hear_request(state: State, event: Request) -> tuple[State, list[Command]]:
    if isinstance(event, ModeRequested):
        return _hear_mode(state, event)
    return _hear_close_request(state, event)


def _hear_mode(state: State, event: ModeRequested) -> tuple[State, list[Command]]:
    if event.mode is state.mode:
        return state, []
    if event.mode is Mode.ACTIVE:
        state, alerts = resumed(state, event)
        return state, [*alerts]
    alert = _alert(event, "warning", f"Mode {state.mode} became {event.mode}, by {event.by}.")
    return replace(state, mode=event.mode), [alert]


def _hear_close_request(state: State, event: CloseRequested) -> tuple[State, list[Command]]:
    held = [book for book in state.books if book.position is not None]
    text = f"{len(held)} positions are closed, only reductions pass from now on, by {event.by}."
    commands: list[Command] = [_alert(event, "warning", text)]
    state = replace(state, mode=Mode.REDUCING, closing=True)
    for book in held:
        if book.bar is not None:
            price = book.bar.close
            state, trades = sell_all(state, book, price, event.at, Reason.REQUEST)
            commands += trades
    return state, commands


def _guarded(state: State, at: datetime, equity: Decimal) -> tuple[State, list[Command]]:
    state, alerts = guarded(state, at, equity)
    return state, [*alerts]


def _alert(event: Event, severity: Severity, text: str) -> Alert:
    return Alert(at=event.at, severity=severity, subject=event.kind, text=text)
