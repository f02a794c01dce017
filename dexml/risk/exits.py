"""When to leave: a trailing stop, a take profit, time; both sides of the market."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from dexml.errors import ConfigError, DataError
from dexml.events import Reason

__all__ = ["Direction", "ExitConfig", "Levels", "exit_reason", "levels", "trailed"]

Direction = Literal[1, -1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitConfig:
    """Distances of the exits.

    Attributes
    ----------
    stop_atr : float
        Distance of the stop from the entry and from the best price since, in ATR.
    take_profit_ratio : float
        Distance of the take profit, in stop distances when win = loss.
    max_holding_bars : int
        A position older than this is closed.
    max_silent_bars : int
        A position whose instrument has had no bar for so long is closed.
    """

    stop_atr: float = 2.0
    take_profit_ratio: float = 2.0
    max_holding_bars: int = 72
    max_silent_bars: int = 24

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise ConfigError(
                    f"exits.{name}", "must be positive", getattr(self, name), "2 is usual."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Prices at which a position is closed, quote per base."""

    stop: float
    take_profit: float


def levels(
    price: float, atr: float, payoff_ratio: float, config: ExitConfig, direction: Direction = 1
) -> Levels:
    """Return the exits of a position opened at `price`.

    Parameters
    ----------
    price, atr : float
        Entry and average true range, quote per base.
    payoff_ratio : float
        Mean win over mean loss; widens the take profit.
    config : ExitConfig
        Distances.
    direction : 1 or -1
        Long or short.

    Raises
    ------
    DataError
        If the price is not positive, or the range negative, or one of them no number.

    Examples
    --------
    >>> levels(100.0, 1.0, 1.0, ExitConfig(), direction=-1)
    Levels(stop=102.0, take_profit=96.0)
    """
    if not (0 < price < inf and 0 <= atr < inf):
        was = f"price {price}, range {atr}"
        raise DataError("entry", "must have a positive price and a range", was, "Mark it anew.")
    distance = config.stop_atr * atr
    floor = price * 1e-6  # a long's stop under a huge ATR must stay a price
    return Levels(
        stop=max(floor, price - direction * distance),
        take_profit=max(
            floor, price + direction * distance * config.take_profit_ratio * payoff_ratio
        ),
    )


def trailed(
    stop: float, best: float, atr: float, config: ExitConfig, direction: Direction = 1
) -> float:
    """Return the stop moved behind the best price since entry; it never moves back."""
    candidate = best - direction * config.stop_atr * atr
    return max(stop, candidate) if direction == 1 else min(stop, candidate)


def exit_reason(price: float, exits: Levels, direction: Direction = 1) -> Reason | None:
    """Name the exit that `price` touches; the stop is asked first because it hurts."""
    if direction * (price - exits.stop) <= 0:
        return Reason.STOP
    if direction * (price - exits.take_profit) >= 0:
        return Reason.TAKE_PROFIT
    return None
