"""How much: Kelly on calibrated probability and realised payoffs, damped by volatility."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import Literal

from dexml.errors import ConfigError

__all__ = [
    "Payoff",
    "SizingConfig",
    "expected_return",
    "kelly_fraction",
    "payoff",
    "volatility_damped",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingConfig:
    """Bounds of the position size.

    Attributes
    ----------
    kelly_cap : float
        Largest share of equity at risk in one instrument.
    min_outcomes : int
        Before so many outcomes win and loss are taken as equal.
    shrinkage_outcomes : int
        Number of outcomes at which the measured payoff counts half.
    max_outcomes : int
        Length of the memory of outcomes.
    min_notional : float
        Smallest order, in quote currency.
    max_pool_share : float
        Largest position, as a share of the pool's quote reserve: what a swap can bear in impact.
    odds : "measured" or "seed"
        Win and loss as measured, or the seed's constants of 2% and 1%: with those a coin flip
        has the size of the cap, so they are warned about.
    """

    kelly_cap: float = 0.25
    min_outcomes: int = 100
    shrinkage_outcomes: int = 400
    max_outcomes: int = 1_000
    min_notional: float = 10.0
    max_pool_share: float = 0.001
    odds: Literal["measured", "seed"] = "measured"

    def __post_init__(self) -> None:
        if not 0 < self.kelly_cap <= 1:
            raise ConfigError(
                "sizing.kelly_cap", "must be in (0, 1]", self.kelly_cap, "0.25 is the default."
            )
        if self.max_outcomes < self.min_outcomes:
            raise ConfigError(
                "sizing.max_outcomes",
                f"must be at least min_outcomes ({self.min_outcomes})",
                self.max_outcomes,
                "Remember more outcomes.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Payoff:
    """Mean win and mean loss over the horizon, in one unit, and how often a win happened.

    A loss is never taken smaller than what makes the base rate a fair bet: what drift alone
    would earn is not an edge of the forecast.

    Attributes
    ----------
    win, loss : float
        In units of the usual move, or fractions if `is_fraction`.
    """

    win: float = 1.0
    loss: float = 1.0
    base_rate: float = 0.5
    is_fraction: bool = False

    def scaled(self, magnitude: float, cost: float = 0.0) -> Payoff:
        """Return the payoff as fractions, `magnitude` the usual move, `cost` paid either way."""
        unit = 1.0 if self.is_fraction else magnitude
        win, loss = self.win * unit - cost, self.loss * unit + cost
        return Payoff(win=win, loss=loss, base_rate=self.base_rate, is_fraction=True)


_SEED = Payoff(win=0.02, loss=0.01, base_rate=1 / 3, is_fraction=True)


def payoff(outcomes: Sequence[float], config: SizingConfig) -> Payoff:
    """Estimate the payoff from realised horizon returns, shrunk towards win = loss.

    Parameters
    ----------
    outcomes : sequence of float, shape (n_outcomes,)
        Returns over the horizon, in units of the instrument's mean absolute return.
    config : SizingConfig
        Minimum number and shrinkage, or the seed's constants.

    Examples
    --------
    >>> payoff([0.5, -0.5], SizingConfig())
    Payoff(win=1.0, loss=1.0, base_rate=0.5, is_fraction=False)
    """
    if config.odds == "seed":
        return _SEED
    wins = [value for value in outcomes if value > 0]
    losses = [-value for value in outcomes if value < 0]
    if len(outcomes) < config.min_outcomes or not wins or not losses:
        return Payoff()
    weight = len(outcomes) / (len(outcomes) + config.shrinkage_outcomes)
    win, loss = fsum(wins) / len(wins), fsum(losses) / len(losses)
    middle = (win + loss) / 2
    base_rate = 0.5 + weight * (len(wins) / (len(wins) + len(losses)) - 0.5)
    win, loss = middle + weight * (win - middle), middle + weight * (loss - middle)
    return Payoff(win=win, loss=max(loss, win * base_rate / (1 - base_rate)), base_rate=base_rate)


def expected_return(probability: float, odds: Payoff) -> float:
    """Return p*W - (1-p)*L, in the unit of `odds`; positive favours a long position."""
    return probability * odds.win - (1 - probability) * odds.loss


def kelly_fraction(probability: float, odds: Payoff, cap: float) -> float:
    """Return the share of equity to put at risk on a win of that probability.

    Parameters
    ----------
    probability : float
        Chance of the win; for a short position the chance of a fall.
    odds : Payoff
        Win and loss; with win = loss the result is 2p - 1.
    cap : float
        Largest fraction.

    Returns
    -------
    float
        In [0, cap]; 0 where there is nothing to win.

    References
    ----------
    Kelly (1956), A New Interpretation of Information Rate, Bell System Technical Journal 35.

    Examples
    --------
    >>> round(kelly_fraction(0.6, Payoff(), cap=0.25), 12), kelly_fraction(0.5, Payoff(), cap=0.25)
    (0.2, 0.0)
    """
    if odds.win <= 0:
        return 0.0
    return min(cap, max(0.0, expected_return(probability, odds) / odds.win))


def volatility_damped(fraction: float, equity: float, daily_volatility: float) -> float:
    """Return the notional f * equity / (1 + 10*vol), vol the one-day return standard deviation.

    It is 0 where the volatility is not known (NaN).
    """
    if not daily_volatility >= 0:
        return 0.0
    return fraction * equity / (1 + 10 * daily_volatility)
