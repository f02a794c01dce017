"""The part of a fit that AutoGluon does: bag over given blocks, refit, export the boosters."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.errors import ModelError
from dexml.models.dense import DenseNetwork
from dexml.models.flat import FlatMember
from dexml.models.profiles import FitSpec, LearnerSpec, learners
from dexml.validation.splits import Split

__all__ = ["fit_learners"]

Floats = NDArray[np.float64]

_LABEL, _WEIGHT = "label", "row_weight"
_CHECKED_ROWS = 512
_FORMATS = {
    "FixedGBM": ("lightgbm", "txt"),
    "FixedCAT": ("catboost", "cbm"),
    "FixedDense": ("dense", "npz"),
}
_SEED_KEYS = {"FixedGBM": "seed", "FixedCAT": "random_seed", "FixedDense": "seed"}


def fit_learners(
    design: pd.DataFrame,
    y: Floats,
    splits: Sequence[Split],
    spec: FitSpec,
    folder: Path,
    weights: Floats | None = None,
) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """Fit the learners of a profile and write one booster file for each into `folder`.

    Parameters
    ----------
    design : DataFrame of float64, shape (n, n_features)
        Numeric columns only.
    y : ndarray, shape (n,)
        0.0 or 1.0.
    splits : sequence of Split
        Folds of the bagging; every row is judged once in each set, and one set follows the other.
    weights : ndarray, shape (n,), optional
        How much each row counts; once unless given.

    Returns
    -------
    members : list of dict
        What `FlatMember.load` needs.
    oof : DataFrame, shape (n, n_learners)
        Out-of-fold probabilities, index of `design`.

    Raises
    ------
    ModelError
        If a learner was skipped or the exported one differs from AutoGluon's.
    """
    asked = learners(spec)
    path = folder / ".autogluon"
    predictor = _fit(design, y, splits, spec, path, weights)
    _refuse_skipped(predictor, asked)
    oof = pd.DataFrame(
        {one.name: _second(predictor.predict_proba_oof(f"{one.name}_BAG_L1")) for one in asked},
        index=design.index,
    )
    # By itself it takes all CPUs, and threads that wait for a busy core spin.
    predictor.refit_full(num_cpus=spec.num_cpus, num_gpus=0)
    members = [_export(predictor, one, folder).to_dict() for one in asked]
    _refuse_difference(predictor, members, design, folder)
    shutil.rmtree(path)
    return members, oof


def _fit(
    design: pd.DataFrame,
    y: Floats,
    splits: Sequence[Split],
    spec: FitSpec,
    path: Path,
    weights: Floats | None,
) -> Any:
    from autogluon.tabular import TabularPredictor

    positions = [(s.train.astype(np.int32), s.test.astype(np.int32)) for s in splits]
    rows = design.reset_index(drop=True).assign(**{_LABEL: y.astype(np.int64)})
    if weights is not None:
        rows[_WEIGHT] = weights
    predictor = TabularPredictor(
        _LABEL,
        problem_type="binary",
        eval_metric="log_loss",
        path=str(path),
        verbosity=0,
        sample_weight=None if weights is None else _WEIGHT,
    )
    # No time limit: a clock would decide the result. Who runs the fit kills it instead.
    return predictor.fit(
        rows,
        hyperparameters=_hyperparameters(spec),
        feature_generator=None,
        num_bag_folds=spec.n_folds,
        num_bag_sets=len(splits) // spec.n_folds,
        num_stack_levels=0,
        dynamic_stacking=False,
        fit_weighted_ensemble=False,
        ag_args_ensemble={
            "fold_fitting_strategy": "sequential_local",
            "custom_splits": positions,
        },
        num_cpus=spec.num_cpus,
        num_gpus=0,
        calibrate=False,
    )


def _hyperparameters(spec: FitSpec) -> dict[Any, list[dict[str, Any]]]:
    from dexml.models import fixed

    asked: dict[Any, list[dict[str, Any]]] = {}
    for one in learners(spec):
        parameters = {
            **one.parameters,
            _SEED_KEYS[one.kind]: spec.seed,
            "ag_args": {"name_suffix": one.suffix},
        }
        asked.setdefault(getattr(fixed, one.kind), []).append(parameters)
    return asked


def _refuse_skipped(predictor: Any, asked: Sequence[LearnerSpec]) -> None:
    # AutoGluon leaves a model out in silence when it fails or memory is short.
    wanted, fitted = {f"{one.name}_BAG_L1" for one in asked}, set(predictor.model_names())
    if wanted != fitted:
        raise ModelError(
            "AutoGluon",
            f"must fit {', '.join(sorted(wanted))}",
            ", ".join(sorted(fitted)) or "none",
            "Free memory and fit again.",
        )


def _export(predictor: Any, one: LearnerSpec, folder: Path) -> FlatMember:
    bag = predictor._trainer.load_model(f"{one.name}_BAG_L1_FULL")
    child = bag.load_child(bag.models[0])
    kind, ending = _FORMATS[one.kind]
    file = f"{one.name}.{ending}"
    _SAVERS[kind](child.model, folder / file)
    features = list(child._features_internal)  # without those that never vary
    return FlatMember.load(
        folder, {"name": one.name, "kind": kind, "file": file, "features": features}
    )


# The same fit must give the same bytes: boosters note when, under which id and on how many threads
# they were made, none of which changes what they say.
def _save_lightgbm(model: Any, path: Path) -> None:
    path.write_text(re.sub(r"\[num_threads: \d+\]", "[num_threads: 1]", model.model_to_string()))


def _save_catboost(model: Any, path: Path) -> None:
    metadata = model.get_metadata()
    for key in ("train_finish_time", "model_guid"):
        metadata[key] = ""
    metadata["params"] = re.sub(r'"thread_count":\d+', '"thread_count":1', metadata["params"])
    model.save_model(str(path))


def _save_dense(model: DenseNetwork, path: Path) -> None:
    model.save(path)


_SAVERS: Mapping[str, Callable[[Any, Path], None]] = {
    "lightgbm": _save_lightgbm,
    "catboost": _save_catboost,
    "dense": _save_dense,
}


def _refuse_difference(
    predictor: Any, members: Sequence[dict[str, Any]], design: pd.DataFrame, folder: Path
) -> None:
    sample = design.iloc[np.linspace(0, len(design) - 1, _CHECKED_ROWS).astype(np.int64)]
    for values in members:
        flat = FlatMember.load(folder, values).predict(sample)
        model = f"{values['name']}_BAG_L1_FULL"
        own = _second(predictor.predict_proba(sample.reset_index(drop=True), model=model))
        if not np.array_equal(flat, own):
            raise ModelError(
                f"exported {values['name']}",
                "must repeat AutoGluon's probabilities to the bit",
                f"off by up to {np.abs(flat - own).max():.1e}",
                "Install the pinned versions of autogluon, lightgbm and catboost.",
            )


def _second(probabilities: pd.DataFrame) -> Floats:
    return np.asarray(probabilities[1], dtype=np.float64)
