"""What it costs to retrain 50 pairs, and what that buys: pooled, beside a model for each pair.

`python -m benchmarks.retrain` plants bars of 50 pairs, fits the direction by the profile `light` in
one child process, as `dexml train --profile light --target direction` does, and in another fits one
LightGBM of library defaults for each pair, one after the other, as FreqAI does. Both learn from the
same rows and features and are judged by the same newest rows. CPU seconds are those of the whole
child: its start, its imports, and reading the rows.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from dexml.ensemble import SMALLEST
from dexml.experiments.specifications import specifications
from dexml.experiments.training import split_in_time
from dexml.features.panel import build_panel
from dexml.models.fits import FitRequest, run_fit, write_rows
from dexml.models.loading import load_forecaster
from dexml.models.recipe import Recipe
from dexml.simulation.market import MarketConfig, plant
from dexml.targets import labels
from dexml.validation.metrics import accuracy, log_loss

FREQAI_S = 0.86  # CPU seconds of one model in FreqAI itself, 7,883 rows of 51 features
LABEL = "label"


def main() -> None:
    asked = _arguments()
    if asked.child:
        _loop(*map(Path, asked.child))
        return
    print(json.dumps(measure(asked.pairs, asked.bars, asked.bayes), sort_keys=True, indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--bars", type=int, default=9_000)
    parser.add_argument("--bayes", type=float, default=0.56)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(n_pairs: int, n_bars: int, bayes: float) -> dict[str, float | int]:
    """Return CPU seconds and log-loss of unseen rows, pooled and pair by pair."""
    names = tuple(f"C{number:02d}/USDT" for number in range(n_pairs))
    market = plant(MarketConfig(instruments=names, n_bars=n_bars, bayes_accuracy=bayes, seed=0))
    bars = replace(market.history, news=market.history.news[:0], macro=market.history.macro[:0])
    panel, known = build_panel(bars), labels(bars.bars)["direction"]
    split = split_in_time(panel)
    spec = specifications(tuple(panel.columns), 0, ("direction",), Recipe(profile="light"))
    columns = list(spec["direction"].columns)
    y = known.reindex(split.test.index)
    rate = float(known.reindex(split.train.index).mean())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = write_rows(
            split.train[columns], known.reindex(split.train.index), folder / "rows.parquet"
        )
        split.test[columns].to_parquet(folder / "test.parquet")
        request = FitRequest(rows=str(rows), spec=spec["direction"])
        pooled_s = _cpu_of(lambda: run_fit(request, folder / "model"))
        pooled = load_forecaster(folder / "model").predict(split.test)
        files = [str(folder / one) for one in ("rows.parquet", "test.parquet", "said.parquet")]
        loop_s = _cpu_of(lambda: _run_loop(files))
        alone = pd.read_parquet(files[2])["p"].reindex(split.test.index).to_numpy()
    told = y.notna().to_numpy()
    labels_told = y.to_numpy()[told]
    return {
        "pairs": n_pairs,
        "rows": len(split.train),
        "columns": len(columns),
        "pooled_cpu_s": round(pooled_s, 1),
        "loop_cpu_s": round(loop_s, 1),
        "pooled_to_loop": round(pooled_s / loop_s, 3),
        "pooled_to_freqai": round(pooled_s / (FREQAI_S * n_pairs), 3),
        "pooled_log_loss": round(log_loss(labels_told, pooled[told]), 5),
        "loop_log_loss": round(log_loss(labels_told, alone[told]), 5),
        "constant_log_loss": round(log_loss(labels_told, np.full(told.sum(), rate)), 5),
        "pooled_accuracy": round(accuracy(labels_told, pooled[told]), 4),
        "loop_accuracy": round(accuracy(labels_told, alone[told]), 4),
    }


def _cpu_of(work: Callable[[], object]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _run_loop(files: list[str]) -> None:
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.retrain", "--child", *files]
    subprocess.run(command, check=True, env=env)


def _loop(rows: Path, test: Path, out: Path) -> None:
    import lightgbm

    learnt, judged = pd.read_parquet(rows).dropna(subset=[LABEL]), pd.read_parquet(test)
    said = []
    for name, mine in learnt.groupby(level="instrument"):
        model = lightgbm.LGBMClassifier(n_jobs=1, verbosity=-1)
        model.fit(mine.drop(columns=LABEL), mine[LABEL])
        unseen = judged.xs(name, level="instrument", drop_level=False)
        p = np.asarray(model.predict_proba(unseen))[:, 1]
        said.append(pd.Series(np.clip(p, SMALLEST, 1 - SMALLEST), unseen.index))
    pd.concat(said).to_frame("p").to_parquet(out)


if __name__ == "__main__":
    main()
