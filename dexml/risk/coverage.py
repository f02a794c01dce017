"""Whether forecast tails held: Kupiec, Christoffersen, Acerbi-Szekely, Holm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, xlogy

from dexml.errors import DataError
from dexml.risk.recurrence import Floats
from dexml.risk.tail import Tail

__all__ = [
    "Coverage",
    "TailRecord",
    "Verdict",
    "acerbi_szekely",
    "conditional_coverage",
    "holm",
    "independence",
    "kupiec",
    "tail_record",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A test statistic and the probability of one at least as bad if the forecasts are right."""

    statistic: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TailRecord:
    """What was forecast of each day, and what the day lost.

    Attributes
    ----------
    losses, value_at_risk, expected_shortfall : ndarray of shape (n_days,)
        Positive fractions; days do not overlap.
    """

    losses: Floats
    value_at_risk: Floats
    expected_shortfall: Floats

    @property
    def beyond(self) -> NDArray[np.bool_]:
        """The days that lost more than their VaR, shape (n_days,)."""
        return self.losses > self.value_at_risk


def tail_record(
    returns: Floats, forecast: Callable[[Floats], Tail], window: int, holding: int
) -> TailRecord:
    """Forecast each day from the window before it, and see what it lost.

    Parameters
    ----------
    returns : ndarray of shape (n_bars,)
        Simple returns, oldest first.
    forecast : callable
        From the last `window` returns to the tail of the next `holding` bars.
    window, holding : int
        Bars that a forecast sees; bars of a day.

    Raises
    ------
    DataError
        If there is no day after the first window.
    """
    starts = range(window, returns.size - holding + 1, holding)
    if not starts:
        raise DataError(
            "tail record", f"must have more than {window} bars", returns.size, "Add history."
        )
    tails = [forecast(returns[start - window : start]) for start in starts]
    losses = [1 - float(np.prod(1 + returns[start : start + holding])) for start in starts]
    return TailRecord(
        losses=np.array(losses),
        value_at_risk=np.array([tail.value_at_risk for tail in tails]),
        expected_shortfall=np.array([tail.expected_shortfall for tail in tails]),
    )


def kupiec(beyond: ArrayLike, rate: float = 0.05) -> Verdict:
    """Test that losses beyond the VaR are as frequent as promised (proportion of failures).

    Parameters
    ----------
    beyond : array of bool, shape (n_days,)
        Which days lost more than their VaR.
    rate : float
        Promised share; 0.05 for a 95% VaR.

    References
    ----------
    Kupiec (1995), Techniques for Verifying the Accuracy of Risk Measurement Models, J. Derivatives
    3(2), eq. 2; the example is Jorion (2007), Value at Risk, box 6-2: JP Morgan's 20 of 252 days.

    Examples
    --------
    >>> round(kupiec([True] * 20 + [False] * 232).statistic, 2)
    3.91
    """
    hits = _hits(beyond)
    n, k = hits.size, int(hits.sum())
    statistic = 2 * (_likelihood(k, n, k / n) - _likelihood(k, n, rate))
    return _against_chi2(statistic, freedom=1)


def independence(beyond: ArrayLike) -> Verdict:
    """Test that a day beyond the VaR does not foretell another (first-order Markov).

    References
    ----------
    Christoffersen (1998), Evaluating Interval Forecasts, Int. Economic Review 39(4), section 3.2.
    """
    hits = _hits(beyond)
    before, after = hits[:-1], hits[1:]
    n_calm, n_hit = int((~before).sum()), int(before.sum())
    calm, hit = int((~before & after).sum()), int((before & after).sum())
    pooled = (calm + hit) / after.size
    free = _likelihood(calm, n_calm, calm / max(1, n_calm)) + _likelihood(
        hit, n_hit, hit / max(1, n_hit)
    )
    return _against_chi2(2 * (free - _likelihood(calm + hit, after.size, pooled)), freedom=1)


def conditional_coverage(beyond: ArrayLike, rate: float = 0.05) -> Verdict:
    """Test frequency and independence together.

    References
    ----------
    Christoffersen (1998), section 3.3: the two likelihood ratios add up.
    """
    statistic = kupiec(beyond, rate).statistic + independence(beyond).statistic
    return _against_chi2(statistic, freedom=2)


def acerbi_szekely(
    record: TailRecord, rate: float = 0.05, n_draws: int = 2_000, seed: int = 0
) -> Verdict:
    """Test the expected shortfall: Z2 = 1 - sum(loss beyond VaR / (n * rate * ES)).

    Z2 is 0 on average if the forecasts are right and negative if losses are worse; the p-value is
    the share of simulated records that are at least as bad.

    Parameters
    ----------
    record : TailRecord
        Every expected shortfall positive and at least its VaR.
    rate : float
        Promised share of days beyond the VaR.
    n_draws, seed : int
        Simulated records, and where their random numbers start.

    Notes
    -----
    Simulated days are beyond their VaR with probability `rate`, and then lose VaR + (ES - VaR) * x
    with x exponential of mean 1: the simplest tail with the forecast's VaR and ES.

    References
    ----------
    Acerbi, Szekely (2014), Back-testing expected shortfall, Risk 27(11), eq. 6 and section 2.3.
    """
    var, es = record.value_at_risk, record.expected_shortfall
    if not ((es > 0) & (es >= var)).all():
        worst = float(np.min(es - var))
        raise DataError(
            "expected shortfall", "must be positive and at least the VaR", worst, "Check the tail."
        )
    unit = var.size * rate * es
    seen = 1 - float(np.sum(np.where(record.beyond, record.losses, 0.0) / unit))
    generator = np.random.default_rng(seed)
    worse = 0
    for _ in range(n_draws):
        hit = generator.random(var.size) < rate
        lost = var[hit] + (es - var)[hit] * generator.exponential(size=int(hit.sum()))
        worse += 1 - float(np.sum(lost / unit[hit])) <= seen
    return Verdict(statistic=seen, p_value=(1 + worse) / (1 + n_draws))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number by Holm's step-down rule, in their order.

    References
    ----------
    Holm (1979), A Simple Sequentially Rejective Multiple Test Procedure, Scand. J. Statistics 6.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda k: p_values[k])
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, k in enumerate(order):
        largest = max(largest, (len(p_values) - rank) * p_values[k])
        corrected[k] = min(1.0, largest)
    return corrected


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """All tests of one record."""

    n_days: int
    share_beyond: float
    kupiec: Verdict
    independence: Verdict
    conditional: Verdict
    shortfall: Verdict

    @classmethod
    def of(cls, record: TailRecord, rate: float = 0.05) -> Coverage:
        """Return the tests of a record of days."""
        beyond = record.beyond
        return cls(
            n_days=beyond.size,
            share_beyond=float(beyond.mean()),
            kupiec=kupiec(beyond, rate),
            independence=independence(beyond),
            conditional=conditional_coverage(beyond, rate),
            shortfall=acerbi_szekely(record, rate),
        )


def _hits(beyond: ArrayLike) -> NDArray[np.bool_]:
    hits = np.asarray(beyond, dtype=bool)
    if hits.ndim != 1 or hits.size < 2:
        raise DataError("days to test", "must be at least 2", hits.size, "Forecast more days.")
    return hits


def _likelihood(k: int, n: int, share: float) -> float:
    return float(xlogy(k, share) + xlogy(n - k, 1 - share))


def _against_chi2(statistic: float, freedom: int) -> Verdict:
    ratio = max(0.0, statistic)
    return Verdict(statistic=ratio, p_value=float(chdtrc(freedom, ratio)))
