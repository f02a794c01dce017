"""What every model of a suite was worth out of fold, best first, beside what could be reached."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dexml.experiments.scoring import edge_reached, gap_reached
from dexml.models.suite import ENSEMBLE
from dexml.models.tabular import read_oof, scores_of

__all__ = ["COLUMNS", "ensemble_rows", "leaderboard"]

COLUMNS = (
    *("target", "model", "accuracy", "log_loss", "baseline", "gain", "t", "calibration_error"),
    *("edge_reached", "gap_reached", "n"),
)
_WHOLE = "forecaster"


def leaderboard(
    folders: Mapping[str, Path],
    targets: Mapping[str, str],
    truth: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Judge all learners and rules of fitted members by rows they did not see.

    Parameters
    ----------
    folders : mapping of member to fitted folder
    targets : mapping of member to target
    truth : DataFrame, optional
        True probabilities by target, where the market is planted.

    Returns
    -------
    DataFrame, columns `COLUMNS`
        For each member its `forecaster`, the blend that serves, and what it is made from, by
        log-loss. `baseline` is the log-loss of the base rate of the other blocks, `gain` what is
        better than it, in nats, `t` that in standard errors with timestamps as clusters.
        `edge_reached` and `gap_reached` are shares of what the true probabilities reach; NaN
        where nobody knows those.
    """
    parts = [
        _judged(name, read_oof(folder), _column(truth, targets[name]))
        for name, folder in folders.items()
    ]
    return _ordered([row for part in parts for row in part])


def ensemble_rows(
    label: pd.Series,
    forecasts: pd.Series,
    base_rate: pd.Series,
    truth: pd.DataFrame | None,
    target: str,
) -> pd.DataFrame:
    """Return the row of the ensemble in a leaderboard.

    Parameters
    ----------
    label, forecasts, base_rate : Series
        Of the direction, on one index; forecasts of blocks that the ensemble did not see.
    """
    evidence = pd.DataFrame({_WHOLE: forecasts, "base_rate": base_rate, "y": label}).dropna()
    return _ordered(_judged(ENSEMBLE, evidence, _column(truth, target), only=_WHOLE))


def _column(truth: pd.DataFrame | None, target: str) -> pd.Series | None:
    return truth[target] if truth is not None and target in truth else None


def _judged(
    name: str, evidence: pd.DataFrame, truth: pd.Series | None, only: str = ""
) -> list[dict[str, Any]]:
    scores = scores_of(evidence)
    known = None if truth is None else truth.reindex(evidence.index)
    baseline = scores["base_rate"]["log_loss"]
    return [
        {
            "target": name,
            "model": model,
            **{key: one[key] for key in ("accuracy", "log_loss", "gain", "t", "calibration_error")},
            "baseline": baseline,
            "n": len(evidence),
            **_reached(evidence[model], known),
        }
        for model, one in scores.items()
        if not only or model == only
    ]


def _reached(said: pd.Series, truth: pd.Series | None) -> dict[str, float]:
    if truth is None:
        return {"edge_reached": np.nan, "gap_reached": np.nan}
    both = (said.notna() & truth.notna()).to_numpy()
    p, true = said.to_numpy()[both], truth.to_numpy()[both]
    shares = {"edge_reached": edge_reached(p, true), "gap_reached": gap_reached(p, true)}
    return {name: np.nan if share is None else share for name, share in shares.items()}


def _ordered(rows: list[dict[str, Any]]) -> pd.DataFrame:
    board = pd.DataFrame(rows, columns=list(COLUMNS))
    places = {name: place for place, name in enumerate(dict.fromkeys(board["target"]))}
    order = pd.DataFrame({"target": board["target"].map(places), "loss": board["log_loss"]})
    return board.loc[order.sort_values(["target", "loss"]).index].reset_index(drop=True)
