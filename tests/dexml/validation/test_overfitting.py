from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress, rankdata

from dexml.errors import DataError
from dexml.validation import overfitting
from dexml.validation.overfitting import probability_of_overfitting


def slowly(returns: np.ndarray, n_blocks: int) -> tuple[list[float], list[float], list[float]]:
    edges = np.linspace(0, len(returns), n_blocks + 1).astype(int)[1:-1]
    blocks = np.split(np.arange(len(returns)), edges)
    logits, looked, did = [], [], []
    for some in combinations(range(n_blocks), n_blocks // 2):
        inside = np.concatenate([blocks[block] for block in some])
        outside = np.setdiff1d(np.arange(len(returns)), inside)
        first, second = (
            returns[rows].mean(axis=0) / returns[rows].std(axis=0, ddof=1)
            for rows in (inside, outside)
        )
        best = int(np.argmax(first))
        relative = rankdata(second)[best] / (returns.shape[1] + 1)
        logits.append(float(np.log(relative / (1 - relative))))
        looked.append(first[best])
        did.append(second[best])
    return logits, looked, did


@pytest.mark.parametrize("drift", [0.0, 0.3, 100.0])
def test_it_is_what_the_definition_gives_slowly(drift: float) -> None:
    returns = np.random.default_rng(1).normal(size=(67, 12)) + drift
    found = probability_of_overfitting(returns, n_blocks=8)
    logits, looked, did = slowly(returns, 8)
    np.testing.assert_allclose(found.logits, logits, rtol=1e-9)
    assert found.probability == np.mean(np.array(logits) <= 0)
    assert found.probability_of_loss == np.mean(np.array(did) < 0)
    assert found.degradation == pytest.approx(linregress(looked, did).slope, rel=1e-6)


def test_few_halvings_at_a_time_give_what_all_at_once_do(monkeypatch: pytest.MonkeyPatch) -> None:
    returns = np.random.default_rng(2).normal(size=(100, 15))
    whole = probability_of_overfitting(returns, n_blocks=10)
    monkeypatch.setattr(overfitting, "CELLS_AT_ONCE", 100)
    np.testing.assert_array_equal(probability_of_overfitting(returns, 10).logits, whole.logits)


def test_the_best_of_noise_is_overfitted_half_of_the_time() -> None:
    rng = np.random.default_rng(3)
    found = [probability_of_overfitting(rng.normal(size=(400, 30)), 10) for _ in range(60)]
    probabilities = [one.probability for one in found]
    assert np.mean(probabilities) == pytest.approx(0.5, abs=0.06)
    assert np.mean([one.degradation for one in found]) < 0


def test_a_planted_winner_is_found_in_every_half() -> None:
    returns = np.random.default_rng(4).normal(size=(1_000, 40))
    returns[:, 17] += 0.25
    found = probability_of_overfitting(returns)
    assert found.probability == pytest.approx(0.0, abs=0.01)
    assert found.probability_of_loss == pytest.approx(0.0, abs=0.01)
    assert (len(found.logits), found.n_configurations, found.reason) == (12_870, 40, None)


def test_what_won_in_one_half_because_it_lost_in_the_other_is_overfitted() -> None:
    # Every configuration earns nothing in all, so that a winner of one half loses in the other.
    returns = np.random.default_rng(5).normal(size=(320, 20))
    found = probability_of_overfitting(returns - returns.mean(axis=0))
    assert found.probability is not None
    assert found.probability > 0.95


def test_below_ten_configurations_there_is_no_figure_but_the_reason() -> None:
    found = probability_of_overfitting(np.random.default_rng(6).normal(size=(200, 9)))
    assert found.probability is None
    assert found.probability_of_loss is None
    assert found.degradation is None
    assert found.reason == "needs 10 configurations, was 9"
    assert found.logits.size == 0
    ten = probability_of_overfitting(np.random.default_rng(6).normal(size=(200, 10)))
    assert ten.probability is not None


def test_the_same_strategy_ten_times_is_neither_better_nor_worse_than_itself() -> None:
    one = np.random.default_rng(7).normal(size=(200, 1))
    found = probability_of_overfitting(np.repeat(one, 10, axis=1))
    np.testing.assert_allclose(found.logits, 0.0, atol=1e-12)
    assert found.probability == 1.0  # its own median is no better than the median


def test_the_order_of_the_columns_chooses_nothing_even_where_all_tie() -> None:
    early = np.zeros((400, 10))  # nobody traded after the first quarter, and one never
    early[:100, :9] = np.random.default_rng(9).normal(-1.0, 0.1, (100, 9))
    found, turned = (
        probability_of_overfitting(table, n_blocks=4) for table in (early, early[:, ::-1])
    )
    np.testing.assert_allclose(found.logits, turned.logits, rtol=1e-12)
    np.testing.assert_allclose(found.logits[3:], 0.0, atol=1e-12)  # all ten won, at rank 5.5 of 11
    assert found.probability_of_loss == turned.probability_of_loss == 0.5
    assert found.degradation == turned.degradation


def test_trials_that_never_traded_have_no_edge() -> None:
    rng = np.random.default_rng(8)
    found = probability_of_overfitting(np.c_[np.zeros((400, 9)), rng.normal(1.0, 1.0, 400)])
    assert found.probability == 0.0
    still = probability_of_overfitting(np.zeros((400, 10)))
    assert still.degradation is None
    assert still.probability_of_loss == 0.0


@pytest.mark.parametrize(
    ("n_bars", "n_blocks", "message"),
    [
        (100, 7, r"n_blocks must be even and in 4\.\.20, was 7"),
        (100, 2, r"even and in 4\.\.20, was 2"),
        (100, 22, r"even and in 4\.\.20, was 22"),
        (31, 16, "returns must hold 32 bars, was 31"),
    ],
)
def test_blocks_that_cannot_be_made_are_refused(n_bars: int, n_blocks: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        probability_of_overfitting(np.random.default_rng(0).normal(size=(n_bars, 12)), n_blocks)


def test_returns_that_are_missing_or_out_of_order_are_refused() -> None:
    returns = np.zeros((50, 12))
    returns[3, 4] = np.nan
    with pytest.raises(DataError, match="was 1 missing of 600"):
        probability_of_overfitting(returns)
    hours = pd.date_range("2024-01-01", periods=50, freq="h")
    with pytest.raises(DataError, match="must go forward in time"):
        probability_of_overfitting(pd.DataFrame(np.ones((50, 12)), hours[::-1]))
