"""The CNN-LSTM: windows a second beside a plain loop, and what it finds on a planted market.

`python -m benchmarks.sequence` times, `python -m benchmarks.sequence quality` judges (minutes).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.special import entr
from torch import nn

from dexml.experiments.sources import plant_market
from dexml.experiments.training import split_in_time
from dexml.features.panel import build_panel, view
from dexml.models.flat import TabularForecaster
from dexml.models.profiles import FitSpec
from dexml.models.sequence.bar import ProgressBar
from dexml.models.sequence.config import SequenceConfig
from dexml.models.sequence.fitting import fit_sequence
from dexml.models.sequence.forecaster import MEMBER, SequenceForecaster
from dexml.models.sequence.network import CnnLstm, Dropout, build_network
from dexml.models.sequence.training import Material, Progress, Schedule, train_network
from dexml.models.suite import fit_ensemble, member_oof
from dexml.models.tabular import fit_tabular
from dexml.targets import labels
from dexml.validation.metrics import accuracy

N_CHANNELS, N_ROWS, N_STEPS = 60, 6_000, 6


def material() -> Material:
    """Return rows of noise: what they say does not change what a step costs."""
    generator = np.random.default_rng(0)
    channels = generator.normal(size=(N_ROWS, N_CHANNELS)).astype(np.float32)
    ends = np.arange(63, N_ROWS)
    y = (generator.random(len(ends)) < 0.5).astype(float)
    return Material(
        channels=channels, ends=ends[:-64], y=y[:-64], judged=ends[-64:], judged_y=y[-64:]
    )


def ours(rows: Material, config: SequenceConfig, threads: int) -> float:
    """Return the windows a second of our loop; the first step, which warms up, is not counted."""
    stamps: list[float] = []

    def report(_progress: Progress) -> None:
        stamps.append(time.process_time())

    size = config.trainer.batch_size
    schedule = Schedule(num_cpus=threads, max_samples=(N_STEPS + 1) * size)
    train_network(rows, config, schedule, report)
    return size / float(np.median(np.diff(stamps)[:-1]))  # the last step also judges


def plain(rows: Material, config: SequenceConfig, threads: int) -> float:
    """Return the windows a second of the loop of a tutorial around the same layers."""
    torch.set_num_threads(threads)
    network = _with_plain_dropout(build_network(N_CHANNELS, config.model, seed=0), config)
    windows = torch.from_numpy(rows.channels).unfold(0, 64, 1)[rows.ends - 63].contiguous()
    data = torch.utils.data.TensorDataset(windows, torch.from_numpy(rows.y).float())
    size = config.trainer.batch_size
    loader = torch.utils.data.DataLoader(data, batch_size=size, shuffle=True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-5, weight_decay=0.01)
    stamps = []
    for x, y in loader:
        optimizer.zero_grad()
        q = torch.sigmoid(network(x))
        true = torch.where(y > 0.5, q, 1 - q)
        loss = -((1 - true) ** 2.5 * torch.log(true)).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        stamps.append(time.process_time())
        if len(stamps) > N_STEPS:
            break
    return size / float(np.median(np.diff(stamps)))


def _with_plain_dropout(network: CnnLstm, config: SequenceConfig) -> CnnLstm:
    for part in (network.convolutions, network.head):
        for number, layer in enumerate(part):
            if isinstance(layer, Dropout):
                part[number] = nn.Dropout(config.model.dropout)
    return network.train()


def sequence(rounds: int = 5, threads: int = 1, compiled: bool = False) -> dict[str, float]:
    """Return windows a second, in turn within one run; the median of the rounds."""
    rows, config = material(), SequenceConfig()
    config = replace(config, trainer=replace(config.trainer, device="cpu"))
    loops: dict[str, Callable[[], float]] = {
        "plain": lambda: plain(rows, config, threads),
        "ours": lambda: ours(rows, config, threads),
        "ours_bf16": lambda: ours(rows, _changed(config, precision="bf16"), threads),
    }
    if compiled:
        loops["ours_compiled"] = lambda: ours(rows, _changed(config, compile=True), threads)
    told: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(rounds):
        for name, loop in loops.items():
            told[name].append(loop())
    figures = {f"{name}_windows_per_s": float(np.median(one)) for name, one in told.items()}
    for name in [one for one in loops if one != "plain"]:
        ratios = np.array(told[name]) / np.array(told["plain"])
        figures[f"{name}_to_plain"] = float(np.median(ratios))
        figures[f"{name}_to_plain_least"] = float(ratios.min())
    return figures


def _changed(config: SequenceConfig, **values: object) -> SequenceConfig:
    return replace(config, trainer=replace(config.trainer, **values))


def quality(arguments: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Fit AutoGluon and the CNN-LSTM on one planted market and judge both by the true chances."""
    market = plant_market(
        (), n_bars=arguments.bars, seed=arguments.seed, bayes_accuracy=arguments.bayes
    )
    split = split_in_time(build_panel(market.history))
    known = labels(market.history.bars)["direction"]
    truth = market.truth["direction"].reindex(split.test.index).to_numpy()
    y, base = known.reindex(split.train.index), float(known.reindex(split.train.index).mean())
    spec = FitSpec(target="direction", columns=view("direction", split.train.columns))
    config = SequenceConfig.from_dict(
        {
            "trainer": {"learning_rate": arguments.learning_rate, "precision": arguments.precision},
            "balancing": {"focal_gamma": arguments.gamma},
        }
    )
    with tempfile.TemporaryDirectory() as scratch:
        tabular, network = Path(scratch, "tabular"), Path(scratch, "network")
        one = fit_tabular(split.train[list(spec.columns)], y, spec, tabular)
        with ProgressBar() as bar:
            other = fit_sequence(split.train, y, replace(spec, sequence=config), network, watch=bar)
        said = {
            "autogluon": TabularForecaster.load(tabular).predict(split.test),
            MEMBER: SequenceForecaster.load(network).predict(split.test),
        }
        oof = member_oof({"autogluon": tabular, MEMBER: network})
    ensemble, _ = fit_ensemble(oof, y, spec, ("autogluon", MEMBER), "stacking")
    said["stack"] = ensemble.predict(pd.DataFrame(said, index=split.test.index))
    judged = np.isfinite(said[MEMBER])
    for name, p in {**said, "base_rate": np.full(len(truth), base), "bayes": truth}.items():
        yield {"who": name, **_judged(p[judged], truth[judged], base)}
    yield {
        "rows": int(judged.sum()),
        "seconds": {"autogluon": one.seconds, MEMBER: other.seconds},
        "out_of_fold_log_loss": {
            "autogluon": one.scores["forecaster"]["log_loss"],
            MEMBER: other.scores["forecaster"]["log_loss"],
        },
        "weights": dict(zip(ensemble.members, ensemble.combiner.weights, strict=True)),
    }


def _judged(p: np.ndarray, truth: np.ndarray, base: float) -> dict[str, float]:
    """Score by expectation over the true chances: the luck of labels plays no part."""

    def loss(q: np.ndarray) -> float:
        return float(-(truth * np.log(q) + (1 - truth) * np.log(1 - q)).mean())

    def right(q: np.ndarray) -> float:
        return float(np.where(q > 0.5, truth, 1 - truth).mean())

    constant, best = np.full(len(truth), base), float((entr(truth) + entr(1 - truth)).mean())
    return {
        "log_loss": loss(p),
        "accuracy": right(p),
        "share_of_log_loss_gap": (loss(constant) - loss(p)) / (loss(constant) - best),
        "share_of_accuracy_edge": (right(p) - right(constant)) / (right(truth) - right(constant)),
        "agrees_with_bayes": accuracy((truth > 0.5).astype(float), p),
    }


def main() -> None:
    """Print one JSON object for each answer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="?", choices=("speed", "quality"), default="speed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--bars", type=int, default=3_000)
    parser.add_argument("--bayes", type=float, default=0.70)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--gamma", type=float, default=2.5)
    parser.add_argument("--precision", default="auto")
    arguments = parser.parse_args()
    if arguments.what == "speed":
        print(json.dumps(sequence(arguments.rounds, arguments.threads, arguments.compiled)))
        return
    for answer in quality(arguments):
        print(json.dumps(answer))


if __name__ == "__main__":
    main()
