"""What the decision kernel hears (events) and what it asks for (commands), as frozen values.

Events are ordered by (`at`, kind, id), never by arrival. A simulated bar is heard as: its worst
prices, its best prices, its close; each followed by the fills it caused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dexml.commands import Alert, Decision, EquityMarked, Trade
from dexml.domain import Action, Bar, Fill, Mode, Reason, Signal

__all__ = [
    "SCHEMA_VERSION",
    "Action",
    "Alert",
    "BarsClosed",
    "CloseRequested",
    "Command",
    "Decision",
    "EquityMarked",
    "Event",
    "Filled",
    "HealthChanged",
    "LedgerReturned",
    "ModeRequested",
    "OrderFailed",
    "PartChanged",
    "PricesSeen",
    "Reason",
    "Request",
    "Trade",
    "VitalsSeen",
    "event_order",
]

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BarsClosed:
    """A set of bars closed together, with the signals made from them."""

    kind: Literal["bars_closed"] = "bars_closed"
    at: datetime
    bars: tuple[Bar, ...]
    signals: tuple[Signal, ...]

    @property
    def id(self) -> str:
        return f"bars_closed:{self.at.isoformat()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PricesSeen:
    """Prices between closes: a timer's reading, or the extremes hidden in a recorded bar.

    Attributes
    ----------
    phase : "worst", "best" or "live"
        For recorded bars the price that hurts the open positions comes first.
    prices : tuple of (instrument, price)
        Quote per base, sorted by instrument.
    """

    kind: Literal["prices_seen"] = "prices_seen"
    at: datetime
    phase: Literal["worst", "best", "live"]
    prices: tuple[tuple[str, float], ...]

    @property
    def id(self) -> str:
        return f"prices_seen:{self.at.isoformat()}:{self.phase}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """An order was filled."""

    kind: Literal["filled"] = "filled"
    at: datetime
    fill: Fill

    @property
    def id(self) -> str:
        return f"filled:{self.fill.intent_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFailed:
    """An order certainly did not happen (for example its slippage floor was not met)."""

    kind: Literal["order_failed"] = "order_failed"
    at: datetime
    intent_id: str
    reason: str

    @property
    def id(self) -> str:
        return f"order_failed:{self.intent_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthChanged:
    """An instrument's data became unfit for new risk, or fit again."""

    kind: Literal["health_changed"] = "health_changed"
    at: datetime
    instrument: str
    healthy: bool
    reason: str

    @property
    def id(self) -> str:
        return f"health_changed:{self.at.isoformat()}:{self.instrument}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartChanged:
    """A part that the loop can do without stopped working, or works again."""

    kind: Literal["part_changed"] = "part_changed"
    at: datetime
    part: str
    working: bool
    reason: str

    @property
    def id(self) -> str:
        return f"part_changed:{self.at.isoformat()}:{self.part}:{self.working}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeRequested:
    """A person or a guard asks for a mode."""

    kind: Literal["mode_requested"] = "mode_requested"
    at: datetime
    mode: Mode
    by: str

    @property
    def id(self) -> str:
        return f"mode_requested:{self.at.isoformat()}:{self.mode}:{self.by}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRequested:
    """A person asks to sell all that is held; only reductions pass from then on."""

    kind: Literal["close_requested"] = "close_requested"
    at: datetime
    by: str

    @property
    def id(self) -> str:
        return f"close_requested:{self.at.isoformat()}:{self.by}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VitalsSeen:
    """What only the world outside the kernel measures; None where it could not be measured.

    Attributes
    ----------
    reconciliation_gap, clock_skew_s, bars_behind, gas_price_ratio, restarts
        As in `risk.trips.Vitals`.
    """

    kind: Literal["vitals_seen"] = "vitals_seen"
    at: datetime
    reconciliation_gap: float | None = 0.0
    clock_skew_s: float | None = 0.0
    bars_behind: float | None = 0.0
    gas_price_ratio: float | None = 0.0
    restarts: int | None = 0

    @property
    def id(self) -> str:
        return f"vitals_seen:{self.at.isoformat()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerReturned:
    """The ledger answers again; while it was away nobody could decide or send anything.

    Attributes
    ----------
    away_s : float
        Seconds from the first question that it left unanswered until now.
    """

    kind: Literal["ledger_returned"] = "ledger_returned"
    at: datetime
    away_s: float

    @property
    def id(self) -> str:
        return f"ledger_returned:{self.at.isoformat()}"


Request = ModeRequested | CloseRequested
Event = (
    BarsClosed
    | PricesSeen
    | Filled
    | OrderFailed
    | HealthChanged
    | PartChanged
    | VitalsSeen
    | LedgerReturned
    | Request
)

_RANK = (
    "prices_seen",
    "bars_closed",
    "filled",
    "order_failed",
    "health_changed",
    "part_changed",
    "vitals_seen",
    "ledger_returned",
    "mode_requested",
    "close_requested",
)


def event_order(event: Event) -> tuple[datetime, int, str]:
    """Return the key by which events are ordered: instant, kind, id."""
    return event.at, _RANK.index(event.kind), event.id


Command = Decision | Trade | Alert | EquityMarked
