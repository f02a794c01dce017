"""Whether correlations have changed: a permutation test, and an alarm over many of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from dexml.errors import ConfigError, DataError
from dexml.risk.covariance import correlation_of, return_table
from dexml.risk.coverage import Verdict
from dexml.risk.recurrence import Floats, filtered

__all__ = ["CorrelationAlarm", "correlation_change", "heard"]

_LEAST_CHUNKS = 4


def correlation_change(
    reference: ArrayLike,
    recent: ArrayLike,
    n_draws: int = 199,
    seed: int = 0,
    chunk: int = 24,
    decay: float = 0.97,
) -> Verdict:
    """Test that correlations are the same in two periods.

    Parameters
    ----------
    reference, recent : array of shape (n_bars, n_instruments)
        Returns of two periods that do not overlap, oldest first; at least two instruments.
    n_draws, seed : int
        Permutations, and where their random numbers start.
    chunk : int
        Bars that stay together when periods are exchanged, because volatility has a memory.
    decay : float
        Memory of the volatility by which each return is divided first.

    Returns
    -------
    Verdict
        The mean squared difference of the correlations, and the share of exchanges of the
        periods' bars that show one at least as large. A change of volatility alone is no change.

    Raises
    ------
    DataError
        If a period has fewer than four chunks, a number is not finite, or columns do not fit.

    References
    ----------
    Good (2005), Permutation, Parametric and Bootstrap Tests of Hypotheses, section 3.5.
    Jennrich (1970), An Asymptotic Chi-Square Test for the Equality of Two Correlation Matrices,
    for what is tested.
    """
    periods = [_chunked(period, chunk, decay) for period in (reference, recent)]
    if periods[0].shape[2] != periods[1].shape[2] or periods[0].shape[2] < 2:
        was = f"{periods[0].shape[2]} and {periods[1].shape[2]}"
        raise DataError(
            "instruments of two periods", "must be the same, two or more", was, "Align."
        )
    pooled, n_recent = np.concatenate(periods), len(periods[1])
    products = np.einsum("kti,ktj->kij", pooled, pooled)
    seen = _difference(products, np.arange(len(pooled)), n_recent)
    generator = np.random.default_rng(seed)
    n_above = sum(
        _difference(products, generator.permutation(len(pooled)), n_recent) >= seen
        for _ in range(n_draws)
    )
    return Verdict(statistic=seen, p_value=(1 + n_above) / (1 + n_draws))


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationAlarm:
    """Evidence against unchanged correlations, gathered check after check.

    Attributes
    ----------
    checks_between_alarms : float
        How many checks pass on average, at least, before a false alarm.
    evidence : float
        Product of the evidence since the change is most likely to have happened.
    """

    checks_between_alarms: float = 100.0
    evidence: float = 0.0

    def __post_init__(self) -> None:
        if not self.checks_between_alarms > 1:
            was = self.checks_between_alarms
            raise ConfigError("checks between alarms", "must be above 1", was, "100 is usual.")

    @property
    def raised(self) -> bool:
        return self.evidence >= self.checks_between_alarms


def heard(alarm: CorrelationAlarm, p_value: float) -> CorrelationAlarm:
    """Return the alarm after one more check.

    Parameters
    ----------
    p_value : float
        Of `correlation_change` between one fixed reference and a period not tested before.

    Raises
    ------
    DataError
        If it is no p-value.

    Notes
    -----
    1 / (2 * sqrt(p)) is a bet that wins nothing on average while nothing changes (an e-value).
    M = e * max(1, M) is an e-detector: it reaches c no sooner than after c checks on average.

    References
    ----------
    Shin, Ramdas, Rinaldo (2024), E-detectors: A Nonparametric Framework for Sequential Change
    Detection, definition 2.2 and theorem 2.4; Vovk, Wang (2021), E-values: Calibration,
    Combination and Applications, eq. 1 with kappa = 1/2.

    Examples
    --------
    >>> alarm = CorrelationAlarm()
    >>> for _ in range(3):
    ...     alarm = heard(alarm, 0.005)
    >>> alarm.raised
    True
    """
    if not 0 < p_value <= 1:
        raise DataError("p-value of a check", "must be in (0, 1]", p_value, "Test again.")
    return replace(alarm, evidence=max(1.0, alarm.evidence) / (2 * sqrt(p_value)))


def _chunked(period: ArrayLike, chunk: int, decay: float) -> Floats:
    """Return the period in units of its volatility and size, shape (n_chunks, chunk, m)."""
    values = return_table(period, least=_LEAST_CHUNKS * chunk)
    values = values[len(values) % chunk :]
    steady = np.column_stack([_steady(column, decay) for column in values.T])
    steady -= steady.mean(axis=0)
    size = np.sqrt((steady * steady).mean(axis=0))
    even: Floats = np.divide(steady, size, out=np.zeros_like(steady), where=size > 0)
    return even.reshape(-1, chunk, values.shape[1])


def _steady(returns: Floats, decay: float) -> Floats:
    squares = returns * returns
    known = np.sqrt(filtered((1 - decay) * squares, decay, float(squares.mean()))[:-1])
    return np.divide(returns, known, out=np.zeros_like(returns), where=known > 0)


def _difference(products: Floats, order: np.ndarray, n_recent: int) -> float:
    old = correlation_of(products[order[:-n_recent]].sum(axis=0))
    new = correlation_of(products[order[-n_recent:]].sum(axis=0))
    n = len(old)
    return float(((old - new) ** 2).sum() / (n * (n - 1)))
