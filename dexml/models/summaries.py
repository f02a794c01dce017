"""What the manifest of a suite says of its parts, and what a list of versions shows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pandas as pd

from dexml.models.requirements import library_versions
from dexml.models.sealing import canonical
from dexml.validation.metrics import accuracy, log_loss

__all__ = ["judged", "suite_manifest"]

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
