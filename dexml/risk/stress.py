"""What a book would lose in a bad day and in leaving it: shocks, episodes, dry pools, dear gas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import isfinite

from dexml.costs import CostConfig, exit_cost
from dexml.errors import DataError
from dexml.risk.episodes import EPISODES, Episode

__all__ = [
    "Scenario",
    "StressLoss",
    "from_episode",
    "library",
    "stress",
    "stress_table",
    "together",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One bad day.

    Attributes
    ----------
    moves : mapping of coin or instrument to float
        Return of each, at least -1.
    others : float
        Return of what `moves` does not name.
    quote : float
        What the stablecoin loses against the dollar, at most 0.
    depth, gas : float
        Pool reserves and gas price as multiples of what they are.
    """

    name: str
    moves: Mapping[str, float] = field(default_factory=dict)
    others: float = 0.0
    quote: float = 0.0
    depth: float = 1.0
    gas: float = 1.0

    def __post_init__(self) -> None:
        for move in (*self.moves.values(), self.others, self.quote):
            if not (isfinite(move) and move >= -1):
                raise DataError(f"move in {self.name}", "must be -1 or more", move, "Correct it.")
        if not (0 < self.depth <= 1 and self.gas >= 1 and self.quote <= 0 and isfinite(self.gas)):
            was = f"depth {self.depth}, gas {self.gas}, quote {self.quote}"
            raise DataError(self.name, "must be a worse market than today's", was, "Correct it.")

    def move_of(self, instrument: str) -> float:
        """Return the move of BTC/USDT by its own name, else by its coin, else the others'."""
        coin = instrument.split("/")[0]
        return self.moves.get(instrument, self.moves.get(coin, self.others))


@dataclass(frozen=True, slots=True, kw_only=True)
class StressLoss:
    """What a scenario takes, as fractions of equity; losses are positive.

    Attributes
    ----------
    market, quote, leaving : float
        By moves of the positions; by the stablecoin that the cash is; by selling everything.
    """

    scenario: str
    market: float
    quote: float
    leaving: float

    @property
    def total(self) -> float:
        return self.market + self.quote + self.leaving


def stress(
    scenario: Scenario, positions: Mapping[str, float], cash: float, costs: CostConfig
) -> StressLoss:
    """Return what a book would lose in one scenario.

    Parameters
    ----------
    positions : mapping of instrument to float
        Values in quote currency; a short is negative.
    cash : float
        Quote currency.
    costs : CostConfig
        Today's pools and gas.

    Raises
    ------
    DataError
        If a value is not finite or the equity is not positive.

    Examples
    --------
    >>> half = Scenario(name="half", others=-0.5)
    >>> loss = stress(half, {"BTC/USDT": 5_000.0}, 5_000.0, CostConfig())
    >>> loss.market, round(loss.leaving, 5)
    (0.25, 0.00025)
    """
    equity = cash + sum(positions.values())
    if not (isfinite(equity) and equity > 0):
        raise DataError("equity under stress", "must be positive", equity, "Value the book first.")
    moved = {name: value * scenario.move_of(name) for name, value in positions.items()}
    dry = replace(
        costs,
        pool_depth_usd=max(1, round(costs.pool_depth_usd * scenario.depth)),
        gas_per_swap_usd=costs.gas_per_swap_usd * Decimal(repr(scenario.gas)),
    )
    left = (abs(positions[name] + moved[name]) for name in positions)
    leaving = sum(exit_cost(value, dry) for value in left if value > 0)
    return StressLoss(
        scenario=scenario.name,
        market=-sum(moved.values()) / equity,
        quote=-max(cash, 0.0) * scenario.quote / equity,
        leaving=leaving / equity,
    )


def stress_table(
    scenarios: Iterable[Scenario],
    positions: Mapping[str, float],
    cash: float,
    costs: CostConfig,
) -> list[StressLoss]:
    """Return the losses of every scenario, the worst first."""
    losses = [stress(one, positions, cash, costs) for one in scenarios]
    return sorted(losses, key=lambda loss: (-loss.total, loss.scenario))


def together(volatilities: Mapping[str, float], sigmas: float = 3.0) -> tuple[Scenario, Scenario]:
    """Return the days on which all correlations are one: everything falls, or everything rises.

    Parameters
    ----------
    volatilities : mapping of instrument to float
        One-day return standard deviations.
    sigmas : float
        How many of them each instrument moves; the others move as the largest.

    Raises
    ------
    DataError
        If a volatility is negative or not finite.
    """
    for name, volatility in volatilities.items():
        if not (isfinite(volatility) and volatility >= 0):
            raise DataError(f"volatility of {name}", "must be 0 or more", volatility, "Measure it.")
    falls, rises = (
        Scenario(
            name=f"correlation to one, {sign * sigmas:+g} sigma",
            moves={n: max(-1.0, sign * sigmas * v) for n, v in volatilities.items()},
            others=max(-1.0, sign * sigmas * max(volatilities.values(), default=0.0)),
        )
        for sign in (-1, 1)
    )
    return falls, rises


def from_episode(episode: Episode) -> Scenario:
    """Return an episode as a scenario; a coin without a record falls as the worst that has one."""
    return Scenario(
        name=episode.name,
        moves=episode.moves,
        others=min(episode.moves.values()),
        quote=episode.quote,
    )


def library(volatilities: Mapping[str, float]) -> tuple[Scenario, ...]:
    """Return every scenario: shocks, correlation to one, pools, gas, the stablecoin, episodes."""
    shocks = [Scenario(name=f"all {move:+.0%}", others=move) for move in (-0.1, -0.2, -0.4, 0.2)]
    return (
        *shocks,
        *together(volatilities),
        Scenario(name="pool liquidity -90%", depth=0.1),
        Scenario(name="gas x50", gas=50.0),
        Scenario(name="stablecoin depeg", quote=-0.12),
        Scenario(name="all at once", others=-0.4, quote=-0.12, depth=0.1, gas=50.0),
        *(from_episode(episode) for episode in EPISODES),
    )
