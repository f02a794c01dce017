"""What an order may do: limits on its size, its price, its number and what it leads to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from dexml.domain import Mode, Side
from dexml.errors import ConfigError, DataError
from dexml.risk.limits import permits

__all__ = ["Breach", "Desk", "Order", "OrderLimits", "breaches", "exposure", "filled", "sent"]

_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLimits:
    """Limits that hold for every order that adds risk; money is in quote currency.

    Attributes
    ----------
    order_notional, instrument_notional, gross_notional : Decimal
        Largest order; largest exposure to one instrument and to all, open orders counted as done.
    orders_per_minute, orders_per_day, open_intents : int
        How many may be sent, and how many may be unsettled.
    price_band : Decimal
        Largest distance of an order's price from the reference price, as a fraction of it.
    """

    order_notional: Decimal = Decimal(25_000)
    instrument_notional: Decimal = Decimal(50_000)
    gross_notional: Decimal = Decimal(250_000)
    orders_per_minute: int = 10
    orders_per_day: int = 500
    open_intents: int = 20
    price_band: Decimal = Decimal("0.05")

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = Decimal(getattr(self, name))
            if not (value.is_finite() and value > 0):
                fix = "Use a mode, not a limit, to stop trading."
                raise ConfigError(f"orders.{name}", "must be positive and finite", value, fix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order before it is sent.

    Attributes
    ----------
    base : Decimal
        Units of the base token, positive.
    price, reference : Decimal
        Worst price it may fill at, and the consolidated price; quote per base, positive.
    """

    instrument: str
    side: Side
    base: Decimal
    price: Decimal
    reference: Decimal

    def __post_init__(self) -> None:
        for name in ("base", "price", "reference"):
            value = getattr(self, name)
            if not (value.is_finite() and value > 0):
                raise DataError(f"order {name}", "must be positive", value, "Send no such order.")

    @property
    def signed(self) -> Decimal:
        return self.base if self.side is Side.BUY else -self.base

    @property
    def notional(self) -> Decimal:
        return self.base * max(self.price, self.reference)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What is held and under way.

    Attributes
    ----------
    positions, prices : mapping of instrument to Decimal
        Base units, negative when short; marks, quote per base.
    open_orders : tuple of Order
        Sent, and neither filled nor failed; one of unknown fate is open.
    sent_at : tuple of datetime
        When orders were sent, within a day.
    """

    positions: Mapping[str, Decimal] = field(default_factory=dict)
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    open_orders: tuple[Order, ...] = ()
    sent_at: tuple[datetime, ...] = ()


class Breach(StrEnum):
    """A limit that an order would break."""

    MODE = "mode"
    ORDER_NOTIONAL = "order_notional"
    INSTRUMENT_NOTIONAL = "instrument_notional"
    GROSS_NOTIONAL = "gross_notional"
    PER_MINUTE = "orders_per_minute"
    PER_DAY = "orders_per_day"
    OPEN_INTENTS = "open_intents"
    PRICE_BAND = "price_band"


def breaches(
    order: Order, desk: Desk, mode: Mode, limits: OrderLimits, at: datetime
) -> tuple[Breach, ...]:
    """Return every limit that the order would break; empty if it may be sent.

    Parameters
    ----------
    order : Order
        What is to be sent.
    desk : Desk
        What is held and under way.
    mode : Mode
        ACTIVE, REDUCING or HALTED.
    limits : OrderLimits
        For orders that add risk.
    at : datetime
        Now. Orders that were sent later than now, by a clock that went back, still count.

    Notes
    -----
    An order that reduces the position without crossing zero, open orders of its side counted as
    filled, passes in ACTIVE and REDUCING whatever the limits say: they must never keep risk in.
    In REDUCING nothing else passes, in HALTED nothing at all.

    Examples
    --------
    >>> from datetime import UTC
    >>> price = Decimal(100)
    >>> sale = Order(
    ...     instrument="BTC/USDT", side=Side.SELL, base=Decimal(1), price=price, reference=price
    ... )
    >>> breaches(sale, Desk(), Mode.REDUCING, OrderLimits(), datetime(2024, 1, 1, tzinfo=UTC))
    (<Breach.MODE: 'mode'>,)
    """
    if permits(Mode.REDUCING, _left(order, desk), order.side, order.base):
        return () if mode is not Mode.HALTED else (Breach.MODE,)
    if mode is not Mode.ACTIVE:
        return (Breach.MODE,)
    after = replace(desk, open_orders=(*desk.open_orders, order))
    exposures = {name: exposure(after, name) for name in _instruments(after)}
    broken = {
        Breach.ORDER_NOTIONAL: order.notional > limits.order_notional,
        Breach.INSTRUMENT_NOTIONAL: exposures[order.instrument] > limits.instrument_notional,
        Breach.GROSS_NOTIONAL: sum(exposures.values()) > limits.gross_notional,
        Breach.PER_MINUTE: _n_since(desk, at - _MINUTE) >= limits.orders_per_minute,
        Breach.PER_DAY: _n_since(desk, at - _DAY) >= limits.orders_per_day,
        Breach.OPEN_INTENTS: len(desk.open_orders) >= limits.open_intents,
        Breach.PRICE_BAND: abs(order.price / order.reference - 1) > limits.price_band,
    }
    return tuple(breach for breach, is_broken in broken.items() if is_broken)


def exposure(desk: Desk, instrument: str) -> Decimal:
    """Return the largest notional that fills of open orders, in any order, can lead to."""
    held = desk.positions.get(instrument, Decimal(0))
    mine = [order for order in desk.open_orders if order.instrument == instrument]
    highest = held + sum((one.base for one in mine if one.side is Side.BUY), Decimal(0))
    lowest = held - sum((one.base for one in mine if one.side is Side.SELL), Decimal(0))
    price = max([desk.prices.get(instrument, Decimal(0))] + [one.reference for one in mine])
    if price <= 0 and held:
        raise DataError(f"price of {instrument}", "must be known and positive", price, "Mark it.")
    return max(abs(highest), abs(lowest)) * price


def sent(desk: Desk, order: Order, at: datetime) -> Desk:
    """Return the desk after an order was sent; what was sent over a day ago is forgotten."""
    recent = tuple(one for one in desk.sent_at if one > at - _DAY)
    return replace(desk, open_orders=(*desk.open_orders, order), sent_at=(*recent, at))


def filled(desk: Desk, order: Order, base: Decimal) -> Desk:
    """Return the desk after an open order ended with `base` units filled; 0 if it failed.

    Raises
    ------
    DataError
        If the order is not open, or less than nothing or more than it asked for was filled.
    """
    if order not in desk.open_orders or not (base.is_finite() and 0 <= base <= order.base):
        rule = "must be an open order's, at most its size"
        raise DataError("fill", rule, base, "Reconcile with the chain.")
    rest = list(desk.open_orders)
    rest.remove(order)
    moved = base if order.side is Side.BUY else -base
    held = desk.positions.get(order.instrument, Decimal(0)) + moved
    return replace(
        desk, positions={**desk.positions, order.instrument: held}, open_orders=tuple(rest)
    )


def _left(order: Order, desk: Desk) -> Decimal:
    """Return what the position will be once open orders of the same side have filled."""
    held = desk.positions.get(order.instrument, Decimal(0))
    same = (one for one in desk.open_orders if one.instrument == order.instrument)
    return held + sum((one.signed for one in same if one.side is order.side), Decimal(0))


def _instruments(desk: Desk) -> set[str]:
    return {*desk.positions, *(order.instrument for order in desk.open_orders)}


def _n_since(desk: Desk, instant: datetime) -> int:
    return sum(one > instant for one in desk.sent_at)
