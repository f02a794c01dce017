from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dexml.errors import ModelError
from dexml.models.light import fit_light
from dexml.validation.metrics import calibration_error, log_loss


def rows(n: int, seed: int, strength: float) -> tuple[pd.DataFrame, pd.Series, np.ndarray]:
    generator = np.random.default_rng(seed)
    table = pd.DataFrame(generator.normal(size=(n, 4)), columns=list("abcd"))
    truth = 1 / (1 + np.exp(-strength * table["a"].to_numpy()))
    return table, pd.Series((generator.random(n) < truth).astype(float)), truth


def test_it_finds_a_planted_slope_and_its_probabilities_are_calibrated() -> None:
    table, y, _ = rows(6_000, 0, 1.0)
    model = fit_light(table, y, ("a", "b", "c", "d"))
    later, outcome, truth = rows(20_000, 1, 1.0)
    said = model.predict(later)
    best = log_loss(outcome, truth)
    assert log_loss(outcome, said) - best < 0.2 * (np.log(2) - best)
    assert calibration_error(outcome, said) < 0.03


def test_noise_is_forecast_near_the_base_rate() -> None:
    table, y, _ = rows(4_000, 2, 0.0)
    said = fit_light(table, y, ("a", "b", "c", "d")).predict(table)
    assert np.abs(said - y.mean()).mean() < 0.05


def test_the_same_seed_gives_the_same_bits_and_labels_that_are_missing_are_left_out() -> None:
    table, y, _ = rows(1_000, 3, 1.0)
    gaps = y.where(np.arange(1_000) % 10 != 0)
    one, other = (fit_light(table, gaps, ("a", "b"), seed=5).predict(table) for _ in range(2))
    assert np.array_equal(one, other)
    alone = fit_light(table[gaps.notna()], gaps.dropna(), ("a", "b"), seed=5).predict(table)
    assert np.array_equal(one, alone)


def test_too_few_rows_or_one_class_are_named() -> None:
    table, y, _ = rows(600, 4, 1.0)
    with pytest.raises(ModelError, match="training labels must hold 500 rows"):
        fit_light(table[:400], y[:400], ("a",))
    with pytest.raises(ModelError, match="both classes, early and late, was 600 rows, 100% ones"):
        fit_light(table, y * 0 + 1, ("a",))
