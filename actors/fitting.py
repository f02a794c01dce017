"""Training of a suite through the trainer actors, and what it left to be judged."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from actors.crew import Crew
from actors.stages import Step
from dexml.domain import Target
from dexml.errors import ModelError
from dexml.experiments.training import TimeSplit, fit_stacker, training_rows
from dexml.features.panel import view
from dexml.models.fits import FitLimits, FitRequest
from dexml.models.registry import Registry
from dexml.models.suite import Suite
from dexml.models.tabular import FitSpec

__all__ = ["Trained", "train"]

POLL_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """A published suite.

    Attributes
    ----------
    suite : Suite
        Loaded from the registry, verified.
    reports : dict of target to dict
        What each fit reported; degraded targets are absent.
    """

    suite: Suite
    reports: dict[Target, dict[str, Any]]


def train(crew: Crew, step: Step, split: TimeSplit, labels: pd.DataFrame, seed: int) -> Trained:
    """Fit every target that has inputs, stack them on out-of-fold forecasts, publish the suite."""
    views = {target: view(target, tuple(split.train.columns)) for target in Target}
    wanted = {target: columns for target, columns in views.items() if columns}
    crew.start_trainers(tuple(wanted))
    for target, columns in wanted.items():
        rows = training_rows(split.train, labels, target, columns)
        _submit(crew, target, rows, FitSpec(target=target, columns=columns, seed=seed))
    done = _wait(crew, step, tuple(wanted))
    return _publish(crew, done, labels)


def _submit(crew: Crew, target: Target, rows: pd.DataFrame, spec: FitSpec) -> None:
    path = crew.place.folder / "training" / f"{target}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(path)
    request = FitRequest(rows=str(path), spec=spec)
    crew.supervisor.ask(f"trainer:{target}", "submit", crew.place.run, request, FitLimits(), 1)


def _wait(crew: Crew, step: Step, targets: tuple[Target, ...]) -> dict[Target, Any]:
    done: dict[Target, Any] = {}
    while len(done) < len(targets):
        time.sleep(POLL_S)
        for target in (name for name in targets if name not in done):
            status = crew.supervisor.ask(f"trainer:{target}", "status", crew.place.run)
            if status.state == "failed":
                raise ModelError(f"fit of {target}", "must end", status.reason, "See its reason.")
            if status.state == "done":
                done[target] = status
                step.advance(1, f"{target} fitted")
    return done


def _publish(crew: Crew, done: dict[Target, Any], labels: pd.DataFrame) -> Trained:
    registry = Registry(crew.place.home / "models")
    oof = {target: _oof(registry, status.digest) for target, status in done.items()}
    stacker = fit_stacker(oof, labels)
    digest = Suite.publish(registry, {target: done[target].digest for target in done}, stacker)
    for target, status in done.items():
        crew.ledger.add_model(status.digest, str(target), "{}", "champion")
    return Trained(
        suite=Suite.load(registry, digest),
        reports={target: status.report for target, status in done.items()},
    )


def _oof(registry: Registry, digest: str) -> pd.Series[float]:
    folder, _manifest = registry.open(digest)
    return pd.read_parquet(Path(folder) / "oof.parquet")["p"]
