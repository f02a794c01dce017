"""Fit the CNN-LSTM of one target: over the blocks of the other members, and once to be kept."""

from __future__ import annotations

import json
import logging
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dexml.ensemble import Stacker
from dexml.errors import ModelError
from dexml.models.flat import FILE, FORMAT
from dexml.models.profiles import FitSpec
from dexml.models.rules import BaseRate
from dexml.models.sequence.advice import validate_config
from dexml.models.sequence.checkpoint import write_weights
from dexml.models.sequence.config import SequenceConfig, budget
from dexml.models.sequence.forecaster import KIND, MEMBER, WEIGHTS, TrainedNetwork
from dexml.models.sequence.machine import mixed_seed
from dexml.models.sequence.training import (
    Learnt,
    Material,
    Progress,
    Schedule,
    train_network,
)
from dexml.models.sequence.windows import Scaler, Tape, lay_out
from dexml.models.tabular import OOF_FILE, FitReport, cross_fit, peak_rss_mb, rule_oof, scores_of
from dexml.validation.splits import Split, bar_step, block_splits

__all__ = ["Watch", "fit_sequence"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_LEAST_WINDOWS = 100  # of those learnt from, and a tenth of it in the block that ends a training
_LOG = logging.getLogger(__name__)


class Watch:
    """Hears how a fit goes on; this one does nothing with it."""

    def begin(self, name: str) -> None:
        """Hear which network is trained from now on."""

    def report(self, progress: Progress) -> None:
        """Hear of one more step."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fit:
    frame: pd.DataFrame
    labels: Floats
    tape: Tape
    step: pd.Timedelta
    spec: FitSpec
    config: SequenceConfig
    checkpoints: Path | None
    watch: Watch


def fit_sequence(
    frame: pd.DataFrame,
    label: pd.Series,
    spec: FitSpec,
    folder: Path,
    checkpoints: Path | None = None,
    watch: Watch | None = None,
) -> FitReport:
    """Fit a CNN-LSTM on all windows that end in a known label and write it to `folder`.

    Parameters
    ----------
    frame : DataFrame, shape (n_rows, n_columns)
        Rows of a panel, index (closed_at, instrument), at least the columns of `spec`.
    label : Series, shape (n_rows,)
        Same index; 1.0, 0.0 or NaN. Rows with NaN are seen in windows, not learnt from.
    spec : FitSpec
        What to fit; its `sequence` holds the configuration. The same rows and spec give the same
        files, to the byte, on one machine.
    folder : Path
        Made; must not exist.
    checkpoints : Path, optional
        Folder from which a fit that was killed goes on; removed when the fit has ended.
    watch : Watch, optional
        Hears of every step.

    Raises
    ------
    ModelError
        If there are too few windows or only one class.

    Notes
    -----
    Folds are those of the tabular members, and windows that hold a row of the judged block, or end
    within the embargo of it, are not learnt from. A network stops by the newest block of its own
    training rows, never by the block it is judged on. What all networks see together is what the
    profile allows.
    """
    started = time.perf_counter()
    fit = _prepared(frame, label, spec, checkpoints, watch or Watch())
    folder.mkdir(parents=True)
    try:
        _fit_into(folder, fit)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if checkpoints is not None:
        shutil.rmtree(checkpoints, ignore_errors=True)
    return FitReport.read(folder, time.perf_counter() - started, peak_rss_mb("self"))


def _prepared(
    frame: pd.DataFrame, label: pd.Series, spec: FitSpec, checkpoints: Path | None, watch: Watch
) -> _Fit:
    if not label.index.equals(frame.index):
        raise ModelError("labels", "must have the index of the rows", "another", "Reindex them.")
    config = spec.sequence or SequenceConfig()
    for finding in validate_config(config, spec.profile, n_networks=spec.n_folds + 1):
        _LOG.warning("%s", finding)
    _refuse_few(len(frame), "rows")
    step = bar_step(frame.index.get_level_values("closed_at"))
    return _Fit(
        frame=frame,
        labels=label.to_numpy(dtype=np.float64),
        tape=lay_out(frame, spec.columns, step),
        step=step,
        spec=spec,
        config=config,
        checkpoints=checkpoints,
        watch=watch,
    )


def _fit_into(folder: Path, fit: _Fit) -> None:
    splits = _splits(fit)
    said = np.full(len(fit.frame), np.nan)
    for number, split in enumerate(splits):
        judged = np.zeros(len(fit.frame), dtype=bool)
        judged[split.test] = True
        trained, _ = _train(fit, split.train, judged, number)
        said[split.test] = trained.predict(fit.frame, judged)[split.test]
    everything = np.arange(len(fit.frame))
    nothing = np.zeros(len(fit.frame), dtype=bool)
    kept, learnt = _train(fit, everything, nothing, len(splits))
    write_weights(folder / WEIGHTS, learnt.weights)
    _write(folder, fit, _evidence(fit, said), kept, learnt)


def _splits(fit: _Fit) -> list[Split]:
    closed_at = fit.frame.index.get_level_values("closed_at")
    return block_splits(closed_at, fit.spec.n_folds, fit.step * fit.spec.embargo_bars)


def _train(
    fit: _Fit, rows: NDArray[np.int64], judged: Mask, number: int
) -> tuple[TrainedNetwork, Learnt]:
    scaler, material = _material(fit, rows, judged)
    config, most = fit.config, budget(fit.config, fit.spec.profile)
    schedule = Schedule(
        seed=mixed_seed(fit.spec.seed, number),
        max_samples=None if most is None else most // (fit.spec.n_folds + 1),
        num_cpus=fit.spec.num_cpus,
        checkpoint=fit.checkpoints / f"{number}.pt" if fit.checkpoints else None,
    )
    fit.watch.begin("all" if number == fit.spec.n_folds else f"fold {number + 1}")
    learnt = train_network(material, config, schedule, fit.watch.report)
    values = {
        "columns": fit.spec.columns,
        "step_ns": fit.step.value,
        "scaler": asdict(scaler),
    }
    return TrainedNetwork.build(values, config, learnt.weights), learnt


def _material(fit: _Fit, rows: NDArray[np.int64], judged: Mask) -> tuple[Scaler, Material]:
    """Return what one network learns from, and the scaler of its training rows."""
    tape, length = fit.tape, fit.config.data.sequence_length
    ends = tape.ends(length)
    ends = ends[np.isfinite(fit.labels[tape.rows[ends]])]
    learnt = np.zeros(len(fit.frame), dtype=bool)
    learnt[rows] = True
    ends = ends[learnt[tape.rows[ends]] & ~tape.touches(ends, length, judged)]
    at = pd.DatetimeIndex(fit.frame.index.get_level_values("closed_at"))
    instants = at[tape.rows[ends]].unique().sort_values()
    _refuse_few(len(ends), "windows")
    newest = instants[round(len(instants) * (1 - fit.config.data.validation_share)) - 1]
    early = at < newest - fit.step * fit.spec.embargo_bars
    late = at >= newest
    learns, judges = early[tape.rows[ends]], late[tape.rows[ends]]
    _refuse_few(int(learns.sum()), "windows before the block that ends a training")
    scaler = Scaler.fit(
        tape.values[(learnt & early)[tape.rows]], fit.config.data.clip, fit.config.data.mask_missing
    )
    return scaler, Material(
        channels=scaler.apply(tape.values),
        ends=ends[learns],
        y=fit.labels[tape.rows[ends[learns]]],
        judged=ends[judges],
        judged_y=fit.labels[tape.rows[ends[judges]]],
    )


def _evidence(fit: _Fit, said: Floats) -> pd.DataFrame:
    spoken = np.isfinite(said) & np.isfinite(fit.labels)
    rows, y = fit.frame.loc[spoken], fit.labels[spoken]
    closed_at = rows.index.get_level_values("closed_at")
    splits = block_splits(closed_at, fit.spec.n_folds, fit.step * fit.spec.embargo_bars)
    oof = pd.DataFrame({MEMBER: said[spoken]}, index=rows.index)
    return oof.assign(
        base_rate=rule_oof(BaseRate(), rows, y, splits), forecaster=cross_fit(oof, y, splits), y=y
    )


def _write(
    folder: Path, fit: _Fit, evidence: pd.DataFrame, kept: TrainedNetwork, learnt: Learnt
) -> None:
    evidence.to_parquet(folder / OOF_FILE)
    y = evidence["y"].to_numpy()
    spec = {k: v for k, v in asdict(replace(fit.spec, sequence=None)).items() if k != "num_cpus"}
    values: dict[str, Any] = {
        "format": FORMAT,
        "kind": KIND,
        "target": fit.spec.target,
        "instruments": sorted(set(fit.frame.index.get_level_values("instrument"))),
        "config": asdict(fit.config),
        "network": kept.to_dict(),
        "blend": Stacker.fit(evidence[[MEMBER]], y).to_dict(),
        "base_rate": float(y.mean()),
        "scores": scores_of(evidence),
        "history": list(learnt.history),
        "samples": learnt.samples,
        "spec": spec,
    }
    (folder / FILE).write_text(json.dumps(values, sort_keys=True, indent=1, allow_nan=False))


def _refuse_few(n: int, what: str) -> None:
    if n < _LEAST_WINDOWS:
        raise ModelError(
            "CNN-LSTM", f"must have {_LEAST_WINDOWS} {what} to learn from", n, "Give more bars."
        )
