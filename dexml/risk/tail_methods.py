"""Other estimates of the one-day tail, beside the default: GARCH, plain history, Cornish-Fisher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, pi, sqrt
from statistics import NormalDist
from types import MappingProxyType

import numpy as np

from dexml.errors import DataError
from dexml.risk.garch import Garch, fit_garch, garch_variance, variance_over
from dexml.risk.recurrence import Floats
from dexml.risk.tail import LONG_DAYS, Tail, day_sums, empirical_tail, finite_returns, tail_risk

__all__ = [
    "METHODS",
    "CornishFisher",
    "cornish_fisher",
    "cornish_fisher_tail",
    "garch_tail",
    "historical_tail",
]


def historical_tail(
    returns: Sequence[float] | Floats, bars_per_day: float, level: float = 0.95
) -> Tail:
    """Return the empirical tail of the days of the window, begun at every bar.

    Raises
    ------
    DataError
        If the window is shorter than 60 days or not finite.

    Examples
    --------
    >>> historical_tail([0.01, -0.02] * 40, bars_per_day=1)
    Tail(value_at_risk=0.02, expected_shortfall=0.02)
    """
    return empirical_tail(_days(returns, bars_per_day), level)


def garch_tail(
    returns: Sequence[float] | Floats,
    bars_per_day: float,
    level: float = 0.95,
    model: Garch | None = None,
) -> Tail:
    """Return the tail of days standardised by the variance that GARCH(1,1) expected of them.

    Parameters
    ----------
    model : Garch, optional
        A model fitted before, on data known then; by default it is fitted to the window.

    Raises
    ------
    DataError
        If the window is shorter than 60 days, not finite, or cannot be fitted.

    References
    ----------
    Barone-Adesi, Giannopoulos, Vosper (1999), VaR without correlations.

    Examples
    --------
    >>> calm = np.random.default_rng(0).normal(0.0, 0.01, 2_000)
    >>> 0.015 < garch_tail(calm, bars_per_day=1).value_at_risk < 0.018
    True
    """
    days = _days(returns, bars_per_day)
    values, holding = np.asarray(returns, dtype=np.float64), max(1, round(bars_per_day))
    fitted = model or fit_garch(values)
    expected = np.sqrt(variance_over(garch_variance(values, fitted), fitted, holding))
    shocks = empirical_tail(days / expected[: days.size], level)
    return Tail(
        value_at_risk=shocks.value_at_risk * float(expected[-1]),
        expected_shortfall=shocks.expected_shortfall * float(expected[-1]),
    )


def cornish_fisher_tail(
    returns: Sequence[float] | Floats, bars_per_day: float, level: float = 0.95
) -> Tail:
    """Return the tail of the Cornish-Fisher distribution with the moments of the window's days.

    Raises
    ------
    DataError
        If the window is shorter than 60 days, not finite, or its skewness and kurtosis are those
        of no Cornish-Fisher distribution.

    References
    ----------
    Maillard (2012), A User's Guide to the Cornish Fisher Expansion, sections 2 to 4.
    """
    days = _days(returns, bars_per_day)
    centre, spread = float(days.mean()), float(days.std())
    if spread == 0:
        return Tail(value_at_risk=max(0.0, -centre), expected_shortfall=max(0.0, -centre))
    shocks = (days - centre) / spread
    fitted = cornish_fisher(float(np.mean(shocks**3)), float(np.mean(shocks**4)) - 3)
    quantile, mean_beyond = fitted.lower_tail(1 - level)
    return Tail(
        value_at_risk=max(0.0, -centre - spread * quantile),
        expected_shortfall=max(0.0, -centre - spread * mean_beyond),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CornishFisher:
    """The standardised distribution of the cubic of a normal variable.

    Attributes
    ----------
    skew, kurtosis : float
        Parameters of the cubic; the true moments differ from them.
    """

    skew: float
    kurtosis: float

    def cubic(self) -> Floats:
        """Return the coefficients of 1, z, z^2, z^3 before standardisation (Maillard, eq. 2)."""
        s, k = self.skew, self.kurtosis
        return np.array(
            [-s / 6, 1 - k / 8 + 5 * s * s / 36, s / 6, k / 24 - s * s / 18], dtype=np.float64
        )

    def is_monotone(self) -> bool:
        """Say whether quantiles keep their order: the slope of the cubic has no zero."""
        _, b, c, d = self.cubic()
        return bool(d >= -_TINY and b >= 0 and c * c <= 3 * b * d + _TINY)

    def moments(self) -> tuple[float, float, float]:
        """Return variance, skewness and excess kurtosis, exact by Gauss-Hermite quadrature."""
        values = np.polynomial.polynomial.polyval(_NODES, self.cubic())
        variance, third, fourth = (float(_WEIGHTS @ values**power) for power in (2, 3, 4))
        return variance, third / variance**1.5, fourth / variance**2 - 3

    def lower_tail(self, probability: float) -> tuple[float, float]:
        """Return the quantile and the mean below it, in standard deviations."""
        z, cubic = NormalDist().inv_cdf(probability), self.cubic()
        density = exp(-z * z / 2) / sqrt(2 * pi)
        below = np.array([probability, -density, probability - z * density, -(z * z + 2) * density])
        deviation = sqrt(self.moments()[0])
        quantile = float(cubic @ np.array([1, z, z * z, z**3]))
        return quantile / deviation, float(cubic @ below) / probability / deviation


_TINY = 1e-12  # the normal itself lies on the border of the domain
_NODES, _RAW = np.polynomial.hermite_e.hermegauss(8)  # exact up to degree 15; four cubics make 12
_WEIGHTS = _RAW / _RAW.sum()


def cornish_fisher(skewness: float, excess_kurtosis: float) -> CornishFisher:
    """Return the distribution that has these moments.

    Raises
    ------
    DataError
        If no monotone cubic has them: outside this domain quantiles would not keep their order.

    Examples
    --------
    >>> fitted = cornish_fisher(-0.5, 2.0)
    >>> [round(value, 6) for value in fitted.moments()[1:]]
    [-0.5, 2.0]
    """
    wanted = np.array([skewness, excess_kurtosis], dtype=np.float64)

    def miss(x: Floats) -> Floats:
        of_x = CornishFisher(skew=float(x[0]), kurtosis=float(x[1])).moments()
        return np.array(of_x[1:], dtype=np.float64) - wanted

    from scipy.optimize import root  # half a second, of commands that never decide

    found = root(miss, wanted / np.array([1.0, 1.0 + max(0.0, excess_kurtosis) / 8]), tol=1e-12)
    fitted = CornishFisher(skew=float(found.x[0]), kurtosis=float(found.x[1]))
    if not np.abs(miss(found.x)).max() < 1e-8 or not fitted.is_monotone():
        raise DataError(
            "Cornish-Fisher moments",
            "must be inside its domain (Maillard, 2012)",
            f"skewness {skewness:.3g} and excess kurtosis {excess_kurtosis:.3g}",
            "Use the filtered historical tail.",
        )
    return fitted


def _days(returns: Sequence[float] | Floats, bars_per_day: float) -> Floats:
    values, holding = finite_returns(returns), max(1, round(bars_per_day))
    if values.size < LONG_DAYS * holding:
        raise DataError(
            "window of the tail",
            f"must be at least {LONG_DAYS} days ({LONG_DAYS * holding} bars)",
            f"{values.size} bars",
            "Use the filtered historical tail, which needs 20.",
        )
    return day_sums(values, holding)


METHODS: MappingProxyType[str, Callable[[Floats, float], Tail]] = MappingProxyType(
    {
        "ewma": tail_risk,
        "garch": garch_tail,
        "historical": historical_tail,
        "cornish_fisher": cornish_fisher_tail,
    }
)
