"""The figures that every backtest shows, ready for `bootstrap_intervals`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dexml.errors import DataError
from dexml.validation import metrics, performance
from dexml.validation.bootstrap import USUAL, Bootstrap, bootstrap_intervals
from dexml.validation.inputs import Floats, finite
from dexml.validation.performance import HOURS_PER_YEAR

__all__ = ["forecast_statistics", "scorecard", "strategy_statistics", "strategy_table"]

Statistics = Mapping[str, Callable[[Any], float]]


def strategy_table(returns: pd.Series, positions: ArrayLike) -> pd.DataFrame:
    """Return what `strategy_statistics` reads, one row for each bar.

    Parameters
    ----------
    returns : Series of shape (n,), index `closed_at`
        Of the strategy per bar, after costs.
    positions : array-like, shape (n,) or (n, n_instruments)
        Held during each bar, as signed fractions of equity.

    Returns
    -------
    DataFrame, columns `return`, `traded`, `held`
        `traded` in multiples of equity, `held` 1 or 0.

    Examples
    --------
    >>> hours = pd.date_range("2024-01-01", periods=2, freq="h", name="closed_at")
    >>> strategy_table(pd.Series([0.0, 0.1], hours), [0.0, 1.0]).to_numpy().tolist()
    [[0.0, 0.0, 0.0], [0.1, 1.0, 1.0]]
    """
    held = finite("positions", positions)
    if len(held) != len(returns):
        rule = f"must be given for each of {len(returns)} returns"
        raise DataError("positions", rule, len(held), "Align them first.")
    held = held.reshape(len(returns), -1)
    traded = np.abs(np.diff(held, axis=0, prepend=0.0)).sum(axis=1)
    busy = held.any(axis=1).astype(np.float64)
    return pd.DataFrame({"return": returns, "traded": traded, "held": busy}, index=returns.index)


def strategy_statistics(periods_per_year: float = HOURS_PER_YEAR) -> Statistics:
    """Return the figures of a strategy by name; each takes a `strategy_table`.

    Examples
    --------
    >>> hours = pd.date_range("2024-01-01", periods=2, freq="h", name="closed_at")
    >>> table = strategy_table(pd.Series([0.5, -0.5], hours), [1.0, 1.0])
    >>> figures = strategy_statistics()
    >>> figures["compounded_return"](table), figures["max_drawdown"](table)
    (-0.25, 0.5)
    """
    return {
        "sharpe_ratio": lambda t: performance.sharpe_ratio(t["return"], periods_per_year),
        "sortino_ratio": lambda t: performance.sortino_ratio(t["return"], periods_per_year),
        "max_drawdown": lambda t: performance.max_drawdown(_equity(t["return"])),
        "value_at_risk": lambda t: performance.value_at_risk(t["return"]),
        "expected_shortfall": lambda t: performance.expected_shortfall(t["return"]),
        "compounded_return": lambda t: performance.compounded_return(t["return"]),
        "win_rate": lambda t: performance.win_rate(t["return"]),
        "turnover": lambda t: float(t["traded"].sum()),
        "exposure": lambda t: float(t["held"].mean()),
    }


def forecast_statistics(n_bins: int = 10) -> Statistics:
    """Return the figures of a forecast by name; each takes columns `y`, `p` and `return`.

    Examples
    --------
    >>> rows = pd.DataFrame({"y": [1, 0], "p": [0.8, 0.2], "return": [0.01, -0.01]})
    >>> figures = forecast_statistics()
    >>> figures["accuracy"](rows), figures["quantile_spread"](rows)
    (1.0, 0.02)
    """
    return {
        "accuracy": lambda t: metrics.accuracy(t["y"], t["p"]),
        "log_loss": lambda t: metrics.log_loss(t["y"], t["p"]),
        "brier_score": lambda t: metrics.brier_score(t["y"], t["p"]),
        "calibration_error": lambda t: metrics.calibration_error(t["y"], t["p"], n_bins),
        "information_coefficient": lambda t: metrics.information_coefficient(t["p"], t["return"]),
        "quantile_spread": _quantile_spread,
    }


def scorecard(
    table: pd.DataFrame, statistics: Statistics, settings: Bootstrap = USUAL
) -> pd.DataFrame:
    """Return each figure with its interval.

    Returns
    -------
    DataFrame, columns `estimate`, `low`, `high`, `standard_error`
        A row for each figure.

    Examples
    --------
    >>> hours = pd.date_range("2024-01-01", periods=100, freq="h", name="closed_at")
    >>> earned = pd.Series(np.random.default_rng(0).normal(0.0, 0.01, 100), hours)
    >>> scorecard(strategy_table(earned, np.ones(100)), strategy_statistics()).shape
    (9, 4)
    """
    columns = ["estimate", "low", "high", "standard_error"]
    intervals = bootstrap_intervals(table, statistics, settings)
    rows = [[getattr(one, name) for name in columns] for one in intervals.values()]
    return pd.DataFrame(rows, index=pd.Index(intervals, name="metric"), columns=columns)


def _equity(returns: pd.Series) -> Floats:
    return np.concatenate([[1.0], np.cumprod(1.0 + returns.to_numpy())])


def _quantile_spread(table: pd.DataFrame) -> float:
    means = metrics.quantile_returns(table["p"], table["return"])["return"]
    return float(means.iloc[-1] - means.iloc[0])
