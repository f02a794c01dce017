"""Walk-forward and CPCV as Ray Tune experiments: each fold is a trial, idempotent in its folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import ray
from numpy.typing import NDArray
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dexml.errors import EnvironmentRefused, ModelError
from dexml.experiments.folds import FoldSpec, forecast_fold
from dexml.validation.metrics import accuracy, log_loss
from dexml.validation.splits import Split

__all__ = [
    "Choice",
    "FoldPlan",
    "Window",
    "choices_of",
    "refuse_unshared",
    "run_folds",
    "windows_of",
]

LOOK_S = 60.0
Flags = NDArray[np.bool_]
Span = tuple[pd.Timestamp, pd.Timestamp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """First and last close that a fold learns from, and that it is judged on, all inclusive."""

    train_from: pd.Timestamp
    train_to: pd.Timestamp
    test_from: pd.Timestamp
    test_to: pd.Timestamp

    def to_dict(self) -> dict[str, str]:
        """Return the four closes as ISO 8601."""
        return {name: getattr(self, name).isoformat() for name in self.__slots__}

    def train_rows(self, closed_at: pd.DatetimeIndex) -> Flags:
        """Tell which rows are learnt from."""
        return _within(closed_at, [(self.train_from, self.train_to)])

    def test_rows(self, closed_at: pd.DatetimeIndex) -> Flags:
        """Tell which rows are judged."""
        return _within(closed_at, [(self.test_from, self.test_to)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Spans of closes that a split learns from, and that it is judged on, all inclusive."""

    train: tuple[Span, ...]
    test: tuple[Span, ...]

    def to_dict(self) -> dict[str, list[list[str]]]:
        """Return the closes as ISO 8601."""
        return {
            name: [[first.isoformat(), last.isoformat()] for first, last in getattr(self, name)]
            for name in self.__slots__
        }

    def train_rows(self, closed_at: pd.DatetimeIndex) -> Flags:
        """Tell which rows are learnt from."""
        return _within(closed_at, self.train)

    def test_rows(self, closed_at: pd.DatetimeIndex) -> Flags:
        """Tell which rows are judged."""
        return _within(closed_at, self.test)


def _within(closed_at: pd.DatetimeIndex, spans: Iterable[Span]) -> Flags:
    held = np.zeros(len(closed_at), dtype=np.bool_)
    for first, last in spans:
        held |= np.asarray((closed_at >= first) & (closed_at <= last))
    return held


def choices_of(splits: Iterable[Split], closed_at: pd.DatetimeIndex) -> tuple[Choice, ...]:
    """Return the spans of splits that learn from, or are judged on, several stretches of time."""
    instants = pd.DatetimeIndex(closed_at.unique()).sort_values()
    return tuple(
        Choice(
            train=_spans(instants, closed_at[split.train]),
            test=_spans(instants, closed_at[split.test]),
        )
        for split in splits
    )


def _spans(instants: pd.DatetimeIndex, chosen: pd.DatetimeIndex) -> tuple[Span, ...]:
    held = instants.isin(chosen)
    edges = np.flatnonzero(np.diff(held.astype(np.int8), prepend=0, append=0))
    return tuple((instants[a], instants[b - 1]) for a, b in edges.reshape(-1, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldPlan:
    """What all trials share; every worker must see its paths.

    Attributes
    ----------
    panel, labels : str
        Parquet files of the features and of the labels, index (closed_at, instrument).
    folder : str
        Where each fold leaves its forecasts, `fold-N.parquet`; a fold that is there is done.
    """

    panel: str
    labels: str
    folder: str
    windows: tuple[Window | Choice, ...]
    spec: FoldSpec

    def forecasts(self, fold: int) -> Path:
        """Return where a fold leaves its forecasts."""
        return Path(self.folder, f"fold-{fold}.parquet")


def windows_of(splits: Iterable[Split], closed_at: pd.DatetimeIndex) -> tuple[Window, ...]:
    """Return the spans of splits; `closed_at` is that of the rows that were split."""
    return tuple(
        Window(
            train_from=closed_at[split.train].min(),
            train_to=closed_at[split.train].max(),
            test_from=closed_at[split.test].min(),
            test_to=closed_at[split.test].max(),
        )
        for split in splits
    )


def run_folds(plan: FoldPlan, workers: int, ended: Callable[[int], None]) -> pd.DataFrame:
    """Run every fold as a trial of the Ray that this process has joined.

    Parameters
    ----------
    workers : int
        Trials at a time; 0: as many as there are CPUs.
    ended : callable
        Told the number of each fold that has ended.

    Returns
    -------
    DataFrame, columns `dexml.experiments.folds.FORECAST_COLUMNS`
        Sorted by target, close and symbol; the same with any number of workers.

    Raises
    ------
    ModelError
        The first fold that could not be fitted, or whose worker died twice; folds that ended are
        kept and not done again.
    """
    storage = Path(plan.folder, "tune")
    shutil.rmtree(storage, ignore_errors=True)
    _quieten()
    trainable = tune.with_resources(tune.with_parameters(_trial, plan=plan), {"cpu": 1})
    tuner = tune.Tuner(
        trainable,
        param_space={"fold": tune.grid_search(list(range(len(plan.windows))))},
        tune_config=tune.TuneConfig(max_concurrent_trials=workers or None),
        run_config=tune.RunConfig(
            name="folds",
            storage_path=str(storage),
            verbose=0,
            callbacks=[_Progress(ended)],
            failure_config=tune.FailureConfig(max_failures=1),
        ),
    )
    try:
        results = tuner.fit()
    finally:
        shutil.rmtree(storage, ignore_errors=True)
    _raise_first(results)
    parts = [pd.read_parquet(plan.forecasts(fold)) for fold in range(len(plan.windows))]
    table = pd.concat(parts, ignore_index=True)
    return table.sort_values(["target", "closed_at", "symbol"], ignore_index=True)


def _quieten() -> None:
    # Ctrl-C must unwind through our own clean-up, which Tune's handler would hold back.
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the new one prints a table even when told not to


class _Progress(tune.Callback):  # type: ignore[misc]
    """Tells of ended trials; Tune pickles its callbacks, a progress bar it must not."""

    def __init__(self, ended: Callable[[int], None]) -> None:
        self._ended = ended

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._ended(int(trial.config["fold"]))


def _raise_first(results: tune.ResultGrid) -> None:
    for result in results:
        if result.metrics and "refused" in result.metrics:
            raise ModelError(*result.metrics["refused"])
    if results.errors:
        last = str(results.errors[0]).strip().splitlines()[-1]
        raise ModelError("fold", "must end well", last, "Run it again.")


def _trial(config: dict[str, int], plan: FoldPlan) -> None:
    fold = config["fold"]
    if not plan.forecasts(fold).exists():
        try:
            _run_fold(plan, fold)
        except ModelError as error:  # would come again: only what a dead worker lost is retried
            tune.report({"refused": [error.subject, error.rule, error.was, error.fix]})
            return
    known = pd.read_parquet(plan.forecasts(fold)).dropna(subset=["y", "p"])
    tune.report({name: value for name, value in _scores(known)} | {"n": len(known)})


def _scores(known: pd.DataFrame) -> Iterable[tuple[str, float]]:
    for target, rows in known.groupby("target"):
        yield f"{target}_accuracy", accuracy(rows["y"], rows["p"])
        yield f"{target}_log_loss", log_loss(rows["y"], rows["p"])


def _run_fold(plan: FoldPlan, fold: int) -> None:
    window, path = plan.windows[fold], plan.forecasts(fold)
    panel, labels = pd.read_parquet(plan.panel), pd.read_parquet(plan.labels)
    closed_at = pd.DatetimeIndex(panel.index.get_level_values("closed_at"))
    train, test = panel[window.train_rows(closed_at)], panel[window.test_rows(closed_at)]
    models = path.with_name(f"models-{fold}")
    shutil.rmtree(models, ignore_errors=True)
    try:
        forecasts = forecast_fold(train, test, labels, plan.spec, models, past=panel)
    finally:
        shutil.rmtree(models, ignore_errors=True)
    partial = path.with_suffix(".partial")
    forecasts.assign(fold=fold).to_parquet(partial)
    partial.replace(path)


def refuse_unshared(folder: Path) -> None:
    """Refuse unless every node of the cluster that could run a fold sees `folder`.

    Raises
    ------
    EnvironmentRefused
        Naming the nodes that do not.
    """
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    if len(nodes) < 2:
        return
    marker = folder / f"seen-by-all-{os.getpid()}"
    marker.touch()
    looks = ray.remote(num_cpus=0, max_retries=0)(os.path.exists)
    seen = {
        f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})": looks.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(str(marker))
        for node in nodes
    }
    blind = [name for name, sees in seen.items() if not ray.get(sees, timeout=LOOK_S)]
    marker.unlink()
    if blind:
        raise EnvironmentRefused(
            "--home",
            "must be a folder that all nodes share",
            f"{folder}, not seen by {', '.join(blind)}",
            "Give an absolute --home on a shared disk.",
        )
