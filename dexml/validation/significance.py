"""Whether a result could be luck: probabilistic and deflated Sharpe ratios, forecast skill."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from dexml.errors import DataError
from dexml.validation.inputs import finite, varying
from dexml.validation.metrics import clustered_standard_error, log_losses

__all__ = [
    "ForecastSkill",
    "SharpeMoments",
    "deflated_sharpe_ratio",
    "expected_maximum_sharpe",
    "forecast_skill",
    "minimum_track_record",
    "probabilistic_sharpe_ratio",
    "sharpe_moments",
]

EULER_MASCHERONI = 0.5772156649015329


@dataclass(frozen=True, slots=True, kw_only=True)
class SharpeMoments:
    """What the significance of a Sharpe ratio rests on.

    Attributes
    ----------
    sharpe : float
        Per period, not annualised.
    n : int
        Periods.
    skewness, kurtosis : float
        A normal has 0 and 3.
    """

    sharpe: float
    n: int
    skewness: float
    kurtosis: float


def sharpe_moments(returns: ArrayLike) -> SharpeMoments:
    """Return the moments of a track record.

    Parameters
    ----------
    returns : array-like, shape (n,)
        Simple returns per period, after costs. No NaN.

    Raises
    ------
    DataError
        If there are fewer than two, or they do not vary.

    Examples
    --------
    >>> moments = sharpe_moments([0.01, 0.03])
    >>> round(moments.sharpe, 6), moments.n, round(moments.kurtosis, 6)
    (1.414214, 2, 1.0)
    """
    numbers = varying("returns", finite("returns", returns, least=2))
    deviations = numbers - np.mean(numbers)
    spread = float(np.mean(deviations**2))
    return SharpeMoments(
        sharpe=float(np.mean(numbers) / np.std(numbers, ddof=1)),
        n=len(numbers),
        skewness=float(np.mean(deviations**3)) / spread**1.5,
        kurtosis=float(np.mean(deviations**4)) / spread**2,
    )


def probabilistic_sharpe_ratio(
    sharpe: float,
    n_returns: int,
    skewness: float = 0.0,
    kurtosis: float = 3.0,
    benchmark: float = 0.0,
) -> float:
    """Return the probability that the true Sharpe ratio exceeds `benchmark`.

    Parameters
    ----------
    sharpe, benchmark : float
        Per period, not annualised.
    n_returns : int
        Length of the track record in periods, at least 2.
    skewness, kurtosis : float
        Of the returns; a normal has 0 and 3.

    Raises
    ------
    DataError
        If the record is too short or the moments cannot be those of any returns.

    References
    ----------
    Bailey and Lopez de Prado (2012), The Sharpe Ratio Efficient Frontier, eq. 11.

    Examples
    --------
    >>> round(probabilistic_sharpe_ratio(0.458, 24, skewness=-2.448, kurtosis=10.164), 3)
    0.913
    """
    if n_returns < 2:
        raise DataError("track record", "must have two returns", n_returns, "Trade longer.")
    finite("Sharpe ratios", [sharpe, benchmark])
    variance = _sharpe_variance(sharpe, skewness, kurtosis)
    return float(ndtr((sharpe - benchmark) * np.sqrt((n_returns - 1) / variance)))


def minimum_track_record(
    sharpe: float,
    benchmark: float = 0.0,
    skewness: float = 0.0,
    kurtosis: float = 3.0,
    confidence: float = 0.95,
) -> float:
    """Return how many periods show `sharpe` above `benchmark` at `confidence`; inf if it is not.

    References
    ----------
    Bailey and Lopez de Prado (2012), The Sharpe Ratio Efficient Frontier, eq. 13.

    Examples
    --------
    >>> daily = 252**0.5
    >>> round(minimum_track_record(2 / daily, 1 / daily) / 252, 2)  # years
    2.73
    """
    finite("Sharpe ratios", [sharpe, benchmark])
    if not 0 < confidence < 1:
        raise DataError("confidence", "must lie in (0, 1)", confidence, "Write 95% as 0.95.")
    if sharpe <= benchmark:
        return float("inf")
    z = float(ndtri(confidence)) / (sharpe - benchmark)
    return 1.0 + _sharpe_variance(sharpe, skewness, kurtosis) * z * z


def expected_maximum_sharpe(n_trials: int, variance: float) -> float:
    """Return the best Sharpe ratio that `n_trials` worthless strategies show on average.

    Parameters
    ----------
    n_trials : int
        Independent trials; 1 gives 0.
    variance : float
        Of the trials' Sharpe ratios, per period.

    References
    ----------
    Bailey and Lopez de Prado (2014), The Deflated Sharpe Ratio, eq. 1.

    Examples
    --------
    >>> round(expected_maximum_sharpe(100, 0.5 / 250), 4)
    0.1132
    """
    if n_trials < 1 or not 0 <= variance < np.inf:
        was = f"{n_trials} trials, variance {variance}"
        raise DataError("trials", "must be counted and vary", was, "Count every run.")
    if n_trials == 1:
        return 0.0
    high, higher = ndtri(1 - 1 / n_trials), ndtri(1 - 1 / (n_trials * np.e))
    return float(np.sqrt(variance) * ((1 - EULER_MASCHERONI) * high + EULER_MASCHERONI * higher))


def deflated_sharpe_ratio(
    sharpe: float,
    n_returns: int,
    n_trials: int,
    variance: float,
    skewness: float = 0.0,
    kurtosis: float = 3.0,
) -> float:
    """Return the probability that a strategy chosen as the best of `n_trials` has any edge.

    References
    ----------
    Bailey and Lopez de Prado (2014), The Deflated Sharpe Ratio, eq. 2 and its example.

    Examples
    --------
    >>> daily = 2.5 / 250**0.5
    >>> round(deflated_sharpe_ratio(daily, 1250, 100, 0.5 / 250, skewness=-3, kurtosis=10), 4)
    0.9004
    """
    best = expected_maximum_sharpe(n_trials, variance)
    return probabilistic_sharpe_ratio(sharpe, n_returns, skewness, kurtosis, benchmark=best)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastSkill:
    """How much a forecast beats the base rate, and how sure that is.

    Attributes
    ----------
    gain : float
        Mean log-loss saved on each row, nats; negative when the forecast is worse.
    t : float
        Gain over its standard error, instants as clusters; 0 if the gain does not vary.
    n, n_clusters : int
        Rows and instants.
    """

    gain: float
    t: float
    n: int
    n_clusters: int


def forecast_skill(
    y: ArrayLike, p: ArrayLike, base: ArrayLike, closed_at: ArrayLike
) -> ForecastSkill:
    """Compare forecasts with the base rate, row by row.

    Parameters
    ----------
    y, p : array-like, shape (n,)
        Labels and probabilities, none missing.
    base : float or array-like, shape (n,)
        What would have been said without a model; must come from the training rows.
    closed_at : array-like, shape (n,)
        Instant of each row.

    References
    ----------
    Diebold and Mariano (1995), Comparing Predictive Accuracy, with clusters for the variance.

    Examples
    --------
    >>> skill = forecast_skill([1, 0, 1, 0], [0.8, 0.2, 0.7, 0.4], 0.5, [1, 1, 2, 2])
    >>> round(skill.gain, 3), skill.n_clusters
    (0.365, 2)
    """
    losses = log_losses(y, p)
    gains = (
        log_losses(y, np.broadcast_to(np.asarray(base, dtype=np.float64), losses.shape)) - losses
    )
    error = clustered_standard_error(gains, closed_at)
    gain = float(np.mean(gains))
    return ForecastSkill(
        gain=gain,
        t=gain / error if error > 0 else 0.0,
        n=len(losses),
        n_clusters=len(np.unique(np.asarray(closed_at))),
    )


def _sharpe_variance(sharpe: float, skewness: float, kurtosis: float) -> float:
    variance = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe * sharpe
    if not 0 < variance < np.inf:
        raise DataError(
            "moments",
            "must make a positive variance of the Sharpe ratio",
            f"skewness {skewness}, kurtosis {kurtosis}",
            "Use the kurtosis of the returns (3 for a normal), not the excess.",
        )
    return variance
