from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dexml.experiments.scoring import SKILL_T, ensemble_scores, forecast_verdict, target_scores


def column(values: list[float], instruments: int = 2) -> pd.Series:
    stamps = pd.date_range("2024-01-01", periods=len(values) // instruments, freq="h", tz="UTC")
    names = [f"N{i}/USDT" for i in range(instruments)]
    index = pd.MultiIndex.from_product([stamps, names], names=("closed_at", "instrument"))
    return pd.Series(values, index, dtype=np.float64)


LABELS = column([1, 1, 0, np.nan])
RULE = column([0.9, 0.4, 0.4, 0.9])


def test_a_row_without_an_outcome_is_not_scored() -> None:
    scores = target_scores(LABELS, column([0.8, 0.8, 0.8, 0.1]), RULE, base_rate=0.4)
    assert scores["n"] == 3
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["log_loss"] == pytest.approx(-(2 * np.log(0.8) + np.log(0.2)) / 3)
    assert scores["rule_accuracy"] == pytest.approx(2 / 3)


def test_the_base_rate_is_what_training_suggests_and_not_hindsight() -> None:
    scores = target_scores(LABELS, RULE, RULE, base_rate=0.4)
    assert scores["base_rate"] == pytest.approx(1 / 3)  # the constant says "down"
    assert scores["base_log_loss"] == pytest.approx(-(2 * np.log(0.4) + np.log(0.6)) / 3)


def test_a_degraded_target_has_no_scores_of_its_own() -> None:
    scores = target_scores(LABELS, column([np.nan] * 4), RULE, base_rate=0.4)
    assert scores["degraded"]
    assert scores["accuracy"] is scores["log_loss"] is None
    assert scores["rule_accuracy"] is not None


@pytest.mark.parametrize(
    ("said", "reached"),
    [
        ([0.7, 0.3, 0.6, 0.2], 1.0),  # always on the likelier side, however unsure
        ([0.9, 0.9, 0.9, 0.9], 0.0),  # the better constant
        ([0.1, 0.1, 0.1, 0.1], -0.10 / 0.15),  # the worse one
    ],
)
def test_the_edge_that_was_reached_is_measured_against_true_probabilities(
    said: list[float], reached: float
) -> None:
    truth = column([0.8, 0.4, 0.7, 0.3])
    scores = ensemble_scores(column([0, 1, 0, 1]), column(said), 0.5, truth)
    assert scores["bayes_accuracy"] == pytest.approx((0.8 + 0.6 + 0.7 + 0.7) / 4)
    assert scores["edge_reached"] == pytest.approx(reached)


def test_where_nothing_can_be_known_no_share_of_it_is_claimed() -> None:
    half = column([0.5] * 4)
    assert ensemble_scores(column([0, 1, 0, 1]), RULE, 0.5, half)["edge_reached"] is None


def verdict(skill_t: float, **strategy: Any) -> tuple[bool, str]:
    traded = {"orders": 9, "total_return": 0.05, "deflated_sharpe_probability": 0.99}
    return forecast_verdict({"skill_t": skill_t}, traded | strategy)


def test_an_edge_needs_skill_and_a_sharpe_ratio_that_survives_deflation() -> None:
    assert verdict(SKILL_T)[0]
    assert not verdict(SKILL_T - 0.1)[0]
    assert not verdict(9.0, deflated_sharpe_probability=0.94)[0]
    assert not verdict(9.0, total_return=-0.01)[0]
    assert not verdict(9.0, deflated_sharpe_probability=None)[0]


@pytest.mark.parametrize(
    ("skill_t", "strategy", "sentence"),
    [
        (
            4.0,
            {},
            "Evidence of an edge after costs: forecasts beat the base rate (t = 4.0), "
            "and trading them returned +5.0% after costs.",
        ),
        (
            4.0,
            {"deflated_sharpe_probability": 0.5},
            "No evidence of an edge after costs: forecasts beat the base rate (t = 4.0), but "
            "trading them returned +5.0% after costs, within luck's reach.",
        ),
        (
            4.0,
            {"orders": 0, "total_return": 0.0, "deflated_sharpe_probability": None},
            "No evidence of an edge after costs: forecasts beat the base rate (t = 4.0), but "
            "no trade was worth its costs.",
        ),
        (
            0.1,
            {"total_return": -0.02},
            "No evidence of an edge: forecasts do not beat the base rate (t = 0.1); "
            "trading them returned -2.0% after costs.",
        ),
    ],
)
def test_the_verdict_is_one_sentence(
    skill_t: float, strategy: dict[str, Any], sentence: str
) -> None:
    assert verdict(skill_t, **strategy)[1] == sentence
