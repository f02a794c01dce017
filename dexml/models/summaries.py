"""What the manifest of a suite says of its parts, and what a list of versions shows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from dexml.models.copying import file_digest
from dexml.models.fits import FitRequest
from dexml.models.requirements import LIBRARIES, library_versions
from dexml.models.sealing import canonical
from dexml.models.tabular import FitReport
from dexml.validation.metrics import accuracy, log_loss

__all__ = ["judged", "member_manifest", "suite_manifest"]

Scores = Mapping[str, float]


def judged(y: pd.Series, forecasts: pd.Series, base_rate: pd.Series) -> Scores:
    """Return accuracy and log-loss of some forecasts, and the log-loss of the base rate.

    Parameters
    ----------
    y, forecasts, base_rate : Series, shape (n_rows,)
        Labels without NaN, and probabilities that were made without them; same index.
    """
    return {
        "accuracy": accuracy(y, forecasts),
        "log_loss": log_loss(y, forecasts),
        "base_rate_log_loss": log_loss(y, base_rate),
    }


def member_manifest(request: FitRequest, report: FitReport) -> dict[str, Any]:
    """Return what makes a model version what it is: data, configuration, seed, scores."""
    closed_at = report.oof.index.get_level_values("closed_at")
    return {
        "target": report.target,
        "spec": asdict(request.spec),
        "data": {
            "sha256": file_digest(Path(request.rows)),
            "n_rows": len(report.oof),
            "from": closed_at.min().isoformat(),
            "to": closed_at.max().isoformat(),
        },
        "models": report.models,
        "scores": report.scores,
        "libraries": library_versions((*LIBRARIES, *(["torch"] if request.spec.sequence else []))),
    }


def suite_manifest(
    members: Mapping[str, str], manifests: Mapping[str, Mapping[str, Any]], ensemble: Scores
) -> dict[str, Any]:
    """Return what a suite's manifest says of what it was made from.

    Parameters
    ----------
    members : mapping of member to digest
    manifests : mapping of member to manifest
        Of the version of each member.
    ensemble : mapping
        From `judged`.
    """
    data = {name: one["data"] for name, one in manifests.items()}
    scores = {name: _summary(one["scores"]) for name, one in manifests.items()}
    libraries = [one["libraries"] for one in manifests.values() if "libraries" in one]
    return {
        "members": dict(members),
        "libraries": {name: one[name] for one in libraries for name in one} or library_versions(),
        "seeds": sorted({one["spec"]["seed"] for one in manifests.values() if "spec" in one}),
        "scores": {**scores, "ensemble": dict(ensemble)},
        "data": {
            "from": min(one["from"] for one in data.values()),
            "to": max(one["to"] for one in data.values()),
            "sha256": hashlib.sha256(canonical(data)).hexdigest(),
        },
    }


def _summary(scores: Mapping[str, Scores]) -> Scores:
    own, base = scores["forecaster"], scores["base_rate"]
    return {
        "accuracy": own["accuracy"],
        "log_loss": own["log_loss"],
        "base_rate_log_loss": base["log_loss"],
    }
