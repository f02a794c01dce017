"""What the planted benchmark counts, by closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.planted import GOALS, HEADLINE, _headline, _lines, _shares
from dexml.experiments.scoring import edge_reached, gap_reached


def test_the_truth_scores_one_the_constant_nothing_and_worse_is_below() -> None:
    truth = np.random.default_rng(0).uniform(0.05, 0.95, 4_000)
    constant = np.full_like(truth, truth.mean())
    assert (edge_reached(truth, truth), gap_reached(truth, truth)) == (1.0, 1.0)
    assert gap_reached(constant, truth) == 0.0
    assert gap_reached(1 - truth, truth) < 0
    half = gap_reached(np.sqrt(truth * constant), truth)
    assert half is not None
    assert 0 < half < 1
    assert gap_reached(constant, np.full_like(truth, 0.5)) is None


def test_the_gap_is_a_ratio_of_expected_log_losses() -> None:
    truth, said = np.array([0.9, 0.2]), np.array([0.7, 0.4])

    def entropy(p: np.ndarray) -> float:
        return float(
            np.mean(
                [-t * np.log(q) - (1 - t) * np.log(1 - q) for t, q in zip(truth, p, strict=True)]
            )
        )

    constant = entropy(np.full(2, 0.55))
    expected = (constant - entropy(said)) / (constant - entropy(truth))
    assert gap_reached(said, truth) == pytest.approx(expected, rel=1e-12)


def test_means_are_over_the_seeds_of_one_market_and_the_table_has_every_figure() -> None:
    rows = [
        {
            "market": {"bayes": bayes},
            **{
                who: dict.fromkeys(HEADLINE, value) | {"edge": value, "gap": value / 2}
                for who in ("ensemble", "simple")
            },
        }
        for bayes, value in ((0.86, 0.9), (0.86, 0.7), (0.56, 0.1))
    ]
    frame = pd.DataFrame([{**row["ensemble"], **row["market"]} for row in rows])
    high, low = _shares(frame)
    assert (high["edge"], high["edge_least"], high["gap"]) == pytest.approx((0.8, 0.7, 0.4))
    assert (high["goal"], low["goal"]) == (GOALS[0.86], GOALS[0.56])
    table = _headline(rows, 0.86)
    assert table["simple"]["win_rate"] == pytest.approx(0.8)
    assert len(list(_lines(table))) == len(HEADLINE)
