"""From fitted members to one suite: the ensemble, its evidence, and a signed version of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from dexml.domain import Target
from dexml.experiments.leaderboards import COLUMNS, ensemble_rows, leaderboard
from dexml.experiments.member_fits import FitOutcome
from dexml.experiments.specifications import VOTERS
from dexml.models.base import Forecaster
from dexml.models.loading import load_forecaster
from dexml.models.recipe import Recipe
from dexml.models.registry import Registry
from dexml.models.sealing import Signer
from dexml.models.suite import Suite, fit_ensemble, member_oof
from dexml.models.summaries import Scores, judged, suite_manifest
from dexml.models.tabular import read_oof

__all__ = ["Trained", "assemble", "publish"]

_DIRECTION = str(Target.DIRECTION)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """What a training gave.

    Attributes
    ----------
    outcomes : mapping of member to FitOutcome
    suite : Suite or None
        None if no member that speaks of direction was fitted: there is nothing to make one of.
    scores : mapping
        Of the ensemble, on blocks that it did not see; empty without a suite.
    board : DataFrame
        See `dexml.experiments.leaderboards.leaderboard`.
    """

    outcomes: Mapping[str, FitOutcome]
    suite: Suite | None
    scores: Scores
    board: pd.DataFrame

    @property
    def failed(self) -> dict[str, str]:
        """Return why members could not be fitted, by name."""
        return {name: one.reason for name, one in self.outcomes.items() if one.reason}

    @property
    def folders(self) -> dict[str, Path]:
        """Return the models that were fitted."""
        return {name: one.folder for name, one in self.outcomes.items() if one.folder}


def assemble(
    outcomes: Mapping[str, FitOutcome],
    panel: pd.DataFrame,
    labels: pd.DataFrame,
    recipe: Recipe,
    truth: pd.DataFrame | None = None,
) -> Trained:
    """Stack the members that were fitted, and judge everything out of fold.

    Parameters
    ----------
    panel, labels : DataFrame
        Those of `fit_members`.
    truth : DataFrame, optional
        True probabilities, where the market is planted.
    """
    folders = {name: one.folder for name, one in outcomes.items() if one.folder}
    targets = {name: one.spec.target for name, one in outcomes.items()}
    board = leaderboard(folders, targets, truth)
    voters = [name for name in folders if name in VOTERS]
    if not voters:
        return Trained(outcomes=outcomes, suite=None, scores={}, board=board)
    direction, first = labels[_DIRECTION], voters[0]
    oof, spec = member_oof({name: folders[name] for name in voters}), outcomes[first].spec
    ensemble, said = fit_ensemble(oof, direction, spec, VOTERS, recipe.ensemble, panel)
    members: dict[str, Forecaster | None] = {str(target): None for target in Target}
    members |= {name: load_forecaster(folder) for name, folder in folders.items()}
    y, base_rate = (
        one.reindex(said.index) for one in (direction, read_oof(folders[first])["base_rate"])
    )
    row = ensemble_rows(y, said, base_rate, truth, _DIRECTION)
    return Trained(
        outcomes=outcomes,
        suite=Suite(members=members, ensemble=ensemble),
        scores=judged(y, said, base_rate),
        board=pd.concat([board, row], ignore_index=True)[list(COLUMNS)],
    )


def publish(
    trained: Trained, registry: Registry, signer: Signer, at: datetime, *, alone: bool = False
) -> dict[str, str]:
    """Put what was fitted into a registry, signed, as challengers; no champion changes.

    Parameters
    ----------
    alone : bool
        Only the members, each as a version that stands for its own target.

    Returns
    -------
    dict of member to digest
        With "suite" among them unless there is none.
    """
    digests = {}
    for name, outcome in trained.outcomes.items():
        if outcome.folder is None or outcome.report is None:
            continue
        facts = {"seconds": outcome.report.seconds, "peak_rss_mb": outcome.report.peak_rss_mb}
        columns = outcome.spec.columns
        digests[name] = registry.publish(
            outcome.folder, outcome.manifest, columns=columns, facts=facts
        )
        registry.sign(digests[name], signer, at)
    if trained.suite is None or alone:
        return digests
    manifests = {name: trained.outcomes[name].manifest for name in digests}
    manifest = suite_manifest(digests, manifests, trained.scores)
    if trained.failed:
        manifest["failed"] = trained.failed
    suite = trained.suite.publish(registry, manifest)
    registry.sign(suite, signer, at)
    return digests | {"suite": suite}
