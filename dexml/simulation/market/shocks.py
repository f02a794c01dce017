"""What does not depend on the direction: sizes of moves, their volatility, paths inside bars.

Volatility is a GARCH(1,1) driven by the *size* of moves, so sizes and directions are independent
given the past, and every probability about sizes is known in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from dexml.domain import Floats
from dexml.simulation.market.config import MarketConfig

__all__ = ["TAIL", "Shocks", "draw_shocks", "size_below"]

TAIL = 6.0  # degrees of freedom of the moves: fat tails with a finite fourth moment
_ARCH, _GARCH = 0.07, 0.91
_SIZE_CORRELATION, _SIGN_CORRELATION = 0.5, 0.5
_LOWEST, _HIGHEST = 0.4, 3.5  # bounds of volatility in units of its long-run level
_T_SPREAD = float(np.sqrt(TAIL / (TAIL - 2)))
_N_STEPS = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shocks:
    """Draws of shape (n_bars, n_instruments).

    Attributes
    ----------
    score : ndarray
        Normal score of the size of a move; independent over bars.
    volatility : ndarray
        Standard deviation of the bar's log return, known at the close before it.
    size : ndarray
        Absolute log return.
    threshold : ndarray
        The bar rises exactly when the logit of its probability exceeds this.
    """

    score: Floats
    volatility: Floats
    size: Floats
    threshold: Floats


def draw_shocks(config: MarketConfig) -> Shocks:
    """Draw sizes, volatility and direction thresholds for all bars."""
    shape = (config.n_bars, len(config.instruments))
    score = correlated_normals(config.generator(1), shape, _SIZE_CORRELATION)
    unit = stats.t.ppf(0.5 + 0.5 * special.ndtr(score), TAIL) / _T_SPREAD
    volatility = config.bar_volatility * _relative_volatility(unit)
    return Shocks(
        score=score,
        volatility=volatility,
        size=unit * volatility,
        threshold=draw_thresholds(config.generator(2), shape),
    )


def draw_thresholds(generator: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Draw logits of uniforms, joined over the last axis by a Gaussian copula."""
    normals = correlated_normals(generator, shape, _SIGN_CORRELATION)
    return np.asarray(special.log_ndtr(normals) - special.log_ndtr(-normals))


def correlated_normals(
    generator: np.random.Generator, shape: tuple[int, ...], correlation: float
) -> Floats:
    """Draw standard normals that share one factor over the last axis."""
    shared = generator.standard_normal((*shape[:-1], 1))
    own = generator.standard_normal(shape)
    return np.asarray(np.sqrt(correlation) * shared + np.sqrt(1.0 - correlation) * own)


def _relative_volatility(unit: Floats) -> Floats:
    variance = np.ones_like(unit)
    for bar in range(1, len(unit)):
        grown = 1.0 - _ARCH - _GARCH + (_ARCH * unit[bar - 1] ** 2 + _GARCH) * variance[bar - 1]
        variance[bar] = np.clip(grown, _LOWEST**2, _HIGHEST**2)
    return np.sqrt(variance)


def next_volatility(config: MarketConfig, shocks: Shocks) -> Floats:
    """Volatility of the bar after each bar, known at its close, shape as the shocks."""
    relative = shocks.volatility[-1] / config.bar_volatility
    unit = shocks.size[-1] / shocks.volatility[-1]
    grown = 1.0 - _ARCH - _GARCH + (_ARCH * unit**2 + _GARCH) * relative**2
    last = config.bar_volatility * np.sqrt(np.clip(grown, _LOWEST**2, _HIGHEST**2))
    return np.vstack([shocks.volatility[1:], last])


def size_below(bound: Floats, volatility: Floats) -> Floats:
    """Probability that the size of a move is below `bound`; 0 for negative bounds."""
    scaled = np.maximum(bound, 0.0) / volatility * _T_SPREAD
    return np.asarray(2.0 * special.stdtr(TAIL, scaled) - 1.0)


def draw_wicks(config: MarketConfig, move: Floats, volatility: Floats) -> tuple[Floats, Floats]:
    """Draw how far each bar reached above and below its open, as log prices.

    A random walk of 12 steps is bent so that it ends at `move`; open and close are on the path,
    so the first result is at least max(0, move) and the second at most min(0, move).
    """
    steps = config.generator(3).standard_normal((_N_STEPS, *move.shape))
    walk = np.cumsum(steps, axis=0) / np.sqrt(_N_STEPS)
    share = (np.arange(1, _N_STEPS + 1) / _N_STEPS)[:, None, None]
    path = share * move + 0.8 * volatility * (walk - share * walk[-1])
    path[-1] = move
    return np.maximum(path.max(axis=0), 0.0), np.minimum(path.min(axis=0), 0.0)
