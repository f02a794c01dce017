"""What else could have happened: resampled returns and trades, GARCH prices, percentile fans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dexml.errors import ConfigError, DataError
from dexml.validation.blocks import optimal_block_length
from dexml.validation.fast.paths import garch_paths, resampled_paths
from dexml.validation.inputs import Floats, Positions, finite, varying
from dexml.validation.performance import HOURS_PER_YEAR, max_drawdown, sharpe_ratio
from dexml.validation.spread import Spread

__all__ = ["FAN", "Fan", "Figure", "Garch", "Simulated", "simulate_garch", "simulate_returns"]

FAN = (0.05, 0.25, 0.50, 0.75, 0.95)
N_POINTS, AT_ONCE, LEAST = 60, 512, 20
_Draw = Callable[[int, Positions, Floats], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure of the history, and how it came out in the simulations.

    Attributes
    ----------
    estimate : float or None
        Of the history itself; None where there is none.
    low, median, high : float
        2.5%, 50% and 97.5% of the simulations.
    """

    estimate: float | None
    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fan:
    """Equity over time, in multiples of the start.

    Attributes
    ----------
    bars : tuple of int
        How many bars had passed.
    levels : tuple of float
        Shares of the simulations at or below.
    equity : ndarray of shape (n_levels, n_points)
    """

    bars: tuple[int, ...]
    levels: tuple[float, ...]
    equity: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Simulated:
    """What the simulations say.

    Attributes
    ----------
    sharpe, max_drawdown, total_return : Figure
        The Sharpe ratio is annualised.
    loss_probability : float
        Share of the simulations that ended below the start.
    block_length : float or None
        Mean, in bars or trades; None for a model.
    """

    sharpe: Figure
    max_drawdown: Figure
    total_return: Figure
    loss_probability: float
    fan: Fan
    n_simulations: int
    block_length: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Garch:
    """A fitted GARCH(1,1): h' = omega + alpha e^2 + beta h.

    Attributes
    ----------
    mean : float
        Of a bar's return.
    variance : float
        Of the next bar.
    """

    mean: float
    omega: float
    alpha: float
    beta: float
    variance: float

    def __post_init__(self) -> None:
        if not (min(self.omega, self.variance) > 0 and min(self.alpha, self.beta) >= 0):
            was = (self.omega, self.alpha, self.beta, self.variance)
            raise ConfigError("GARCH", "must have positive variances", was, "Fit it again.")


def simulate_returns(
    returns: ArrayLike,
    n_simulations: int = 1_000,
    *,
    block_length: float | None = None,
    seed: int = 0,
    periods_per_year: float = HOURS_PER_YEAR,
) -> Simulated:
    """Return how a strategy might have gone, had its spells come in another order and number.

    Parameters
    ----------
    returns : array-like, shape (n,)
        Simple, per bar or per trade, after costs; at least 20.
    n_simulations : int
        At least 100; simulation `i` depends on `seed` and `i` alone.
    block_length : float, optional
        Mean, at least 1; by default that of Politis and White for the returns or for their
        distances from the mean, whichever is longer: calm and wild spells stay together.
    periods_per_year : float
        Bars in a year; for trades, trades in a year.

    Notes
    -----
    The stationary bootstrap. Returns that never vary are simulated as they are. Memory does not
    grow with `n_simulations`: quantiles are exact up to 4,096 and read from histograms beyond.

    Raises
    ------
    DataError
        If there are too few returns, one is missing, or one is below -1.
    ConfigError
        If there are too few simulations or the blocks are shorter than one.

    References
    ----------
    Politis and Romano (1994), The Stationary Bootstrap; Politis and White (2004), as in `blocks`.

    Examples
    --------
    >>> drawn = simulate_returns(np.random.default_rng(0).normal(0.0, 0.01, 500))
    >>> drawn.sharpe.low < 0 < drawn.sharpe.high, drawn.fan.equity.shape
    (True, (5, 60))
    """
    values = finite("returns", returns, LEAST)
    if values.min() < -1:
        raise DataError("returns", "must be at least -1", values.min(), "Give fractions.")
    length = _block_length(values) if block_length is None else float(block_length)
    if not length >= 1:
        raise ConfigError("block_length", "must be at least 1", length, "1 draws single rows.")

    def draw(first: int, rows: Positions, figures: Floats) -> None:
        resampled_paths(values, length, seed, first, rows, figures)

    equity = np.concatenate([[1.0], np.cumprod(1.0 + values)])
    known = (sharpe_ratio(values, periods_per_year), max_drawdown(equity), float(equity[-1] - 1))
    return _simulated(draw, len(values), n_simulations, known, periods_per_year, length)


def simulate_garch(
    model: Garch,
    shocks: ArrayLike,
    n_bars: int,
    n_simulations: int = 1_000,
    *,
    seed: int = 0,
    periods_per_year: float = HOURS_PER_YEAR,
) -> Simulated:
    """Return where the price may go, by a fitted GARCH and its own standardised moves.

    Parameters
    ----------
    model : Garch
    shocks : array-like, shape (n_shocks,)
        Past moves over their deviations; drawn with replacement, so that tails are as fat as
        they were.
    n_bars : int
        Length of a path.

    References
    ----------
    Bollerslev (1986), Generalized Autoregressive Conditional Heteroskedasticity; Barone-Adesi,
    Giannopoulos and Vosper (1999), VaR without correlations, for the shocks.

    Examples
    --------
    >>> model = Garch(mean=0.0, omega=2e-6, alpha=0.1, beta=0.88, variance=1e-4)
    >>> drawn = simulate_garch(model, [-1.0, 1.0] * 10, n_bars=100)
    >>> drawn.max_drawdown.low > 0, drawn.fan.bars[-1]
    (True, 100)
    """
    values = finite("shocks", shocks, LEAST)
    if n_bars < 2:
        raise ConfigError("n_bars", "must be at least 2", n_bars, "A day has 24 hours.")
    numbers = (model.mean, model.omega, model.alpha, model.beta, model.variance)

    def draw(first: int, rows: Positions, figures: Floats) -> None:
        garch_paths(np.array(numbers), values, seed, first, rows, figures)

    none = (None, None, None)
    return _simulated(draw, n_bars, n_simulations, none, periods_per_year, None)


def _block_length(values: Floats) -> float:
    spread = np.abs(values - values.mean())
    moving = [one for one in (values, spread) if np.std(one) > 1e-12 * np.max(np.abs(one))]
    return max((optimal_block_length(varying("returns", one)) for one in moving), default=1.0)


def _simulated(
    draw: _Draw,
    n: int,
    n_simulations: int,
    known: tuple[float | None, ...],
    periods_per_year: float,
    length: float | None,
) -> Simulated:
    if n_simulations < 100:
        raise ConfigError("n_simulations", "must be at least 100", n_simulations, "1,000 is usual.")
    rows = np.unique(np.linspace(1, n, min(n, N_POINTS)).round().astype(np.int64))
    spread, n_lost = Spread(3 + len(rows)), 0
    for first in range(0, n_simulations, AT_ONCE):
        drawn: Any = np.empty((min(AT_ONCE, n_simulations - first), 4 + len(rows)))
        draw(first, rows, drawn)
        n_lost += int((drawn[:, 3] < 1.0).sum())
        spread.add(_as_figures(drawn, periods_per_year))
    low, median, high = (spread.quantile(share) for share in (0.025, 0.5, 0.975))
    sharpe, fall, total = (
        Figure(estimate=one, low=low[k], median=median[k], high=high[k])
        for k, one in enumerate(known)
    )
    return Simulated(
        sharpe=sharpe,
        max_drawdown=fall,
        total_return=total,
        loss_probability=n_lost / n_simulations,
        fan=Fan(
            bars=tuple(rows.tolist()),
            levels=FAN,
            equity=np.array([spread.quantile(level)[3:] for level in FAN]),
        ),
        n_simulations=n_simulations,
        block_length=length,
    )


def _as_figures(drawn: Floats, periods_per_year: float) -> Floats:
    mean, deviation, fall, last = drawn[:, :4].T
    moved = deviation > 1e-15
    sharpe = np.divide(mean, deviation, out=np.zeros_like(mean), where=moved)
    figures = [sharpe * np.sqrt(periods_per_year), fall, last - 1.0]
    return np.column_stack([*figures, drawn[:, 4:]])
