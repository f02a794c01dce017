"""Intervals by the stationary bootstrap over blocks of timestamps, all instruments together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr, stdtrit

from dexml.errors import ConfigError, DataError
from dexml.validation.blocks import LEAST_INSTANTS, optimal_block_length, resampled_positions
from dexml.validation.inputs import Floats, Positions, finite, instants_of

__all__ = [
    "USUAL",
    "Bootstrap",
    "Interval",
    "automatic_block_length",
    "bootstrap_draws",
    "bootstrap_intervals",
]

Statistic = Callable[[Any], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """How to resample.

    Attributes
    ----------
    n_resamples : int
        At least 100; resample `i` depends on `seed` and `i` alone, so parts can be drawn apart.
    block_length : float, optional
        Mean length of a block in instants, at least 1; by default `automatic_block_length`.
    level : float
        Coverage of the intervals.
    """

    n_resamples: int = 1_000
    block_length: float | None = None
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_resamples < 100:
            raise ConfigError(
                "n_resamples", "must be at least 100", self.n_resamples, "1,000 is usual."
            )
        if self.block_length is not None and not self.block_length >= 1:
            raise ConfigError(
                "block_length", "must be at least 1", self.block_length, "1 resamples single rows."
            )
        if not 0 < self.level < 1:
            raise ConfigError("level", "must lie in (0, 1)", self.level, "Write 95% as 0.95.")


USUAL = Bootstrap()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate and how far it would have varied.

    Attributes
    ----------
    estimate : float
        Of the table as it is.
    low, high : float
        Ends of the interval at `level`; never beyond what was drawn.
    standard_error : float
        Standard deviation of the statistic over the resamples.
    """

    estimate: float
    low: float
    high: float
    standard_error: float
    level: float
    n_resamples: int
    block_length: float


def bootstrap_intervals(
    table: pd.Series | pd.DataFrame,
    statistics: Mapping[str, Statistic],
    settings: Bootstrap = USUAL,
) -> dict[str, Interval]:
    """Return an interval for each statistic, all from the same resamples.

    Parameters
    ----------
    table, statistics, settings
        See `bootstrap_draws`.

    Notes
    -----
    Percentile intervals, ends taken outward to the nearest draw. With blocks of L in n instants
    the draws vary too little by about 1 - 2 L / n and are known about as well as from n / L of
    them, so the tails are those of a Student t with n / L degrees on that scale.

    References
    ----------
    Politis and Romano (1994), The Stationary Bootstrap.
    Kiefer and Vogelsang (2005), A New Asymptotic Theory for Heteroskedasticity-Autocorrelation
    Robust Tests, for what long blocks cost.

    Examples
    --------
    >>> hours = pd.date_range("2024-01-01", periods=500, freq="h", name="closed_at")
    >>> returns = pd.Series(np.random.default_rng(0).normal(0.0, 0.01, 500), hours)
    >>> mean = bootstrap_intervals(returns, {"mean": np.mean})["mean"]
    >>> mean.low < 0 < mean.high
    True
    """
    length = settings.block_length or automatic_block_length(table)
    draws = bootstrap_draws(table, statistics, replace(settings, block_length=length))
    panel = _Panel.of(table)
    tail = _tail(settings.level, len(panel.first) / length)
    return {
        name: Interval(
            estimate=_value(name, statistics[name], panel.whole()),
            low=float(np.quantile(draws[name], tail, method="lower")),
            high=float(np.quantile(draws[name], 1 - tail, method="higher")),
            standard_error=float(draws[name].std(ddof=1)),
            level=settings.level,
            n_resamples=settings.n_resamples,
            block_length=length,
        )
        for name in statistics
    }


def bootstrap_draws(
    table: pd.Series | pd.DataFrame,
    statistics: Mapping[str, Statistic],
    settings: Bootstrap = USUAL,
) -> pd.DataFrame:
    """Return every statistic of every resample, shape (n_resamples, n_statistics).

    Parameters
    ----------
    table : Series or DataFrame of shape (n_rows,) or (n_rows, n_columns)
        Finite numbers, index `closed_at` or (`closed_at`, `instrument`), oldest first, no row
        twice. Rows of one instant are drawn together.
    statistics : mapping of str to callable
        Called with the resampled rows: an ndarray for a Series, else a DataFrame with the same
        columns, indexed by the number of the instant in the resample.
    settings : Bootstrap

    Notes
    -----
    One resample is held at a time, so memory is that of one more table.

    Raises
    ------
    DataError
        If the table cannot be resampled, or a statistic is not a number on a resample.

    Examples
    --------
    >>> hours = pd.date_range("2024-01-01", periods=50, freq="h", name="closed_at")
    >>> rows = pd.DataFrame({"y": np.arange(50) % 2, "p": 0.5}, hours)
    >>> bootstrap_draws(rows, {"rate": lambda drawn: drawn["y"].mean()}).shape
    (1000, 1)
    """
    panel = _Panel.of(table)
    length = settings.block_length or automatic_block_length(table)
    draws = np.empty((settings.n_resamples, len(statistics)))
    for row, drawn in zip(draws, _resamples(panel, length, settings), strict=True):
        row[:] = [_value(name, statistic, drawn) for name, statistic in statistics.items()]
    return pd.DataFrame(draws, columns=list(statistics))


def automatic_block_length(table: pd.Series | pd.DataFrame) -> float:
    """Return twice the longest `optimal_block_length` of the columns and their absolute deviations.

    Notes
    -----
    Returns without autocorrelation still have calm and wild spells, and the error of a Sharpe
    ratio or of a tail depends on them; hence the absolute deviations. The optimal length makes the
    error of a variance smallest; intervals that cover want less bias and so more (Sun, Phillips
    and Jin 2008). Rows of one instant are averaged first; a column that never moves asks for
    nothing, and none for more than a third of the history.

    Examples
    --------
    >>> hours = pd.date_range("2024-01-01", periods=400, freq="h", name="closed_at")
    >>> automatic_block_length(pd.Series(np.tile([0.01, -0.01], 200), hours)) >= 1
    True
    """
    panel = _Panel.of(table)
    columns = panel.values.reshape(len(panel.values), -1)
    means = np.add.reduceat(columns, panel.first, axis=0) / panel.counts[:, None]
    spreads = np.abs(columns - columns.mean(axis=0))
    spread_means = np.add.reduceat(spreads, panel.first, axis=0) / panel.counts[:, None]
    series = np.hstack([means, spread_means]).T
    moving = [one for one in series if np.std(one) > 1e-12 * np.max(np.abs(one))]
    longest = max((optimal_block_length(one) for one in moving), default=0.5)
    return min(2.0 * longest, len(panel.first) / 3)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Panel:
    values: Floats
    columns: pd.Index | None
    first: Positions
    counts: Positions

    @classmethod
    def of(cls, table: pd.Series | pd.DataFrame) -> _Panel:
        instants = instants_of(table)
        first = np.flatnonzero(np.r_[True, instants[1:] != instants[:-1]][: len(instants)])
        return cls(
            values=finite("table", table.to_numpy(dtype=np.float64)),
            columns=table.columns if isinstance(table, pd.DataFrame) else None,
            first=first,
            counts=np.diff(first, append=len(instants)),
        )

    def whole(self) -> Any:
        return self.take(np.arange(len(self.first)))

    def take(self, instants: Positions) -> Any:
        counts = self.counts[instants]
        ends = np.cumsum(counts)
        rows = np.repeat(self.first[instants] - ends + counts, counts) + np.arange(ends[-1])
        drawn = self.values[rows]
        if self.columns is None:
            return drawn
        number = pd.Index(np.repeat(np.arange(len(instants)), counts), name="instant")
        return pd.DataFrame(drawn, index=number, columns=self.columns, copy=False)


def _resamples(panel: _Panel, length: float, settings: Bootstrap) -> Iterator[Any]:
    n = len(panel.first)
    if n < LEAST_INSTANTS:
        raise DataError(
            "table", f"must span at least {LEAST_INSTANTS} instants", n, "Give a longer history."
        )
    for number in range(settings.n_resamples):
        generator = np.random.default_rng([settings.seed, number])
        yield panel.take(resampled_positions(n, length, generator))


def _tail(level: float, n_blocks: float) -> float:
    n = max(n_blocks, 3.0)
    return float(ndtr(stdtrit(n, (1 - level) / 2) / np.sqrt(1 - 2 / n)))


def _value(name: str, statistic: Statistic, drawn: Any) -> float:
    value = float(statistic(drawn))
    if np.isnan(value):
        raise DataError(
            name, "must be a number on every resample", value, "Say what it is when undefined."
        )
    return value
