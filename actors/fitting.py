"""Training of a suite through the trainer actors, and what it left to be judged."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from actors.crew import Crew
from actors.stages import Step
from dexml.domain import Target
from dexml.errors import ModelError
from dexml.experiments.training import TimeSplit
from dexml.features.panel import view
from dexml.models.fits import FitLimits, FitRequest, write_rows
from dexml.models.registry import Registry
from dexml.models.suite import Suite, fit_stacker, member_oof
from dexml.models.tabular import FitSpec, TabularForecaster

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
    digests : dict of target to str
        Version of each model.
    """

    suite: Suite
    reports: dict[Target, dict[str, Any]]
    digests: dict[Target, str]


def train(crew: Crew, step: Step, split: TimeSplit, labels: pd.DataFrame, seed: int) -> Trained:
    """Fit every target that has inputs, stack them on out-of-fold forecasts, publish the suite."""
    views = {target: view(target, tuple(split.train.columns)) for target in Target}
    wanted = {target: columns for target, columns in views.items() if columns}
    crew.start_trainers(tuple(wanted))
    specs = {
        target: FitSpec(target=str(target), columns=columns, seed=seed)
        for target, columns in wanted.items()
    }
    for target, spec in specs.items():
        label = labels[spec.target].reindex(split.train.index)
        _submit(crew, target, split.train[list(spec.columns)], label, spec)
    done = _wait(crew, step, tuple(wanted))
    return _publish(crew, done, labels[str(Target.DIRECTION)], specs[Target.DIRECTION])


def _submit(
    crew: Crew, target: Target, rows: pd.DataFrame, label: pd.Series[float], spec: FitSpec
) -> None:
    path = crew.place.folder / "training" / f"{target}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    request = FitRequest(rows=str(write_rows(rows, label, path)), spec=spec)
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


def _publish(
    crew: Crew, done: dict[Target, Any], direction: pd.Series[float], spec: FitSpec
) -> Trained:
    registry = Registry(crew.place.home / "models")
    folders = {str(target): registry.open(status.digest)[0] for target, status in done.items()}
    stacker, _ = fit_stacker(member_oof(folders), direction, spec)
    members = {name: TabularForecaster.load(folder) for name, folder in folders.items()}
    made = Suite(members={str(t): members.get(str(t)) for t in Target}, stacker=stacker)
    with TemporaryDirectory(prefix="dexml-suite-") as scratch:
        described = {name: folder.name for name, folder in folders.items()}
        digest = registry.publish(made.save(Path(scratch, "suite")), {"members": described})
    return Trained(
        suite=Suite.load(registry, digest),
        reports={target: status.report for target, status in done.items()},
        digests={target: status.digest for target, status in done.items()},
    )
