"""The table of truth: what was reached, beside what could be reached and what anyone reaches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from dexml.domain import Floats, Target
from dexml.validation.metrics import accuracy, clustered_standard_error, log_loss
from dexml.validation.significance import forecast_skill

__all__ = [
    "edge_reached",
    "ensemble_scores",
    "forecast_verdict",
    "gap_reached",
    "rule_for",
    "target_scores",
]

SKILL_T = 3.0  # one-sided error about 0.1%: the table judges several targets at once


def target_scores(
    labels: pd.Series, forecast: pd.Series, rule: pd.Series, base_rate: float
) -> dict[str, Any]:
    """Score one target out of sample.

    Parameters
    ----------
    labels : Series of shape (n_rows,)
        1.0, 0.0, or NaN where the outcome is not known; such rows are left out.
    forecast, rule : Series of shape (n_rows,)
        Probabilities of the model and of the rule baseline, on the same index. A forecast that is
        NaN throughout is a degraded model.
    base_rate : float
        Share of ones in training.

    Returns
    -------
    dict
        `accuracy`, `log_loss` (None when degraded), `base_rate` (accuracy of the constant that
        training suggests; hindsight would choose a better one),
        `base_log_loss`, `rule_accuracy`, `rule_log_loss`, `n`, `degraded`.
    """
    known = labels.notna().to_numpy()
    y = labels.to_numpy()[known]
    degraded = bool(forecast.isna().all())
    constant = np.full(y.shape, base_rate)
    p = forecast.to_numpy()[known]
    return {
        "accuracy": None if degraded else accuracy(y, p),
        "log_loss": None if degraded else log_loss(y, p),
        "base_rate": accuracy(y, constant),
        "base_log_loss": log_loss(y, constant),
        "rule_accuracy": accuracy(y, rule.to_numpy()[known]),
        "rule_log_loss": log_loss(y, rule.to_numpy()[known]),
        "n": int(known.sum()),
        "degraded": degraded,
    }


def ensemble_scores(
    labels: pd.Series, forecast: pd.Series, base_rate: float, truth: pd.Series | None
) -> dict[str, Any]:
    """Score the ensemble, and where the true probabilities are known, its way to the best possible.

    The latter is `edge_reached`, defined by the function of that name.
    """
    known = (labels.notna() & forecast.notna()).to_numpy()
    y, p = labels.to_numpy()[known], forecast.to_numpy()[known]
    closed_at = labels.index.get_level_values("closed_at")[known]
    constant = np.full(y.shape, base_rate)
    skill = forecast_skill(y, p, constant, closed_at)
    hits = ((p > 0.5) == (y > 0.5)).astype(np.float64)
    scores: dict[str, Any] = {
        "accuracy": accuracy(y, p),
        "accuracy_standard_error": clustered_standard_error(hits, closed_at),
        "log_loss": log_loss(y, p),
        "base_rate": accuracy(y, constant),
        "base_log_loss": log_loss(y, constant),
        "skill": skill.gain,
        "skill_t": skill.t,
        "n": int(known.sum()),
        "bayes_accuracy": None,
        "bayes_log_loss": None,
        "edge_reached": None,
    }
    if truth is not None:
        scores |= _beside_the_best(p, truth.to_numpy()[known])
    return scores


def _beside_the_best(p: Floats, truth: Floats) -> dict[str, float | None]:
    entropy = -(truth * np.log(truth) + (1 - truth) * np.log(1 - truth))
    return {
        "bayes_accuracy": float(np.maximum(truth, 1 - truth).mean()),
        "bayes_log_loss": float(entropy.mean()),
        "edge_reached": edge_reached(p, truth),
    }


def edge_reached(p: Floats, truth: Floats) -> float | None:
    """Return how much of what can be known beyond the better constant is known.

    Parameters
    ----------
    p, truth : array of shape (n_rows,)
        Forecast and true probabilities, none of them NaN.

    Returns
    -------
    float or None
        1 for a forecast that is always on the likelier side, 0 for the better constant; None where
        the constant is as good as the truth.

    Notes
    -----
    (E[accuracy of p] - E[accuracy of the constant]) / (E[accuracy of truth] - E[accuracy of the
    constant]), each expected under `truth`, so that luck with the labels plays no part; the same
    share of accuracies that were counted on labels holds that luck and differs.

    Examples
    --------
    >>> truth = np.array([0.8, 0.4, 0.7, 0.3])
    >>> round(edge_reached(np.array([0.9, 0.6, 0.6, 0.1]), truth), 3)
    0.667
    """
    best = np.maximum(truth, 1 - truth).mean()
    constant = max(truth.mean(), 1 - truth.mean())
    way = best - constant
    reached = np.where(p > 0.5, truth, 1 - truth).mean()
    return float((reached - constant) / way) if way > 1e-9 else None


def gap_reached(p: Floats, truth: Floats) -> float | None:
    """Return how much of the log-loss between the best constant and the truth is gained.

    Parameters
    ----------
    p, truth : array of shape (n_rows,)
        As for `edge_reached`.

    Returns
    -------
    float or None
        1 for the true probabilities, 0 for the best constant, below 0 for what is worse than that;
        None where the constant is as good as the truth.

    Notes
    -----
    (H(constant) - H(p)) / (H(constant) - H(truth)), H being the cross-entropy under `truth`.

    Examples
    --------
    >>> truth = np.array([0.9, 0.1])
    >>> gap_reached(truth, truth), gap_reached(np.array([0.5, 0.5]), truth)
    (1.0, 0.0)
    """
    constant = _cross_entropy(np.full_like(truth, truth.mean()), truth)
    way = constant - _cross_entropy(truth, truth)
    return float((constant - _cross_entropy(p, truth)) / way) if way > 1e-9 else None


def _cross_entropy(p: Floats, truth: Floats) -> float:
    return float(-(truth * np.log(p) + (1 - truth) * np.log1p(-p)).mean())


def forecast_verdict(scores: Mapping[str, Any], strategy: Mapping[str, Any]) -> tuple[bool, str]:
    """Say in one sentence whether there is evidence of an edge after costs.

    Both must hold: the forecasts beat the base rate (mean log-loss gain at least `SKILL_T`
    standard errors, timestamps as clusters), and the strategy's deflated Sharpe probability is at
    least 0.95.
    """
    skilled = scores["skill_t"] >= SKILL_T
    probability = strategy["deflated_sharpe_probability"]
    paid = probability is not None and probability >= 0.95 and strategy["total_return"] > 0
    verb = "beat" if skilled else "do not beat"
    said = f"forecasts {verb} the base rate (t = {scores['skill_t']:.1f})"
    earned = f"trading them returned {strategy['total_return']:+z.1%} after costs"
    if not strategy["orders"]:
        earned = "no trade was worth its costs"
    if skilled and paid:
        return True, f"Evidence of an edge after costs: {said}, and {earned}."
    if skilled:
        luck = ", within luck's reach" if strategy["orders"] else ""
        return False, f"No evidence of an edge after costs: {said}, but {earned}{luck}."
    return False, f"No evidence of an edge: {said}; {earned}."


def rule_for(target: Target) -> str:
    """Name the rule baseline that stands beside a target.

    Examples
    --------
    >>> rule_for(Target.VOLUME)
    'hour of week'
    """
    names = {Target.VOLATILITY: "closed form", Target.VOLUME: "hour of week"}
    return names.get(target, "reversal")
