"""One fold: fit the asked targets on some rows, and forecast rows that come after them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dexml.domain import Target
from dexml.features.panel import view
from dexml.models.fits import FitRequest, run_fit, write_rows
from dexml.models.profiles import DIRECTIONAL, FitSpec
from dexml.models.rules import HourOfWeekVolume, Reversal, Rule, VolatilityClosedForm
from dexml.models.suite import ENSEMBLE, fit_stacker, member_oof
from dexml.models.tabular import TabularForecaster

__all__ = ["FORECAST_COLUMNS", "FoldSpec", "forecast_fold"]

FORECAST_COLUMNS = ("symbol", "closed_at", "target", "fold", "y", "p", "rule", "train_rate")
_RULES: Mapping[Target, Rule] = {
    Target.DIRECTION: Reversal(),
    Target.VOLATILITY: VolatilityClosedForm(),
    Target.VOLUME: HourOfWeekVolume(),
    Target.SENTIMENT: Reversal(),
    Target.MACRO: Reversal(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldSpec:
    """What every fold fits.

    Attributes
    ----------
    targets : tuple of Target
        In the order of the fits.
    """

    targets: tuple[Target, ...]
    profile: str = "fast"
    seed: int = 0


def forecast_fold(
    train: pd.DataFrame,
    test: pd.DataFrame,
    labels: pd.DataFrame,
    spec: FoldSpec,
    folder: Path,
    fitted: Callable[[Target], None] = lambda _target: None,
) -> pd.DataFrame:
    """Fit on `train` and forecast `test`, one child process after the other.

    Parameters
    ----------
    train, test : DataFrame
        Rows of one panel, index (closed_at, instrument).
    labels : DataFrame
        A column for each target; may hold more rows.
    folder : Path
        Where the models are left.
    fitted : callable
        Told each target whose fit has ended.

    Returns
    -------
    DataFrame, columns `FORECAST_COLUMNS` without `fold`
        One row for each instrument, close and target, and target `ensemble` if a target of `spec`
        speaks of direction. `y` is NaN where the outcome is not known yet, `p` where the target
        has no inputs. `train_rate` is the share of ones among the training labels.
    """
    said = pd.DataFrame(index=test.index)
    for target in spec.targets:
        said[str(target)] = _forecast(target, train, test, labels, spec, folder)
        fitted(target)
    voters = [name for name in said if name in DIRECTIONAL and said[name].notna().any()]
    parts = [_long(target, said[str(target)], train, test, labels) for target in spec.targets]
    if voters:
        direction = labels[str(Target.DIRECTION)].reindex(train.index)
        oof = member_oof({str(name): folder / str(name) for name in voters})
        stacker, _ = fit_stacker(oof, direction, _fit_spec(Target.DIRECTION, train, spec))
        signal = pd.Series(stacker.predict(said[voters]), index=test.index)
        ensemble = _long(Target.DIRECTION, signal, train, test, labels)
        parts.append(ensemble.assign(target=ENSEMBLE))
    return pd.concat(parts, ignore_index=True)


def _fit_spec(target: Target, train: pd.DataFrame, spec: FoldSpec) -> FitSpec:
    columns = view(str(target), train.columns)
    return FitSpec(target=str(target), columns=columns, profile=spec.profile, seed=spec.seed)


def _forecast(
    target: Target,
    train: pd.DataFrame,
    test: pd.DataFrame,
    labels: pd.DataFrame,
    spec: FoldSpec,
    folder: Path,
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    fit = _fit_spec(target, train, spec)
    if not fit.columns:
        return np.full(len(test), np.nan)
    rows = folder / f"{target}.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(train[list(fit.columns)], labels[str(target)].reindex(train.index), rows)
    try:
        run_fit(FitRequest(rows=str(rows), spec=fit), folder / str(target))
    finally:
        rows.unlink()
    return TabularForecaster.load(folder / str(target)).predict(test)


def _long(
    target: Target,
    forecast: pd.Series,
    train: pd.DataFrame,
    test: pd.DataFrame,
    labels: pd.DataFrame,
) -> pd.DataFrame:
    learned = labels[str(target)].reindex(train.index)
    return pd.DataFrame(
        {
            "symbol": test.index.get_level_values("instrument"),
            "closed_at": test.index.get_level_values("closed_at"),
            "target": str(target),
            "y": labels[str(target)].reindex(test.index).to_numpy(),
            "p": forecast.to_numpy(),
            "rule": _RULES[target].fit(train, learned).predict(test),
            "train_rate": float(learned.mean()),
        }
    )
