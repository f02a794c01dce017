"""One-day value at risk and expected shortfall by filtered historical simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, sqrt
from operator import mul

from dexml.errors import DataError

__all__ = ["Tail", "tail_risk"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Losses as positive fractions of equity."""

    value_at_risk: float = 0.0
    expected_shortfall: float = 0.0


def tail_risk(
    returns: Sequence[float], bars_per_day: float, level: float = 0.95, decay: float = 0.97
) -> Tail:
    """Estimate the one-day tail of a portfolio from its bar returns.

    Parameters
    ----------
    returns : sequence of float, shape (n_bars,)
        Oldest first; what today's positions would have earned.
    bars_per_day : float
        Bars in a day; a day's tail is the bar's times its root.
    level : float
        Confidence.
    decay : float
        Memory of the exponentially weighted variance.

    Raises
    ------
    DataError
        If there are fewer than 20 returns: a 95% tail needs one loss beyond it.

    Notes
    -----
    Each return is divided by the volatility known just before it; the quantile of these
    standardised returns times the volatility known now is the bar's VaR.

    References
    ----------
    Hull, White (1998), Incorporating volatility updating into the historical simulation method.
    Barone-Adesi, Giannopoulos, Vosper (1999), VaR without correlations.

    Examples
    --------
    >>> tail_risk([0.01, -0.01] * 20, bars_per_day=1)
    Tail(value_at_risk=0.01, expected_shortfall=0.01)
    """
    if len(returns) < 20:
        raise DataError("tail risk", "must have at least 20 returns", len(returns), "Wait.")
    shocks, volatility = _standardise(returns, decay)
    n_beyond = max(1, int(len(shocks) * (1 - level)))
    worst = sorted(shocks)[:n_beyond]
    scale = volatility * sqrt(bars_per_day)
    return Tail(
        value_at_risk=max(0.0, -worst[-1] * scale),
        expected_shortfall=max(0.0, -fsum(worst) / n_beyond * scale),
    )


def _standardise(returns: Sequence[float], decay: float) -> tuple[list[float], float]:
    variance = fsum(map(mul, returns, returns)) / len(returns)
    shocks = []
    for value in returns:
        shocks.append(value / sqrt(variance) if variance > 0 else 0.0)
        variance = decay * variance + (1 - decay) * value * value
    return shocks, sqrt(variance)
