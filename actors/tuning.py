"""Validation as Ray Tune experiments: each fold is a trial, idempotent under its own folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from ray import tune

from dexml.domain import Target
from dexml.features.panel import view
from dexml.models.fits import FitLimits, FitRequest, run_fit
from dexml.models.tabular import FitSpec, TabularForecaster

__all__ = ["FoldPlan", "walk_forward"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldPlan:
    """What every trial shares.

    Attributes
    ----------
    panel, labels : str
        Parquet files of the features and the labels, one row for each (closed_at, instrument).
    folder : str
        Where each fold leaves its predictions.
    """

    panel: str
    labels: str
    folder: str
    target: Target
    profile: str
    seed: int


def walk_forward(
    plan: FoldPlan, folds: list[tuple[list[int], list[int]]], storage: Path
) -> pd.DataFrame:
    """Fit and predict every fold in parallel and return the out-of-sample predictions.

    Parameters
    ----------
    folds : list of (train rows, test rows)
        Positions in the panel; test rows do not overlap.

    Returns
    -------
    DataFrame
        Indexed as the panel, columns `fold`, `y`, `p`; each out-of-sample row once.
    """
    Path(plan.folder).mkdir(parents=True, exist_ok=True)
    for number, (train, test) in enumerate(folds):
        Path(plan.folder, f"fold-{number}.json").write_text(
            json.dumps({"train": train, "test": test})
        )
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_fold, plan=plan), {"cpu": 1}),
        param_space={"fold": tune.grid_search(list(range(len(folds))))},
        tune_config=tune.TuneConfig(metric="log_loss", mode="min"),
        run_config=tune.RunConfig(
            name="walk-forward",
            storage_path=str(storage),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=1),
        ),
    )
    results = tuner.fit()
    if results.errors:
        raise results.errors[0]
    parts = [pd.read_parquet(_predictions(plan, number)) for number in range(len(folds))]
    return pd.concat(parts).sort_index()


def _fold(config: dict[str, int], plan: FoldPlan) -> None:
    from dexml.validation.metrics import accuracy, log_loss

    path = _predictions(plan, config["fold"])
    if not path.exists():
        _predict_fold(plan, config["fold"], path)
    scored = pd.read_parquet(path)
    y, p = scored["y"].to_numpy(), scored["p"].to_numpy()
    tune.report({"log_loss": log_loss(y, p), "accuracy": accuracy(y, p), "n": len(scored)})


def _predict_fold(plan: FoldPlan, number: int, path: Path) -> None:
    rows = json.loads(Path(plan.folder, f"fold-{number}.json").read_text())
    panel, labels = pd.read_parquet(plan.panel), pd.read_parquet(plan.labels)[str(plan.target)]
    folder = Path(plan.folder) / f"model-{number}"
    columns = view(plan.target, panel.columns)
    train = folder.with_suffix(".parquet")
    frame = panel.iloc[rows["train"]][list(columns)].assign(y=labels.iloc[rows["train"]])
    frame.dropna(subset=["y"]).to_parquet(train)
    spec = FitSpec(target=plan.target, columns=columns, profile=plan.profile, seed=plan.seed)
    run_fit(FitRequest(rows=str(train), spec=spec), folder, FitLimits())
    test = panel.iloc[rows["test"]]
    forecast = TabularForecaster.load(folder).predict(test)
    scored = pd.DataFrame(
        {"fold": number, "y": labels.loc[test.index], "p": forecast}, index=test.index
    )
    partial = path.with_suffix(".partial")
    scored.dropna(subset=["y"]).to_parquet(partial)
    partial.replace(path)


def _predictions(plan: FoldPlan, number: int) -> Path:
    return Path(plan.folder, f"predictions-{number}.parquet")
