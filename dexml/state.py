"""Everything the decision kernel remembers, frozen and bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from decimal import Decimal
from functools import reduce
from math import isfinite

from dexml.costs import MONEY, CostConfig
from dexml.domain import Bar, Intent, Mode, Timeframe
from dexml.errors import ConfigError
from dexml.events import EquityMarked, VitalsSeen
from dexml.risk.exits import ExitConfig, Levels
from dexml.risk.limits import LimitConfig
from dexml.risk.orders import OrderLimits
from dexml.risk.policy import PolicyConfig
from dexml.risk.sizing import SizingConfig
from dexml.risk.trips import TripLimits
from dexml.universe import UniverseConfig

__all__ = ["Ask", "Book", "Gain", "KernelConfig", "Position", "State", "Watch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelConfig:
    """Every setting that can change a decision.

    Attributes
    ----------
    window_bars : int
        Returns remembered for each instrument, for its tail and the covariance.
    warm_up_bars : int
        Bars an instrument must have shown before it is entered.
    """

    timeframe: Timeframe = Timeframe.H1
    costs: CostConfig = field(default_factory=CostConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    sizing: SizingConfig = field(default_factory=SizingConfig)
    exits: ExitConfig = field(default_factory=ExitConfig)
    limits: LimitConfig = field(default_factory=LimitConfig)
    orders: OrderLimits = field(default_factory=OrderLimits)
    trips: TripLimits = field(default_factory=TripLimits)
    universe: UniverseConfig = field(default_factory=UniverseConfig)
    window_bars: int = 768
    warm_up_bars: int = 24

    def __post_init__(self) -> None:
        for part, name, value in _numbers(self):
            if not isfinite(value):
                raise ConfigError(f"{part}.{name}", "must be finite", value, "Set a number.")
        if not 20 <= self.warm_up_bars <= self.window_bars:
            raise ConfigError(
                "kernel.warm_up_bars",
                f"must be in 20..{self.window_bars}",
                self.warm_up_bars,
                "A 95% tail needs 20 returns.",
            )
        if self.limits.slippage >= self.orders.price_band:
            raise ConfigError(
                "limits.slippage",
                f"must be below orders.price_band ({self.orders.price_band})",
                self.limits.slippage,
                "Otherwise no order would ever pass.",
            )
        if self.costs.latency_s >= self.timeframe.seconds:
            raise ConfigError(
                "costs.latency_s",
                f"must be below the {self.timeframe.seconds} s of a bar",
                self.costs.latency_s,
                "Orders meet the market before the next bar is decided on.",
            )

    @property
    def bars_per_day(self) -> float:
        return 86_400 / self.timeframe.seconds


def _numbers(config: KernelConfig) -> Iterator[tuple[str, str, float]]:
    for part in ("costs", "policy", "sizing", "exits", "limits", "orders", "trips", "universe"):
        for one in fields(getattr(config, part)):
            value = getattr(getattr(config, part), one.name)
            if isinstance(value, float | Decimal):
                yield part, one.name, float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Base tokens held, since when, and where they are sold.

    Attributes
    ----------
    quantity, paid : Decimal
        Base held (positive); quote it cost, with gas.
    best : float
        Highest price seen since entry.
    """

    quantity: Decimal
    paid: Decimal
    entered_at: datetime
    best: float
    exits: Levels


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A signal whose outcome is due: the close it was made at, and the usual move then."""

    due_at: datetime
    close: float
    magnitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """A sale, and what it earned as a fraction of what was paid for what it sold; gas is paid."""

    at: datetime
    earned: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """What is known of one instrument.

    Attributes
    ----------
    returns : tuple of float or None
        Close to close, one for each bar set heard since the first bar; None where a bar is missing,
        and the bar after a gap carries the whole move.
    n_bars : int
        Bars ever heard.
    atr : float
        Average true range by Wilder's recurrence, quote per base.
    gains : tuple of Gain
        Of the sales within the window of the low-profit guard.
    """

    instrument: str
    position: Position | None = None
    pending: Intent | None = None
    healthy: bool = True
    bar: Bar | None = None
    n_bars: int = 0
    atr: float = 0.0
    returns: tuple[float | None, ...] = ()
    asks: tuple[Ask, ...] = ()
    closed_until: datetime | None = None
    gains: tuple[Gain, ...] = ()

    @property
    def quantity(self) -> Decimal:
        return self.position.quantity if self.position else Decimal(0)

    @property
    def value(self) -> Decimal:
        """Value of the position at the last close, in quote currency, exact."""
        if self.position is None or self.bar is None:
            return Decimal(0)
        return MONEY.multiply(self.position.quantity, Decimal(repr(self.bar.close)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What the trips are measured from; see `risk.trips.Vitals`.

    Attributes
    ----------
    day, day_open : datetime or None, Decimal
        Midnight UTC before the latest bar set, and the equity then, or when a person last resumed.
    losses_in_row : int
        Positions closed at a loss since the last gain.
    sent, failed : tuple of datetime
        Orders sent within a day, and those of them that failed within a minute.
    slippage : tuple of (realised, modelled)
        Of the latest fills, as fractions of the order.
    outside : VitalsSeen or None
        The latest word of the world.
    ledger_away_s : float
        The longest that the ledger was away since a person last resumed.
    """

    day: datetime | None = None
    day_open: Decimal = Decimal(0)
    losses_in_row: int = 0
    sent: tuple[datetime, ...] = ()
    failed: tuple[datetime, ...] = ()
    slippage: tuple[tuple[float, float], ...] = ()
    outside: VitalsSeen | None = None
    ledger_away_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The kernel's whole memory.

    Attributes
    ----------
    books : tuple of Book
        Sorted by instrument.
    peak : Decimal
        Highest equity since the start or since a person last resumed trading.
    outcomes : tuple of float
        Realised horizon returns over the usual move, all instruments, oldest first.
    stops : tuple of datetime
        When positions were stopped out, within the guard's window.
    closed_at, seen_at : datetime or None
        Latest bar set and latest prices heard; older ones are refused.
    heard : tuple of str
        Ids of the latest events.
    mark : EquityMarked or None
        The latest valuation.
    closing : bool
        Whether a person asked to sell all that is held and has not resumed since.
    """

    run: str
    config: KernelConfig
    cash: Decimal
    books: tuple[Book, ...]
    peak: Decimal
    mode: Mode = Mode.ACTIVE
    outcomes: tuple[float, ...] = ()
    stops: tuple[datetime, ...] = ()
    closed_at: datetime | None = None
    seen_at: datetime | None = None
    heard: tuple[str, ...] = ()
    mark: EquityMarked | None = None
    watch: Watch = Watch()
    closing: bool = False

    @property
    def equity(self) -> Decimal:
        return reduce(MONEY.add, (book.value for book in self.books), self.cash)

    @property
    def open_intents(self) -> tuple[Intent, ...]:
        return tuple(book.pending for book in self.books if book.pending is not None)

    def book(self, instrument: str) -> Book | None:
        """Return the book of `instrument`, or None if it is not traded in this run."""
        return next((book for book in self.books if book.instrument == instrument), None)

    def having(self, book: Book) -> State:
        """Return the state with `book` in place of the book of its instrument."""
        books = tuple(book if old.instrument == book.instrument else old for old in self.books)
        return replace(self, books=books)
