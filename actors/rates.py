"""`dexml validate planted --seeds N`: how often the verdict is wrong, over many markets."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from actors.cost import most_within, spoken
from actors.sandbox import MemoryWatch
from actors.stages import Stages
from dexml.experiments.identity import code_digest, configuration_digest
from dexml.experiments.rates import TRIALS, Judgement, RateSpec, judge_market, rate_of
from dexml.state import KernelConfig

__all__ = ["RateOptions", "run_rates"]

SECONDS_PER_THOUSAND_BARS = 0.25  # measured on one core: market, features, fit, two backtests


@dataclass(frozen=True, slots=True, kw_only=True)
class RateOptions:
    """What the user asked for.

    Attributes
    ----------
    seeds : int
        Markets of each kind, `seed` and those after it.
    bayes_accuracy : float
        Of the planted markets; near 0.59 the Bayes policy has an annual Sharpe ratio of 5.
    train, test : int
        Bars.
    budget : float, optional
        Seconds; fewer seeds if the estimate is above.
    """

    home: Path
    seeds: int
    bayes_accuracy: float = 0.59
    train: int = 8_760
    test: int = 8_760
    seed: int = 0
    budget: float | None = None
    kernel: KernelConfig = field(default_factory=KernelConfig)


def run_rates(options: RateOptions, console: Console) -> dict[str, Any]:
    """Judge null and planted markets and return the JSON object of the command.

    Each judgement is kept under `home` and not made again by the same code and configuration, so
    that a run that was stopped goes on where it was.
    """
    began = time.perf_counter()
    each = (options.train + options.test) / 1_000 * SECONDS_PER_THOUSAND_BARS
    seeds = most_within(options.budget, options.seeds, 1, lambda n: 2 * n * each, "seeds")
    console.print(
        f"{2 * seeds} markets, half of them null; {2 * seeds} fits of {options.train:,} rows; "
        f"estimated time: {spoken(2 * seeds * each)}."
    )
    planted = RateSpec(
        bayes_accuracy=options.bayes_accuracy,
        train=options.train,
        test=options.test,
        kernel=options.kernel,
    )
    numbers = range(options.seed, options.seed + seeds)
    with MemoryWatch() as memory:
        stages = Stages(console, memory)
        kinds = {"null": replace(planted, bayes_accuracy=0.5), "planted": planted}
        found = {
            name: _judge_all(name, spec, numbers, options.home, stages)
            for name, spec in kinds.items()
        }
    rates = {name: _rates(judged) for name, judged in found.items()}
    result = {
        "seeds": seeds,
        "seed": options.seed,
        "bayes_accuracy": options.bayes_accuracy,
        "train": options.train,
        "test": options.test,
        "fits": 2 * seeds,
        "rates": rates,
        "judgements": {name: [one.to_dict() for one in some] for name, some in found.items()},
        "verdict": _sentence(rates),
        "stages": stages.to_dict(),
        "seconds": time.perf_counter() - began,
    }
    _print(console, rates)
    console.print(f"[bold]{result['verdict']}[/bold]")
    return result


def _judge_all(
    name: str, spec: RateSpec, seeds: range, home: Path, stages: Stages
) -> list[Judgement]:
    digest = configuration_digest({"code": code_digest(), "spec": repr(asdict(spec))})
    folder = home / "validation" / "rates" / digest[:16]
    folder.mkdir(parents=True, exist_ok=True)
    judged = []
    with stages.stage(name, total=len(seeds)) as step:
        for seed in seeds:
            judged.append(_judge(seed, spec, folder / f"{seed}.json"))
            step.advance(1, f"{sum(one.edges[1] for one in judged)} of {len(judged)} edges")
    return judged


def _judge(seed: int, spec: RateSpec, path: Path) -> Judgement:
    if path.exists():
        return Judgement.from_dict(json.loads(path.read_text()))
    judged = judge_market(seed, spec)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(judged.to_dict()))
    partial.replace(path)
    return judged


def _rates(judged: list[Judgement]) -> dict[str, Any]:
    return {
        "edge": {str(n): asdict(rate_of(one.edges[n] for one in judged)) for n in TRIALS},
        "sharpe": float(np.mean([one.sharpe for one in judged])),
        "bayes_sharpe": float(np.mean([one.bayes_sharpe for one in judged])),
        "traded": sum(one.orders > 0 for one in judged),
    }


def _sentence(rates: dict[str, Any]) -> str:
    wrong, power = rates["null"]["edge"]["1"], rates["planted"]["edge"]["1"]
    held = "compatible with" if wrong["low"] <= 0.05 else "above"
    return (
        f"The verdict saw an edge in {wrong['rate']:.1%} of {wrong['n']} null markets (95%: "
        f"{wrong['low']:.1%} to {wrong['high']:.1%}, {held} 5%), and in {power['rate']:.0%} of "
        f"{power['n']} planted ones, where the best policy has a Sharpe ratio of "
        f"{rates['planted']['bayes_sharpe']:.1f}."
    )


def _print(console: Console, rates: dict[str, Any]) -> None:
    for name, found in rates.items():
        for n, rate in found["edge"].items():
            console.print(
                f"{name:<8} deflated for {n:>3} trials: edge in {rate['rate']:.1%} of {rate['n']} "
                f"({rate['low']:.1%} to {rate['high']:.1%})"
            )
        console.print(
            f"{name:<8} Sharpe {found['sharpe']:.2f} on average, best policy "
            f"{found['bayes_sharpe']:.2f}; {found['traded']} markets were traded"
        )
