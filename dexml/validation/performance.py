"""What a strategy earned and risked, as pure functions of simple returns per bar."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from dexml.errors import DataError
from dexml.validation.inputs import Floats, finite

__all__ = [
    "HOURS_PER_YEAR",
    "compounded_return",
    "expected_shortfall",
    "exposure",
    "max_drawdown",
    "sharpe_ratio",
    "sortino_ratio",
    "turnover",
    "value_at_risk",
    "win_rate",
]

HOURS_PER_YEAR = 24 * 365.0


def sharpe_ratio(returns: ArrayLike, periods_per_year: float = HOURS_PER_YEAR) -> float:
    """Return the annualised Sharpe ratio of simple returns; 0 if they do not vary.

    Parameters
    ----------
    returns : array-like, shape (n,)
        Per bar, after costs. No NaN.
    periods_per_year : float
        Bars in a year; hourly by default, since these markets never close.

    Raises
    ------
    DataError
        If nothing is given or a return is missing; so in every function here.

    Examples
    --------
    >>> round(sharpe_ratio([0.01, 0.03], periods_per_year=1), 6)  # mean 0.02, deviation 0.0141
    1.414214
    """
    numbers = finite("returns", returns)
    deviation = float(np.std(numbers, ddof=1)) if len(numbers) > 1 else 0.0
    if deviation <= 1e-15 * float(np.max(np.abs(numbers))):
        return 0.0
    return float(np.mean(numbers) / deviation * np.sqrt(periods_per_year))


def sortino_ratio(returns: ArrayLike, periods_per_year: float = HOURS_PER_YEAR) -> float:
    """Return the annualised mean over the root mean square of the losses.

    Notes
    -----
    Gains count as zero losses, and the target is 0. Without a loss the ratio is infinite, or 0
    where nothing was gained either.

    References
    ----------
    Sortino and van der Meer (1991), Downside Risk.

    Examples
    --------
    >>> round(sortino_ratio([0.03, -0.01], periods_per_year=1), 6)  # 0.01 / sqrt(0.0001 / 2)
    1.414214
    """
    numbers = finite("returns", returns)
    downside = float(np.sqrt(np.mean(np.square(np.minimum(numbers, 0.0)))))
    mean = float(np.mean(numbers))
    if downside == 0.0:
        return math.inf if mean > 0 else 0.0
    return mean / downside * math.sqrt(periods_per_year)


def max_drawdown(equity: ArrayLike) -> float:
    """Return the deepest fall from a peak as a positive fraction of that peak.

    Parameters
    ----------
    equity : array-like, shape (n,)
        Positive, from what the strategy started with.

    Examples
    --------
    >>> max_drawdown([100.0, 120.0, 90.0, 130.0])
    0.25
    """
    values = finite("equity", equity)
    if not values[0] > 0:
        raise DataError("equity", "must start above 0", values[0], "Begin with the starting cash.")
    return float(np.max(1.0 - values / np.maximum.accumulate(values)))


def value_at_risk(returns: ArrayLike, level: float = 0.95) -> float:
    """Return the loss per bar that was exceeded in a share 1 - `level` of the bars.

    Notes
    -----
    A loss is positive; negative if even that return was a gain. This describes what happened, per
    bar; `dexml.risk.tail` forecasts the day ahead.

    Examples
    --------
    >>> value_at_risk(np.arange(-5, 15) / 100)  # the worst of twenty
    0.05
    """
    losses, n_tail = _losses(returns, level)
    return float(losses[math.ceil(n_tail) - 1])


def expected_shortfall(returns: ArrayLike, level: float = 0.95) -> float:
    """Return the mean loss over the worst share 1 - `level` of the bars, also called CVaR.

    Notes
    -----
    The last loss counts with the fraction that completes the share, so the figure is the minimum
    over c of c + E[max(loss - c, 0)] / (1 - level), and never below `value_at_risk`.

    References
    ----------
    Rockafellar and Uryasev (2002), Conditional value-at-risk for general loss distributions.

    Examples
    --------
    >>> round(expected_shortfall(np.arange(-5, 25) / 100), 6)  # all of the worst, half of the next
    0.046667
    """
    losses, n_tail = _losses(returns, level)
    whole = math.ceil(n_tail) - 1
    return float((losses[:whole].sum() + (n_tail - whole) * losses[whole]) / n_tail)


def compounded_return(returns: ArrayLike) -> float:
    """Return what the returns come to when each is earned on all that went before.

    Examples
    --------
    >>> round(compounded_return([0.5, -0.5]), 6)
    -0.25
    """
    return float(np.prod(1.0 + _at_least_ruin(returns)) - 1.0)


def win_rate(returns: ArrayLike) -> float:
    """Return the share of gains among the returns that are not 0; 0 if all are.

    Examples
    --------
    >>> win_rate([0.01, 0.0, 0.02, -0.03, 0.0])  # two of three
    0.6666666666666666
    """
    numbers = finite("returns", returns)
    moved = np.count_nonzero(numbers)
    return float(np.count_nonzero(numbers > 0) / moved) if moved else 0.0


def turnover(positions: ArrayLike) -> float:
    """Return what was traded, in multiples of equity, from flat to the last position.

    Parameters
    ----------
    positions : array-like, shape (n,) or (n, n_instruments)
        Held during each bar, as signed fractions of equity.

    Examples
    --------
    >>> turnover([0.0, 1.0, 1.0, -1.0])  # bought one, sold two
    3.0
    """
    held = finite("positions", positions)
    return float(np.abs(np.diff(held, axis=0, prepend=0.0)).sum())


def exposure(positions: ArrayLike) -> float:
    """Return the share of bars in which anything was held; see `turnover` for the argument.

    Examples
    --------
    >>> exposure([0.0, 0.5, -0.5, 0.0])
    0.5
    """
    held = finite("positions", positions)
    return float(np.mean(held.reshape(len(held), -1).any(axis=1)))


def _losses(returns: ArrayLike, level: float) -> tuple[Floats, float]:
    if not 0 < level < 1:
        raise DataError("level", "must lie in (0, 1)", level, "Write 95% as 0.95.")
    losses = -np.sort(finite("returns", returns))
    # 20 * (1 - 0.95) is a hair above 1, and must not reach for the second loss
    return losses, max(round(len(losses) * (1 - level), 9), 1e-9)


def _at_least_ruin(returns: ArrayLike) -> Floats:
    numbers = finite("returns", returns)
    if numbers.min() < -1:
        raise DataError(
            "returns",
            "must be at least -1, all that there is",
            numbers.min(),
            "Give fractions: -5% is -0.05.",
        )
    return numbers
