"""What turns the mode without being asked: losses, rejects, doubt about the world."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields

from dexml.domain import Mode
from dexml.errors import ConfigError

__all__ = ["HALTING", "TripLimits", "Vitals", "mode_after", "tripped"]


_SHARES = frozenset({"daily_loss", "drawdown", "reject_share", "reconciliation_gap"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What is measured of the running system.

    Attributes
    ----------
    daily_loss, drawdown : float
        Losses since midnight UTC and from the peak, as fractions of equity.
    consecutive_losses : int
        Closed trades in a row that lost.
    reject_share : float
        Rejected orders of the last minute, as a share of those sent; 0 before enough were sent.
    unknown_age_s : float
        Age of the oldest order of unknown fate, in seconds.
    reconciliation_gap : float
        Difference between ledger and chain, as a fraction of equity.
    clock_skew_s : float
        Absolute difference to the reference clock, in seconds.
    bars_behind : float
        Age of the latest bar, in bars.
    gas_price_ratio : float
        Gas price over its cap.
    slippage_ratio : float
        Realised over modelled slippage of the latest fills.
    restarts : int
        Of any owner within ten minutes.
    ledger_away_s : float
        How long the ledger was away, in seconds, since a person last resumed.
    """

    daily_loss: float = 0.0
    drawdown: float = 0.0
    consecutive_losses: float = 0
    reject_share: float = 0.0
    unknown_age_s: float = 0.0
    reconciliation_gap: float = 0.0
    clock_skew_s: float = 0.0
    bars_behind: float = 0.0
    gas_price_ratio: float = 0.0
    slippage_ratio: float = 0.0
    restarts: float = 0
    ledger_away_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TripLimits:
    """The largest value of each of the `Vitals` that trips nothing; names and units are theirs."""

    daily_loss: float = 0.05
    drawdown: float = 0.15
    consecutive_losses: float = 10
    reject_share: float = 0.20
    unknown_age_s: float = 60.0
    reconciliation_gap: float = 0.001
    clock_skew_s: float = 0.5
    bars_behind: float = 2.0
    gas_price_ratio: float = 1.0
    slippage_ratio: float = 2.0
    restarts: float = 5
    ledger_away_s: float = 60.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value, most = getattr(self, name), 1 if name in _SHARES else float("inf")
            if not 0 < value < most:
                rule = "must be in (0, 1)" if most == 1 else "must be positive and finite"
                raise ConfigError(f"trips.{name}", rule, value, "A trip cannot be switched off.")


# the book and the chain disagree, or an owner cannot stay up: not even a reduction is safe
HALTING = frozenset({"reconciliation_gap", "restarts"})
_STRICTNESS = {Mode.ACTIVE: 0, Mode.REDUCING: 1, Mode.HALTED: 2}


def tripped(vitals: Vitals, limits: TripLimits) -> tuple[str, ...]:
    """Return the names of the vitals above their limits, in their order; NaN is above any.

    Examples
    --------
    >>> tripped(Vitals(drawdown=0.16, clock_skew_s=float("nan")), TripLimits())
    ('drawdown', 'clock_skew_s')
    """
    names = (one.name for one in fields(Vitals))
    return tuple(name for name in names if not getattr(vitals, name) <= getattr(limits, name))


def mode_after(mode: Mode, trips: Collection[str]) -> Mode:
    """Return the mode that trips lead to; it is never looser than `mode`.

    Examples
    --------
    >>> mode_after(Mode.ACTIVE, ["drawdown"]).value, mode_after(Mode.REDUCING, []).value
    ('reducing', 'reducing')
    """
    if not trips:
        return mode
    wanted = Mode.HALTED if HALTING & set(trips) else Mode.REDUCING
    return max(mode, wanted, key=lambda one: _STRICTNESS[one])
