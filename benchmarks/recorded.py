"""What the models are worth on recorded bars: walk-forward, beside what anyone has without them.

`python -m benchmarks.recorded BARS` walks through the rows that FreqAI was measured on: 11 spot
pairs, retrained every 30 days on the 365 before, 2023-01-01 to 2023-12-01. Each fold fits the
targets that bars alone have by `--profile`, and beside them one LightGBM whose parameters are
frozen below, on the same rows and columns with the same purge. All are judged by log-loss, with
intervals over blocks of instants for what ours is better by. What is done is kept under `--out`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd

from dexml.domain import History, Target
from dexml.ensemble import SMALLEST
from dexml.experiments.folds import FoldSpec, forecast_fold
from dexml.experiments.sources import recorded_market
from dexml.features.panel import build_panel, view
from dexml.models.recipe import Recipe
from dexml.models.suite import ENSEMBLE
from dexml.targets import labels
from dexml.validation.bootstrap import Bootstrap, bootstrap_intervals
from dexml.validation.metrics import accuracy, log_loss, log_losses

TARGETS = (Target.DIRECTION, Target.VOLATILITY, Target.VOLUME)
# Chosen before anything was measured: stiff, as the notes on direction ask for, and never changed.
FROZEN: dict[str, Any] = {
    "objective": "binary",
    "num_leaves": 15,
    "learning_rate": 0.03,
    "min_data_in_leaf": 500,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "num_threads": 1,
    "deterministic": True,
    "seed": 0,
    "verbosity": -1,
}
ROUNDS = 200
LOST = pd.Timedelta(hours=21 + 24)  # purge and embargo of `dexml validate walk-forward`
DAY = pd.Timedelta(days=1)
RIVALS = ("frozen", "rule", "constant")


@dataclass(frozen=True, slots=True)
class Walk:
    """Rows of the market, and how they are walked through."""

    panel: pd.DataFrame
    known: pd.DataFrame
    train: pd.Timedelta
    profile: str
    out: Path


def main() -> None:
    """Walk, judge, print a table and one JSON object."""
    asked = _arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    bars = recorded_market((asked.bars,), ())
    walk = Walk(
        build_panel(History(bars=bars)),
        labels(bars),
        DAY * asked.train_days,
        asked.profile,
        asked.out,
    )
    starts = pd.date_range(asked.begin, asked.end, freq=DAY * asked.test_days, tz="UTC")
    ends = [*starts[1:], pd.Timestamp(asked.end, tz="UTC")]
    spans = [(first, last) for first, last in zip(starts, ends, strict=True) if first < last]
    with get_context("fork").Pool(asked.jobs) as pool:
        parts = list(pool.imap(partial(_kept, walk), spans))
    said = pd.concat(parts)
    found = {str(name): judged(rows) for name, rows in said.groupby("target", sort=False)}
    for line in _lines(found):
        print(line)
    print(json.dumps(found, sort_keys=True))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bars", type=Path, help="folder of recorded hourly bars")
    parser.add_argument("--begin", default="2023-01-01")
    parser.add_argument("--end", default="2023-12-01")
    parser.add_argument("--train-days", type=int, default=365)
    parser.add_argument("--test-days", type=int, default=30)
    parser.add_argument("--profile", default="fast")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("recorded"), help="what is done is kept")
    return parser.parse_args()


def _kept(walk: Walk, span: tuple[pd.Timestamp, pd.Timestamp]) -> pd.DataFrame:
    file = walk.out / f"{walk.profile}-{walk.train.days}-{span[0]:%Y%m%d}-{span[1]:%Y%m%d}.parquet"
    if not file.exists():
        began = time.perf_counter()
        partial_file = file.with_suffix(".partial")
        forecasts(walk, span).to_parquet(partial_file)
        partial_file.replace(file)
        print(f"{file.stem}: {time.perf_counter() - began:.0f} s", flush=True)
    return pd.read_parquet(file)


def forecasts(walk: Walk, span: tuple[pd.Timestamp, pd.Timestamp]) -> pd.DataFrame:
    """Return what was said of the closes in [first, last), shape (n_rows, n_columns).

    Columns `target`, `closed_at`, `symbol`, `y`, `p`, `rule`, `constant` and `frozen`.
    """
    closed_at = walk.panel.index.get_level_values("closed_at")
    first, last = span
    train = walk.panel[(closed_at >= first - LOST - walk.train) & (closed_at < first - LOST)]
    test = walk.panel[(closed_at >= first) & (closed_at < last)]
    spec = FoldSpec(targets=TARGETS, seed=0, recipe=Recipe(profile=walk.profile))
    with tempfile.TemporaryDirectory() as folder:
        said = forecast_fold(train, test, walk.known, spec, Path(folder, "m"), past=walk.panel)
    said = said.rename(columns={"train_rate": "constant"})
    parts = []
    for name, rows in said.groupby("target", sort=False):
        target = str(Target.DIRECTION) if name == ENSEMBLE else str(name)
        parts.append(rows.assign(frozen=_frozen(target, train, test, walk.known)))
    return pd.concat(parts)


def _frozen(
    target: str, train: pd.DataFrame, test: pd.DataFrame, known: pd.DataFrame
) -> np.ndarray[Any, Any]:
    columns = list(view(target, train.columns))
    y = known[target].reindex(train.index)
    learnt = y.notna().to_numpy()
    data = lightgbm.Dataset(train.loc[learnt, columns].to_numpy(), y[learnt].to_numpy())
    said = np.asarray(lightgbm.train(FROZEN, data, ROUNDS).predict(test[columns].to_numpy()))
    return np.clip(said, SMALLEST, 1 - SMALLEST)


def judged(rows: pd.DataFrame) -> dict[str, Any]:
    """Return accuracy and log-loss of each, and what ours is better by, with its interval."""
    told = rows.dropna(subset=["y", "p"]).rename(columns={"symbol": "instrument"})
    told = told.set_index(["closed_at", "instrument"]).sort_index()
    losses = pd.DataFrame({n: log_losses(told["y"], told[n]) for n in ("p", *RIVALS)}, told.index)
    gains = losses[list(RIVALS)].sub(losses["p"], axis=0).groupby(level="closed_at").mean()
    means = {name: partial(_mean_of, name) for name in RIVALS}
    intervals = bootstrap_intervals(gains, means, Bootstrap(n_resamples=1_000))
    return {
        "rows": len(told),
        "accuracy": {n: round(accuracy(told["y"], told[n]), 4) for n in ("p", *RIVALS)},
        "log_loss": {n: round(log_loss(told["y"], told[n]), 5) for n in ("p", *RIVALS)},
        "better_by": {
            name: [round(value, 5) for value in (one.estimate, one.low, one.high)]
            for name, one in intervals.items()
        },
        "instruments_better": {
            name: int((losses[name] - losses["p"]).groupby(level="instrument").mean().gt(0).sum())
            for name in RIVALS
        },
        "instruments": told.index.get_level_values("instrument").nunique(),
    }


def _mean_of(name: str, drawn: pd.DataFrame) -> float:
    return float(drawn[name].mean())


def _lines(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    yield f"{'log-loss':>11} {'ours':>8} {'frozen':>8} {'rule':>8} {'constant':>8}  accuracy"
    for name, one in found.items():
        losses = " ".join(f"{one['log_loss'][who]:8.4f}" for who in ("p", *RIVALS))
        hits = " ".join(f"{one['accuracy'][who]:.4f}" for who in ("p", *RIVALS))
        yield f"{name:>11} {losses}  {hits}"
        for who in RIVALS:
            mean, low, high = one["better_by"][who]
            won = f"{one['instruments_better'][who]} of {one['instruments']} instruments"
            yield f"{'':>11} better than {who} by {mean:+.5f} ({low:+.5f} to {high:+.5f}), {won}"


if __name__ == "__main__":
    main()
