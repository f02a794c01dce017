"""Every configuration ever judged on some data, kept beside it, so that none can be forgotten."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dexml.validation.overfitting import Overfitting, probability_of_overfitting

__all__ = ["TrialCount", "count_trials", "effective_trials", "overfitting_of"]

LEAST_COMMON = 32  # two bars for each of the 16 blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCount:
    """How often the data have been tried.

    Attributes
    ----------
    n_trials : int
        Configurations, this one among them.
    effective_trials : float
        As many independent ones would be worth.
    variance : float
        Of the trials' Sharpe ratios, per bar; 0 for a single trial.
    """

    n_trials: int
    effective_trials: float
    variance: float


def count_trials(folder: Path, configuration: str, returns: pd.Series) -> TrialCount:
    """Keep the returns of a configuration and count all that were judged on the same data.

    Parameters
    ----------
    folder : Path
        Of the data; made if it is missing.
    configuration : str
        Digest of everything that could change the result; the same one again is no new trial.
    returns : Series
        Per bar, by `closed_at`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{configuration}.parquet"
    partial = path.with_suffix(f".{os.getpid()}.partial")
    returns.rename("return").to_frame().to_parquet(partial)
    partial.replace(path)
    tried = _tried(folder)
    deviations = tried.std(ddof=1)
    sharpe = (tried.mean() / deviations.where(deviations > 0)).fillna(0.0)
    return TrialCount(
        n_trials=tried.shape[1],
        effective_trials=effective_trials(tried),
        variance=float(sharpe.var(ddof=1)) if tried.shape[1] > 1 else 0.0,
    )


def overfitting_of(folder: Path) -> Overfitting | str:
    """Return how the choice among all configurations kept in `folder` would have done, or why not.

    Only bars that all of them traded count: what is judged on other bars cannot be compared.
    """
    common = _tried(folder).dropna()
    if len(common) < LEAST_COMMON:
        return f"needs {LEAST_COMMON} bars that all configurations share, was {len(common)}"
    found = probability_of_overfitting(common)
    return found if found.reason is None else found.reason


def _tried(folder: Path) -> pd.DataFrame:
    files = sorted(folder.glob("*.parquet"))
    return pd.concat({file.stem: pd.read_parquet(file)["return"] for file in files}, axis=1)


def effective_trials(returns: pd.DataFrame) -> float:
    """Return the number of independent trials that correlated ones are worth.

    Parameters
    ----------
    returns : DataFrame, shape (n_bars, n_trials)
        NaN where a trial did not trade the bar; a pair without a correlation counts as
        independent.

    Notes
    -----
    rho + (1 - rho) N, with rho the mean correlation between trials, at least 0.

    References
    ----------
    Bailey and Lopez de Prado (2014), The Deflated Sharpe Ratio, appendix 3.

    Examples
    --------
    >>> effective_trials(pd.DataFrame({"a": [1.0, -1.0, 2.0], "b": [1.0, -1.0, 2.0]}))
    1.0
    """
    n = returns.shape[1]
    if n == 1:
        return 1.0
    correlations = returns.corr().fillna(0.0).to_numpy()
    rho = max(0.0, float(correlations[~np.eye(n, dtype=bool)].mean()))
    return round(rho + (1.0 - rho) * n, 9)
