"""AutoGluon for one target: a bagged fit over blocks of time, kept as bare boosters.

What is kept needs neither AutoGluon nor pickle to be read: LightGBM text, CatBoost binaries and one
JSON file. It is compared bit by bit with AutoGluon's own answer before it is kept.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from dexml.domain import Floats, Target
from dexml.errors import ModelError
from dexml.validation.metrics import accuracy, log_loss
from dexml.validation.splits import bar_step, block_splits

__all__ = ["FitReport", "FitSpec", "TabularForecaster", "fit_tabular"]

DIRECTION_LIKE = frozenset({Target.DIRECTION, Target.SENTIMENT, Target.MACRO})
_CHECK_ROWS = 200
_CLIP = 1e-4
_VERSIONS = ("autogluon.tabular", "lightgbm", "catboost", "ta-lib", "numpy", "pandas")


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSpec:
    """What to fit.

    Attributes
    ----------
    columns : tuple of str
        Features the target sees.
    embargo_bars : int
        Bars left out on both sides of a fold; at least the label's horizon and smoothing.
    """

    target: Target
    columns: tuple[str, ...]
    profile: str = "fast"
    seed: int = 0
    n_folds: int = 5
    embargo_bars: int = 24
    num_cpus: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    """What a fit left in its folder and how it scored on rows it had not seen."""

    target: Target
    n_rows: int
    base_rate: float
    log_loss: float
    accuracy: float
    weights: dict[str, float]
    seconds: float
    spec: dict[str, Any]
    versions: dict[str, str] = field(
        default_factory=lambda: {name: version(name) for name in _VERSIONS}
    )

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-able values."""
        return asdict(self)


def fit_tabular(rows: pd.DataFrame, spec: FitSpec, folder: Path) -> FitReport:
    """Fit the members on contiguous time blocks, weigh them out of fold, refit on all rows.

    Parameters
    ----------
    rows : DataFrame
        Index (closed_at, instrument); `spec.columns` and the label `y` (0.0 or 1.0, no NaN).
    folder : Path
        Receives `forecaster.json`, the boosters, and `oof.parquet` with the out-of-fold forecasts.

    Raises
    ------
    ModelError
        If a member is missing or the kept boosters do not answer as AutoGluon does.
    """
    began = time.perf_counter()
    with TemporaryDirectory(prefix="dexml-fit-") as scratch:
        predictor = _fit(rows, spec, scratch)
        weights = _weights(predictor)
        oof = _out_of_fold(predictor, weights)
        predictor.refit_full()
        _keep(predictor, weights, spec, folder)
        _require_equal(predictor, rows, spec, folder)
    pd.DataFrame({"p": oof}, index=rows.index).to_parquet(folder / "oof.parquet")
    y = rows["y"].to_numpy()
    seen = ~np.isnan(oof)
    return FitReport(
        target=spec.target,
        n_rows=len(rows),
        base_rate=float(y.mean()),
        log_loss=log_loss(y[seen], oof[seen]),
        accuracy=accuracy(y[seen], oof[seen]),
        weights=weights,
        seconds=time.perf_counter() - began,
        spec=asdict(spec),
    )


def _fit(rows: pd.DataFrame, spec: FitSpec, scratch: str) -> Any:
    from autogluon.tabular import TabularPredictor

    from dexml.models.members import hyperparameters

    members = hyperparameters(spec.target in DIRECTION_LIKE, spec.seed)
    closed_at = rows.index.get_level_values("closed_at")
    embargo = spec.embargo_bars * bar_step(closed_at)
    splits = [
        (split.train.astype(np.int32), split.test.astype(np.int32))
        for split in block_splits(closed_at, spec.n_folds, embargo)
    ]
    predictor = TabularPredictor(
        "y", problem_type="binary", eval_metric="log_loss", path=scratch, verbosity=0
    )
    predictor.fit(
        rows[[*spec.columns, "y"]].reset_index(drop=True),
        hyperparameters=members,
        num_bag_folds=len(splits),
        num_bag_sets=1,
        num_stack_levels=0,
        dynamic_stacking=False,
        ag_args_ensemble={"fold_fitting_strategy": "sequential_local", "custom_splits": splits},
        num_cpus=spec.num_cpus,
        num_gpus=0,
        calibrate=False,
    )
    wanted = sum(len(family) for family in members.values())
    if len(_bases(predictor)) != wanted:
        raise ModelError(
            f"fit of {spec.target}",
            f"must give {wanted} members",
            ", ".join(predictor.model_names()),
            "Free memory: AutoGluon skips a member that does not fit.",
        )
    return predictor


def _bases(predictor: Any) -> list[str]:
    return [name for name in predictor.model_names() if name.endswith("_BAG_L1")]


def _weights(predictor: Any) -> dict[str, float]:
    # chosen by AutoGluon on out-of-fold forecasts; alone, a member has weight 1
    names = [name for name in predictor.model_names() if name.startswith("WeightedEnsemble")]
    if not names:
        return {_bases(predictor)[0]: 1.0}
    bag = predictor._trainer.load_model(names[0])
    child = bag.load_child(bag.models[0])
    return dict(zip(child.base_model_names, map(float, child.weights_), strict=True))


def _out_of_fold(predictor: Any, weights: dict[str, float]) -> Floats:
    total = 0.0
    for name, weight in weights.items():
        total = total + weight * predictor.predict_proba_oof(name)[1].to_numpy(dtype=np.float64)
    return np.clip(np.asarray(total), _CLIP, 1 - _CLIP)


def _keep(predictor: Any, weights: dict[str, float], spec: FitSpec, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    members = []
    for number, (name, weight) in enumerate(weights.items()):
        bag = predictor._trainer.load_model(f"{name}_FULL")
        child = bag.load_child(bag.models[0])
        kind = "lightgbm" if "GBM" in name else "catboost"
        file = f"member-{number}.{'txt' if kind == 'lightgbm' else 'cbm'}"
        child.model.save_model(str(folder / file))
        members.append(
            {"kind": kind, "file": file, "columns": list(child.features), "weight": weight}
        )
    described = {"target": str(spec.target), "columns": list(spec.columns), "members": members}
    (folder / "forecaster.json").write_text(json.dumps(described, indent=1))


def _require_equal(predictor: Any, rows: pd.DataFrame, spec: FitSpec, folder: Path) -> None:
    some = rows.iloc[:: max(1, len(rows) // _CHECK_ROWS)]
    best = predictor.model_names()
    name = next(
        (full for full in best if full.startswith("Weighted") and full.endswith("_FULL")), None
    )
    theirs = predictor.predict_proba(
        some[list(spec.columns)].reset_index(drop=True),
        model=name or f"{_bases(predictor)[0]}_FULL",
    )[1].to_numpy(dtype=np.float64)
    ours = TabularForecaster.load(folder).raw(some)
    if not np.array_equal(theirs, ours):
        raise ModelError(
            f"kept boosters of {spec.target}",
            "must answer as AutoGluon to the bit",
            f"{np.abs(theirs - ours).max():.1e} apart",
            "Report the versions of autogluon, lightgbm and catboost.",
        )


class TabularForecaster:
    """The kept boosters of one target, weighed as AutoGluon weighed them.

    A row's answer does not depend on the rows beside it, to the bit.
    """

    def __init__(self, described: dict[str, Any], boosters: list[Any]) -> None:
        self.columns: tuple[str, ...] = tuple(described["columns"])
        self._members = list(zip(described["members"], boosters, strict=True))

    @classmethod
    def load(cls, folder: Path) -> TabularForecaster:
        """Read what `fit_tabular` kept; nothing is unpickled."""
        described = json.loads((folder / "forecaster.json").read_text())
        boosters = [
            _read(member["kind"], folder / member["file"]) for member in described["members"]
        ]
        return cls(described, boosters)

    def predict(self, panel: pd.DataFrame) -> Floats:
        """Return the probability of label 1 for each row, shape (n_rows,), in (0, 1)."""
        return np.clip(self.raw(panel), _CLIP, 1 - _CLIP)

    def raw(self, panel: pd.DataFrame) -> Floats:
        """Return what AutoGluon would, before clipping."""
        total = np.zeros(len(panel))
        for member, booster in self._members:
            inputs = np.ascontiguousarray(panel[member["columns"]].to_numpy(dtype=np.float64))
            answer = _ask(member["kind"], booster, inputs)
            total += float(member["weight"]) * answer.astype(np.float32).astype(np.float64)
        return total.astype(np.float32).astype(np.float64)


def _read(kind: str, path: Path) -> Any:
    if kind == "lightgbm":
        import lightgbm

        return lightgbm.Booster(model_file=str(path))
    import catboost

    model = catboost.CatBoostClassifier()
    model.load_model(str(path))
    return model


def _ask(kind: str, booster: Any, inputs: Floats) -> Floats:
    if kind == "lightgbm":
        return np.asarray(booster.predict(inputs, num_threads=1))
    return np.asarray(booster.predict_proba(inputs, thread_count=1)[:, 1])
