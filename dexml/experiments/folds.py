"""One fold: fit the asked targets on some rows, and forecast rows that come after them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from dexml.domain import Target
from dexml.experiments.specifications import JOINT, SEQUENCE, VOTERS, specifications
from dexml.models.base import Forecaster, predict_among
from dexml.models.fits import FitRequest, limits_of, run_fit, write_rows
from dexml.models.loading import load_forecaster
from dexml.models.profiles import FitSpec
from dexml.models.recipe import Recipe
from dexml.models.rules import HourOfWeekVolume, Reversal, Rule, VolatilityClosedForm
from dexml.models.suite import ENSEMBLE, fit_ensemble, member_oof, with_context

__all__ = ["FORECAST_COLUMNS", "FoldSpec", "forecast_fold", "with_outcomes"]

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
    seed: int = 0
    recipe: Recipe = field(default_factory=Recipe)


def forecast_fold(
    train: pd.DataFrame,
    test: pd.DataFrame,
    labels: pd.DataFrame,
    spec: FoldSpec,
    folder: Path,
    fitted: Callable[[str], None] = lambda _name: None,
    past: pd.DataFrame | None = None,
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
        Told the name of each member whose fit has ended.
    past : DataFrame, optional
        The panel that `test` is from, for members that look at the rows before it.

    Returns
    -------
    DataFrame, columns `FORECAST_COLUMNS` without `fold`
        One row for each instrument, close and member: the targets, `joint` if there is one, and
        `ensemble` if a target of `spec` speaks of direction. `y` is NaN where the outcome is not
        known yet, `p` where the target has no inputs. `train_rate` is the share of ones among the
        training labels.
    """
    specs = specifications(tuple(train.columns), spec.seed, spec.targets, spec.recipe)
    said = pd.DataFrame(np.nan, test.index, [str(target) for target in spec.targets])
    for name, fit in specs.items():
        model = _fitted(name, fit, train, labels, folder)
        said[name] = predict_among(model, test, past)
        fitted(name)
    voters = [name for name in specs if name in VOTERS]
    if voters:
        direction = labels[str(Target.DIRECTION)].reindex(train.index)
        oof = member_oof({name: folder / name for name in voters})
        method = spec.recipe.ensemble
        ensemble, _ = fit_ensemble(oof, direction, specs[voters[0]], VOTERS, method, train)
        said[ENSEMBLE] = ensemble.predict(with_context(said[voters], test))
    return with_outcomes(said, train, test, labels)


def with_outcomes(
    said: pd.DataFrame, train: pd.DataFrame, test: pd.DataFrame, labels: pd.DataFrame
) -> pd.DataFrame:
    """Put each forecast beside its outcome and beside what its rule baseline says.

    Parameters
    ----------
    said : DataFrame, shape (n_rows, n_members)
        Probabilities on the index of `test`, a column for each target, "joint" or "ensemble".
    train, test, labels : DataFrame
        As in `forecast_fold`.

    Returns
    -------
    DataFrame, columns `FORECAST_COLUMNS` without `fold`
    """
    parts = [_long(name, said[name], train, test, labels) for name in said.columns]
    return pd.concat(parts, ignore_index=True)


def _fitted(
    name: str, fit: FitSpec, train: pd.DataFrame, labels: pd.DataFrame, folder: Path
) -> Forecaster:
    folder.mkdir(parents=True, exist_ok=True)
    label = labels[fit.target].reindex(train.index)
    rows = write_rows(train[list(fit.columns)], label, folder / f"{name}.parquet")
    try:
        run_fit(FitRequest(rows=str(rows), spec=fit), folder / name, limits_of(fit, len(train)))
    finally:
        rows.unlink()
    return load_forecaster(folder / name)


def _long(
    name: str,
    forecast: pd.Series,
    train: pd.DataFrame,
    test: pd.DataFrame,
    labels: pd.DataFrame,
) -> pd.DataFrame:
    target = Target.DIRECTION if name in (JOINT, SEQUENCE, ENSEMBLE) else Target(name)
    learned = labels[str(target)].reindex(train.index)
    return pd.DataFrame(
        {
            "symbol": test.index.get_level_values("instrument"),
            "closed_at": test.index.get_level_values("closed_at"),
            "target": name,
            "y": labels[str(target)].reindex(test.index).to_numpy(),
            "p": forecast.to_numpy(),
            "rule": _RULES[target].fit(train, learned).predict(test),
            "train_rate": float(learned.mean()),
        }
    )
