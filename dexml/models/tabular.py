"""Fit the model of one target with AutoGluon and leave it as plain files with honest evidence."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from math import gcd
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.ensemble import Stacker
from dexml.errors import ModelError
from dexml.models.flat import FILE, FORMAT, TabularForecaster, design_matrix
from dexml.models.profiles import PROFILES, FitSpec, rules_of
from dexml.models.rules import BaseRate, Rule
from dexml.targets import uniqueness
from dexml.validation.metrics import accuracy, brier_score, calibration_error, log_loss
from dexml.validation.significance import forecast_skill
from dexml.validation.splits import Split, bar_step, block_splits

__all__ = [
    "FitReport",
    "FitSpec",
    "TabularForecaster",
    "cross_fit",
    "fit_tabular",
    "read_oof",
    "rule_oof",
    "scores_of",
]

Floats = NDArray[np.float64]
Scores = Mapping[str, Mapping[str, float]]

OOF_FILE = "oof.parquet"
_HOURS_OF_WEEK = 168


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitReport:
    """What a fit did, judged on rows it had not seen.

    Attributes
    ----------
    oof : Series, shape (n_rows,)
        Out-of-fold probabilities of the whole forecaster, index (closed_at, instrument).
    scores : mapping
        For "forecaster", "base_rate", each learner and rule: accuracy, log_loss, brier,
        calibration_error, and gain and t over the base rate of the other blocks.
    base_rate : float
        Frequency of label 1.
    seconds, peak_rss_mb : float
        Cost of the fit; MiB of the process that fitted.
    models : tuple of str
        Members of the blend.
    """

    target: str
    oof: pd.Series
    scores: Scores
    base_rate: float
    seconds: float
    peak_rss_mb: float
    models: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path, seconds: float, peak_rss_mb: float) -> FitReport:
        """Read the report of a fitted folder; what it cost is known to who ran it."""
        values = json.loads((folder / FILE).read_text())
        return cls(
            target=values["target"],
            oof=read_oof(folder)["forecaster"],
            scores=values["scores"],
            base_rate=values["base_rate"],
            seconds=seconds,
            peak_rss_mb=peak_rss_mb,
            models=tuple(values["blend"]["members"]),
        )


def read_oof(folder: Path) -> pd.DataFrame:
    """Return the out-of-fold table of a fitted folder.

    Returns
    -------
    DataFrame, shape (n_rows, n_members + 3)
        Index (closed_at, instrument); a column for each learner and rule, "base_rate",
        "forecaster", and the label "y".
    """
    return pd.read_parquet(folder / OOF_FILE)


def fit_tabular(frame: pd.DataFrame, label: pd.Series, spec: FitSpec, folder: Path) -> FitReport:
    """Fit one target on all rows with a known label and write the forecaster to `folder`.

    Parameters
    ----------
    frame : DataFrame, shape (n_rows, n_columns)
        Rows of a panel, index (closed_at, instrument), at least the columns of `spec`.
    label : Series, shape (n_rows,)
        Same index; 1.0, 0.0 or NaN. Rows with NaN are left out.
    spec : FitSpec
        What to fit. The same rows and spec give the same files, to the byte.
    folder : Path
        Made; must not exist.

    Raises
    ------
    ModelError
        If the rows cannot be learnt from, AutoGluon skipped a model, or the exported boosters do
        not repeat AutoGluon's own probabilities to the bit.

    Notes
    -----
    Learners are bagged over contiguous blocks of time with an embargo, judged out of fold, and
    refitted on all rows. A profile with two sets of folds cuts the second elsewhere; what is said
    of a row out of fold is the mean over the sets. Rows whose labels overlap count as often as they
    are unique (`dexml.targets.uniqueness`). The blend that gives the out-of-fold forecasts of a
    block is learnt on the other blocks; the blend that is kept is learnt on all. Blocks in the
    middle are judged by learners that saw the future: evidence for weighing models, not a backtest.
    """
    started = time.perf_counter()
    rows, y = _known_rows(frame, label)
    step = bar_step(rows.index.get_level_values("closed_at"))
    counts = None if spec.horizon == 1 else uniqueness(rows.index, spec.horizon)
    kept = _thinned(rows, PROFILES[spec.profile].most_rows)
    rows, y, counts = rows[kept], y[kept], None if counts is None else counts[kept]
    sets = _sets(rows, spec, step)
    folder.mkdir(parents=True)
    try:
        _fit_into(folder, rows, y, sets, spec, counts)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FitReport.read(folder, time.perf_counter() - started, peak_rss_mb("self"))


def cross_fit(
    members: pd.DataFrame,
    y: Floats,
    splits: Sequence[Split],
    prior: float = 0.0,
    counts: Floats | None = None,
) -> Floats:
    """Return stacked forecasts of each block by weights learnt on the other blocks.

    Parameters
    ----------
    members : DataFrame, shape (n, n_members)
        Out-of-fold probabilities.
    y : ndarray, shape (n,)
        Labels.
    splits : sequence of Split
        Those that made the out-of-fold probabilities.
    prior, counts : float, ndarray
        See `Stacker.fit`.
    """
    out = np.full(len(members), np.nan)
    often = np.ones_like(y) if counts is None else counts
    for split in splits:
        known = split.train
        stacker = Stacker.fit(members.iloc[known], y[known], prior=prior, counts=often[known])
        out[split.test] = stacker.predict(members.iloc[split.test])
    return out


def peak_rss_mb(process: int | str) -> float:
    """Return the most memory that a process has held, MiB; 0 if it is gone or not on Linux."""
    # Not ru_maxrss: a child inherits the parent's from before exec.
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return float(lines[0].split()[1]) / 1024 if lines else 0.0


def _known_rows(frame: pd.DataFrame, label: pd.Series) -> tuple[pd.DataFrame, Floats]:
    if not label.index.equals(frame.index):
        raise ModelError("labels", "must have the index of the rows", "another", "Reindex them.")
    known = label.notna().to_numpy()
    y = label.to_numpy(dtype=np.float64)[known]
    if not 0 < y.sum() < len(y):
        raise ModelError(
            "training labels", "must hold both classes", f"{len(y)} rows", "Give more bars."
        )
    return frame.loc[known], y


# Whole instants are left out: those of an hour are too much alike to miss every so many-th. A step
# that shares no factor with the hours of a week goes through all of them: every sixth hour would
# only ever learn from four hours of the day.
def _thinned(rows: pd.DataFrame, most: int | None) -> NDArray[np.bool_]:
    place, _ = pd.factorize(rows.index.get_level_values("closed_at"), sort=True)
    least = -(-len(rows) // most) if most else 1
    every = next(step for step in count(least) if gcd(step, _HOURS_OF_WEEK) == 1)
    return np.asarray(place % every == 0)


def _sets(rows: pd.DataFrame, spec: FitSpec, step: pd.Timedelta) -> list[list[Split]]:
    closed_at, n_sets = rows.index.get_level_values("closed_at"), PROFILES[spec.profile].n_sets
    return [
        block_splits(closed_at, spec.n_folds, step * spec.embargo_bars, number / n_sets)
        for number in range(n_sets)
    ]


def _fit_into(
    folder: Path,
    rows: pd.DataFrame,
    y: Floats,
    sets: Sequence[Sequence[Split]],
    spec: FitSpec,
    counts: Floats | None,
) -> None:
    from dexml.models.autogluon_fit import fit_learners

    instruments = sorted(set(rows.index.get_level_values("instrument")))
    design = design_matrix(rows, spec.columns, instruments)
    splits, every_split = sets[0], [split for one in sets for split in one]
    members, oof = fit_learners(design, y, every_split, spec, folder, counts)
    rules = [rule.fit(rows, pd.Series(y, rows.index)) for rule in rules_of(spec)]
    for rule in rules:
        oof[rule.name] = rule_oof(rule, rows, y, splits)
    blend = Stacker.fit(oof, y, counts=counts)
    forecaster = cross_fit(oof, y, splits, counts=counts)
    evidence = oof.assign(
        base_rate=rule_oof(BaseRate(), rows, y, splits), forecaster=forecaster, y=y
    )
    evidence.to_parquet(folder / OOF_FILE)
    values = {
        "format": FORMAT,
        "target": spec.target,
        "columns": list(spec.columns),
        "instruments": instruments,
        "members": members,
        "rules": [rule.to_dict() for rule in rules],
        "blend": blend.to_dict(),
        "base_rate": float(y.mean()),
        "scores": scores_of(evidence),
        "spec": {k: v for k, v in asdict(spec).items() if k != "num_cpus"},
    }
    (folder / FILE).write_text(json.dumps(values, sort_keys=True, indent=1, allow_nan=False))


def rule_oof(rule: Rule, rows: pd.DataFrame, y: Floats, splits: Sequence[Split]) -> Floats:
    """Return what a rule says of each block, learnt on the other blocks, shape (n_rows,)."""
    labels, out = pd.Series(y, rows.index), np.full(len(rows), np.nan)
    for split in splits:
        fitted = rule.fit(rows.iloc[split.train], labels.iloc[split.train])
        out[split.test] = fitted.predict(rows.iloc[split.test])
    return out


def scores_of(evidence: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Judge every column of an out-of-fold table; see `FitReport.scores`."""
    y, base = evidence["y"].to_numpy(), evidence["base_rate"].to_numpy()
    closed_at = evidence.index.get_level_values("closed_at").to_numpy()
    scores = {}
    for name in evidence.columns.drop("y"):
        p = evidence[name].to_numpy()
        skill = forecast_skill(y, p, base, closed_at)
        scores[str(name)] = {
            "accuracy": accuracy(y, p),
            "log_loss": log_loss(y, p),
            "brier": brier_score(y, p),
            "calibration_error": calibration_error(y, p),
            "gain": skill.gain,
            "t": skill.t,
        }
    return scores
