"""Training of a suite through the trainer actors, and what it left to be judged."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from actors.crew import Crew
from actors.stages import Step
from actors.trainer import FitStatus
from dexml.clock import SystemClock
from dexml.domain import Target
from dexml.ensemble import Ensemble
from dexml.errors import ModelError
from dexml.experiments.specifications import VOTERS, specifications
from dexml.experiments.training import TimeSplit
from dexml.models.base import Forecaster
from dexml.models.fits import FitRequest, limits_of, write_rows
from dexml.models.loading import load_forecaster
from dexml.models.local_signer import LocalSigner
from dexml.models.recipe import Recipe
from dexml.models.suite import Suite, fit_ensemble, member_oof
from dexml.models.summaries import judged, suite_manifest
from dexml.models.tabular import FitSpec, read_oof

__all__ = ["Trained", "train"]

POLL_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """A published suite.

    Attributes
    ----------
    suite : Suite
        Loaded from the registry, verified.
    reports : dict of member to dict
        What each fit reported; degraded targets are absent.
    digests : dict of member to str
        Version of each model.
    """

    suite: Suite
    reports: dict[str, dict[str, Any]]
    digests: dict[str, str]


def train(
    crew: Crew,
    step: Step,
    split: TimeSplit,
    labels: pd.DataFrame,
    seed: int,
    recipe: Recipe,
) -> Trained:
    """Fit every member that has inputs, stack them on out-of-fold forecasts, publish the suite."""
    specs = specifications(tuple(split.train.columns), seed, recipe=recipe)
    crew.start_trainers(tuple(specs))
    for name, spec in specs.items():
        label = labels[spec.target].reindex(split.train.index)
        _submit(crew, name, split.train[list(spec.columns)], label, spec)
    done = _wait(crew, step, tuple(specs))
    direction = labels[str(Target.DIRECTION)]
    learn = partial(
        fit_ensemble,
        spec=specs[str(Target.DIRECTION)],
        members=VOTERS,
        method=recipe.ensemble,
        panel=split.train,
    )
    return _publish(crew, done, direction, learn)


def _submit(
    crew: Crew, name: str, rows: pd.DataFrame, label: pd.Series[float], spec: FitSpec
) -> None:
    path = crew.place.folder / "training" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    request = FitRequest(rows=str(write_rows(rows, label, path)), spec=spec)
    limits = limits_of(spec, len(rows))
    crew.supervisor.ask(f"trainer:{name}", "submit", crew.place.run, request, limits, 1)


def _wait(crew: Crew, step: Step, names: tuple[str, ...]) -> dict[str, FitStatus]:
    done: dict[str, FitStatus] = {}
    while len(done) < len(names):
        time.sleep(POLL_S)
        for name in (one for one in names if one not in done):
            status = crew.supervisor.ask(f"trainer:{name}", "status", crew.place.run)
            if status.state == "failed":
                raise ModelError(f"fit of {name}", "must end", status.reason, "See its reason.")
            if status.state == "done":
                done[name] = status
                step.advance(1, f"{name} fitted")
    return done


def _publish(
    crew: Crew,
    done: dict[str, FitStatus],
    direction: pd.Series[float],
    learn: Callable[[pd.DataFrame, pd.Series[float]], tuple[Ensemble, pd.Series[float]]],
) -> Trained:
    registry, signer, clock = crew.place.registry, LocalSigner(crew.place.home), SystemClock()
    digests = {name: str(status.digest) for name, status in done.items()}
    for digest in digests.values():  # the driver vouches for what its own trainers report
        registry.sign(digest, signer, clock.now())
    opened = {name: registry.open(digest) for name, digest in digests.items()}
    folders = {name: folder for name, (folder, _) in opened.items()}
    ensemble, said = learn(member_oof(folders), direction)
    members: dict[str, Forecaster | None] = {str(target): None for target in Target}
    members |= {name: load_forecaster(folder) for name, folder in folders.items()}
    base_rate = read_oof(folders[str(Target.DIRECTION)])["base_rate"].reindex(said.index)
    scores = judged(direction.reindex(said.index), said, base_rate)
    manifests = {name: manifest for name, (_, manifest) in opened.items()}
    manifest = suite_manifest(digests, manifests, scores)
    digest = Suite(members=members, ensemble=ensemble).publish(registry, manifest)
    registry.sign(digest, signer, clock.now())
    return Trained(
        suite=Suite.load(registry, digest),
        reports={name: status.report or {} for name, status in done.items()},
        digests=digests,
    )
