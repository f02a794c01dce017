"""What the kernel measures of itself, and the modes that this turns: losses, rejects, doubt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from math import fsum, nan

from dexml.costs import MONEY, swap_cost
from dexml.domain import Fill, Intent, Mode, Side
from dexml.events import Alert, LedgerReturned, ModeRequested, VitalsSeen
from dexml.risk.trips import Vitals, mode_after, tripped
from dexml.state import State

__all__ = [
    "account_gap",
    "day_begun",
    "drawdown",
    "equity_at",
    "guarded",
    "ledger_returned",
    "measured",
    "order_failed",
    "order_filled",
    "order_sent",
    "resumed",
]

_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
_LEAST_SENT, _LEAST_FILLS, _N_FILLS = 5, 10, 20
_LEAST_SLIPPAGE = 1e-4  # a basis point more than nothing is no reason to stop


def measured(state: State, at: datetime, equity: Decimal) -> Vitals:
    """Return the vitals at an instant, with the book worth `equity`."""
    watch, outside = state.watch, state.watch.outside or VitalsSeen(at=at)
    return Vitals(
        daily_loss=_loss(equity, watch.day_open),
        drawdown=drawdown(state, equity),
        consecutive_losses=watch.losses_in_row,
        reject_share=_reject_share(state, at),
        unknown_age_s=_oldest_unknown_s(state, at),
        slippage_ratio=_slippage_ratio(state),
        reconciliation_gap=_known(outside.reconciliation_gap),
        clock_skew_s=_known(outside.clock_skew_s),
        bars_behind=_known(outside.bars_behind),
        gas_price_ratio=_known(outside.gas_price_ratio),
        restarts=_known(outside.restarts),
        ledger_away_s=watch.ledger_away_s,
    )


def drawdown(state: State, equity: Decimal) -> float:
    """Return the loss from the equity peak as a fraction, at least 0."""
    return _loss(equity, state.peak)


def equity_at(state: State, prices: tuple[tuple[str, float], ...]) -> Decimal:
    """Return the equity at these prices; what has none counts at its last close."""
    equity = state.equity
    for name, price in prices:
        book = state.book(name)
        if book is not None and book.position is not None:
            equity += book.quantity * Decimal(repr(price)) - book.value
    return equity


def guarded(state: State, at: datetime, equity: Decimal) -> tuple[State, list[Alert]]:
    """Return the state in the mode that its vitals lead to; an alert says why it is stricter."""
    vitals, limits = measured(state, at, equity), state.config.trips
    trips = tripped(vitals, limits)
    mode = mode_after(state.mode, trips)
    if mode is state.mode:
        return state, []
    words = ", ".join(f"{n} {getattr(vitals, n):.4g} (limit {getattr(limits, n):g})" for n in trips)
    passes = "only reductions pass" if mode is Mode.REDUCING else "nothing passes"
    text = f"{words}: {passes} until a person resumes trading."
    alert = Alert(at=at, severity="critical", subject=trips[0], text=text)
    return replace(state, mode=mode), [alert]


def resumed(state: State, event: ModeRequested) -> tuple[State, list[Alert]]:
    """Return the state a person turns to ACTIVE, unless what tripped it stands against it.

    Whoever resumes accepts the losses so far; they are counted from here.
    """
    equity = state.equity
    watch = replace(
        state.watch, day_open=equity, losses_in_row=0, failed=(), slippage=(), ledger_away_s=0.0
    )  # else the same losses would trip again at once
    accepted = replace(state, peak=equity, watch=watch)
    trips = tripped(measured(accepted, event.at, equity), state.config.trips)
    if trips:
        text = f"{event.by} cannot resume trading while there is {', '.join(trips)}."
        return state, [Alert(at=event.at, severity="warning", subject=event.kind, text=text)]
    text = f"Mode {state.mode} became {event.mode}, by {event.by}."
    alert = Alert(at=event.at, severity="warning", subject=event.kind, text=text)
    return replace(accepted, mode=Mode.ACTIVE, closing=False), [alert]


def day_begun(state: State, closed_at: datetime) -> State:
    """Return the state before a bar set of `closed_at`; a new UTC day remembers its equity."""
    before = closed_at - timedelta.resolution  # a bar that closes at midnight ends the day
    day = before.replace(hour=0, minute=0, second=0, microsecond=0)
    if state.watch.day is not None and day <= state.watch.day:
        return state
    return replace(state, watch=replace(state.watch, day=day, day_open=state.equity))


def ledger_returned(state: State, event: LedgerReturned) -> tuple[State, list[Alert]]:
    """Return the state after the ledger was away; the mode's history tells from when to when."""
    began = event.at - timedelta(seconds=event.away_s)
    longest = max(state.watch.ledger_away_s, event.away_s)
    state = replace(state, watch=replace(state.watch, ledger_away_s=longest))
    after, trips = guarded(state, event.at, state.equity)
    passed = f"from {began:%Y-%m-%d %H:%M:%S} to {event.at:%Y-%m-%d %H:%M:%S} UTC"
    stood = f"Mode {state.mode} became {Mode.HALTED}: the ledger did not answer."
    back = (
        f"Mode {Mode.HALTED} became {after.mode}: the ledger was away {passed}, "
        f"{event.away_s:.0f} s; nothing was decided or sent between."
    )
    told = [(began, stood), (event.at, back)]
    alerts = [Alert(at=at, severity="critical", subject=event.kind, text=text) for at, text in told]
    return after, [*alerts, *trips]


def account_gap(state: State, begun: State, fills: Iterable[Fill]) -> float:
    """Return how far the book is from what the account's fills add up to, as a share of equity.

    Parameters
    ----------
    begun : State
        Before the first fill.
    fills : iterable of Fill
        All that the book has heard of.

    Examples
    --------
    >>> from dexml.state import KernelConfig
    >>> from dexml.system import initial_state
    >>> state = initial_state("r", KernelConfig(), ["BTC/USDT"], Decimal(100))
    >>> account_gap(replace(state, cash=Decimal(99)), state, [])
    0.0101...
    """
    cash, held = begun.cash, {book.instrument: book.quantity for book in begun.books}
    for fill in fills:
        sign = 1 if fill.side is Side.BUY else -1
        cash = MONEY.subtract(cash, MONEY.add(sign * fill.quote, fill.gas))
        held[fill.instrument] = MONEY.add(held[fill.instrument], sign * fill.base)
    apart = abs(MONEY.subtract(state.cash, cash))
    for book in state.books:
        price = Decimal(repr(book.bar.close)) if book.bar else Decimal(0)
        off = abs(MONEY.subtract(book.quantity, held[book.instrument]))
        apart = MONEY.add(apart, MONEY.multiply(off, price))
    return float(apart / state.equity) if state.equity > 0 else float(apart > 0)


def order_sent(state: State, at: datetime) -> State:
    """Return the state after an order was sent."""
    sent = (*(one for one in state.watch.sent if one > at - _DAY), at)
    return replace(state, watch=replace(state.watch, sent=sent))


def order_failed(state: State, at: datetime) -> State:
    """Return the state after an order certainly did not happen."""
    failed = (*_recent(state.watch.failed, at), at)
    return replace(state, watch=replace(state.watch, failed=failed))


def order_filled(state: State, intent: Intent, fill: Fill) -> State:
    """Return the state after a fill, before it is booked: its slippage, and whether it lost."""
    watch = state.watch
    slippage = (*watch.slippage, _slippage(state, intent, fill))[-_N_FILLS:]
    losses = watch.losses_in_row
    book = state.book(fill.instrument)
    if fill.side is Side.SELL and book is not None and book.position is not None:
        share = fill.base / book.position.quantity
        gain = fill.quote - fill.gas - book.position.paid * share
        losses = losses + 1 if gain < 0 else 0
    return replace(state, watch=replace(watch, slippage=slippage, losses_in_row=losses))


def _loss(equity: Decimal, before: Decimal) -> float:
    return max(0.0, float(1 - equity / before)) if before > 0 else 0.0


def _known(value: float | None) -> float:
    return nan if value is None else value


def _recent(instants: tuple[datetime, ...], at: datetime) -> tuple[datetime, ...]:
    return tuple(one for one in instants if one > at - _MINUTE)


def _reject_share(state: State, at: datetime) -> float:
    n_sent, n_failed = (len(_recent(one, at)) for one in (state.watch.sent, state.watch.failed))
    return n_failed / n_sent if n_sent >= _LEAST_SENT else 0.0


def _oldest_unknown_s(state: State, at: datetime) -> float:
    ages = [(at - intent.decided_at).total_seconds() for intent in state.open_intents]
    return max(0.0, max(ages, default=0.0) - state.config.costs.latency_s)


def _slippage_ratio(state: State) -> float:
    seen = state.watch.slippage
    if len(seen) < _LEAST_FILLS:
        return 0.0
    realised, modelled = (fsum(column) / len(seen) for column in zip(*seen, strict=True))
    return realised / max(modelled, _LEAST_SLIPPAGE)


def _slippage(state: State, intent: Intent, fill: Fill) -> tuple[float, float]:
    at_reference = fill.base * intent.reference_price
    if fill.side is Side.BUY:
        paid, got = fill.quote, at_reference
    else:
        paid, got = at_reference, fill.quote
    return float(1 - got / paid), swap_cost(float(paid), state.config.costs)
