"""From out-of-sample forecasts to figures: scores, a traded strategy, its significance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kurtosis, skew

from dexml.domain import Bars, Target, to_datetime64
from dexml.experiments.backtest import BacktestReport, backtest
from dexml.experiments.identity import configuration_digest
from dexml.experiments.scoring import (
    edge_reached,
    ensemble_scores,
    forecast_verdict,
    rule_for,
    target_scores,
)
from dexml.experiments.simulating import simulate_backtest
from dexml.experiments.trials import TrialCount, count_trials, overfitting_of
from dexml.models.suite import ENSEMBLE
from dexml.state import KernelConfig
from dexml.validation.significance import deflated_sharpe_ratio, forecast_skill

__all__ = ["Judged", "judge_forecasts", "trade_forecasts"]

_START = Decimal(10_000)  # cash of a backtest, in the quote currency


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """What is judged, and where trials of the same data are kept.

    Attributes
    ----------
    forecasts : DataFrame
        Columns `dexml.experiments.folds.FORECAST_COLUMNS`, each out-of-sample row once.
    bars : mapping of instrument to Bars
        At least those of the forecasts, and the bar after the last.
    truth : DataFrame or None
        True probabilities, where the market is planted.
    trials : Path
        Folder of the data's trials.
    configuration : str
        Digest of everything that could change the result, but for `kernel`.
    kernel : KernelConfig
        Everything that can change a decision; its time step is that of the bars.
    simulations, seed : int
        Of the Monte Carlo on what was traded.
    """

    forecasts: pd.DataFrame
    bars: Mapping[str, Bars]
    truth: pd.DataFrame | None
    trials: Path
    configuration: str
    kernel: KernelConfig = field(default_factory=KernelConfig)
    simulations: int = 1_000
    seed: int = 0


def judge_forecasts(judged: Judged) -> dict[str, Any]:
    """Return `targets`, `ensemble`, `strategy`, `significance`, `monte_carlo`, `verdict`, `edge`.

    `ensemble`, `strategy` and `monte_carlo` are None when no target speaks of direction, for then
    there is nothing to trade on.
    """
    by_target = dict(list(judged.forecasts.groupby("target")))
    ensemble = by_target.pop(ENSEMBLE, None)
    scores = {
        str(target): _target(target, by_target[str(target)], judged.truth)
        for target in Target
        if str(target) in by_target
    }
    if ensemble is None:
        return {"targets": scores, **_nothing_traded(scores)}
    rows = _indexed(ensemble)
    truth = _truth(judged.truth, Target.DIRECTION, rows)
    signal = ensemble_scores(rows["y"], rows["p"], float(rows["train_rate"].iloc[0]), truth)
    tested = trade_forecasts(judged)
    returns = tested.equity.pct_change().dropna()
    trials = count_trials(judged.trials, _configuration(judged), returns)
    strategy = _strategy(tested) | _best_possible(judged, truth)
    probability = _deflated(returns.to_numpy(dtype=np.float64), trials)
    edge, sentence = forecast_verdict(
        signal, strategy | {"deflated_sharpe_probability": probability}
    )
    return {
        "targets": scores,
        "ensemble": signal,
        "strategy": strategy,
        "significance": _significance(strategy["sharpe_ratio"], probability, trials)
        | _overfitting(judged.trials),
        "monte_carlo": simulate_backtest(tested, judged.simulations, judged.seed),
        "verdict": sentence,
        "edge": edge,
    }


def _configuration(judged: Judged) -> str:
    return configuration_digest({"models": judged.configuration, "kernel": repr(judged.kernel)})


def _indexed(forecasts: pd.DataFrame) -> pd.DataFrame:
    named = forecasts.rename(columns={"symbol": "instrument"})
    return named.set_index(["closed_at", "instrument"]).sort_index()


def _truth(truth: pd.DataFrame | None, target: Target, rows: pd.DataFrame) -> pd.Series | None:
    return None if truth is None else truth[str(target)].reindex(rows.index)


def _target(target: Target, forecasts: pd.DataFrame, truth: pd.DataFrame | None) -> dict[str, Any]:
    rows = _indexed(forecasts)
    rate = float(rows["train_rate"].iloc[0])  # known before the first row that is judged
    scores = target_scores(rows["y"], rows["p"], rows["rule"], rate)
    scores |= {"rule": rule_for(target), "skill": None, "skill_t": None}
    scores |= {"bayes_accuracy": None, "edge_reached": None}
    known = rows[rows["y"].notna() & rows["p"].notna()]
    if len(known):
        closed_at = known.index.get_level_values("closed_at")
        skill = forecast_skill(known["y"], known["p"], rate, closed_at)
        scores |= {"skill": skill.gain, "skill_t": skill.t}
    p = _truth(truth, target, rows)
    if p is not None:
        scores["bayes_accuracy"] = float(p.where(p > 0.5, 1 - p).mean())
        if len(known):
            said, true = known["p"].to_numpy(), p.reindex(known.index).to_numpy()
            scores["edge_reached"] = edge_reached(said, true)
    return scores


def _nothing_traded(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    said = ", ".join(
        f"{name} {'has no inputs' if row['degraded'] else format(row['skill_t'], '+.1f')}"
        for name, row in scores.items()
    )
    sentence = f"No target speaks of direction, so nothing was traded; t over the base: {said}."
    return {
        "ensemble": None,
        "strategy": None,
        "significance": _significance(None, None, None),
        "monte_carlo": None,
        "verdict": sentence,
        "edge": False,
    }


def trade_forecasts(judged: Judged) -> BacktestReport:
    """Return what trading the ensemble's forecasts gave, after all costs."""
    forecasts = judged.forecasts
    spoken = forecasts.pivot(index=["closed_at", "symbol"], columns="target", values="p")
    signals = spoken.rename(columns={ENSEMBLE: "probability"})
    signals.index = signals.index.set_names(["closed_at", "instrument"])
    return _trade(judged, signals)


def _trade(judged: Judged, signals: pd.DataFrame) -> BacktestReport:
    first, last = judged.forecasts["closed_at"].min(), judged.forecasts["closed_at"].max()
    stamp = to_datetime64(first.to_pydatetime())
    bars = {
        name: series.take(slice(int(series.closed_at.searchsorted(stamp)), None))
        for name, series in judged.bars.items()
    }
    sampled = next(iter(judged.bars.values())).timeframe
    config = replace(judged.kernel, timeframe=sampled)
    return backtest(bars, signals, config, start_cash=_START, until=last.to_pydatetime())


def _strategy(tested: BacktestReport) -> dict[str, Any]:
    held = float(tested.buy_and_hold.loc[tested.equity.index[-1]])  # its entry fee is paid
    return {
        **tested.metrics,
        "orders": len(tested.orders),
        "fills": len(tested.fills),
        "decisions": len(tested.decisions),
        "declined": tested.declined,
        "buy_and_hold_return": held / float(_START) - 1,
        "bars": len(tested.equity),
    }


def _best_possible(judged: Judged, truth: pd.Series | None) -> dict[str, float | None]:
    """Return what the same policy earns with the true probabilities, where they are known."""
    if truth is None:
        return {"bayes_sharpe_ratio": None, "bayes_total_return": None}
    metrics = _trade(judged, truth.to_frame("probability")).metrics
    return {f"bayes_{name}": metrics[name] for name in ("sharpe_ratio", "total_return")}


def _deflated(returns: Any, trials: TrialCount) -> float | None:
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    if deviation == 0.0:
        return None
    return deflated_sharpe_ratio(
        float(returns.mean()) / deviation,
        len(returns),
        trials.n_trials,
        trials.variance,
        float(skew(returns)),
        float(kurtosis(returns, fisher=False)),
    )


def _significance(
    sharpe: float | None, probability: float | None, trials: TrialCount | None
) -> dict[str, Any]:
    n_trials = trials.n_trials if trials else 0
    return {
        "sharpe": sharpe,
        "deflated_sharpe_probability": probability,
        "pbo": None,
        "pbo_reason": "nothing was traded",
        "n_trials": n_trials,
        "effective_trials": trials.effective_trials if trials else 0.0,
    }


def _overfitting(trials: Path) -> dict[str, Any]:
    found = overfitting_of(trials)
    if isinstance(found, str):
        return {"pbo": None, "pbo_reason": found}
    counts, edges = np.histogram(found.logits, bins=20)
    return {
        "pbo": found.probability,
        "pbo_reason": None,
        "pbo_degradation": found.degradation,
        "pbo_logits": {"edges": edges.round(6).tolist(), "counts": counts.tolist()},
    }
