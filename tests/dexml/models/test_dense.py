"""The dense network: what it learns, what it says of rows unlike those, and its bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dexml.domain import Floats
from dexml.models.dense import DenseNetwork, DenseSettings, Scaling
from dexml.models.dense_fit import fit_dense

SETTINGS = DenseSettings(widths=(32, 16), dropout=0.1, learning_rate=5e-3, epochs=20)


def _smooth(n: int, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Rows, labels and true probabilities of a smooth rule with a product in it."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(n, 6))
    truth = 1 / (1 + np.exp(-(values[:, 0] + 1.5 * values[:, 1] * values[:, 2])))
    return values, (generator.random(n) < truth).astype(np.float64), truth


@pytest.fixture(scope="module")
def fitted() -> DenseNetwork:
    values, y, _ = _smooth(6_000)
    return fit_dense(values, y, SETTINGS, seed=3)


def test_it_finds_a_product_of_two_columns(fitted: DenseNetwork) -> None:
    values, _, truth = _smooth(2_000, seed=1)
    said = fitted.predict(values)
    assert np.mean((said > 0.5) == (truth > 0.5)) > 0.9
    assert np.abs(said - truth).mean() < 0.08


def test_labels_that_follow_nothing_teach_it_next_to_nothing() -> None:
    values, _, _ = _smooth(6_000)
    y = (np.random.default_rng(9).random(6_000) < 0.5).astype(np.float64)
    said = fit_dense(values, y, DenseSettings(), seed=0).predict(_smooth(2_000, seed=1)[0])
    assert np.std(said) < 0.05


def test_a_row_has_the_same_bits_alone_and_in_any_batch(fitted: DenseNetwork) -> None:
    values, _, _ = _smooth(300, seed=2)
    whole = fitted.predict(values)
    for size in (1, 2, 7, 64):
        parts = [fitted.predict(values[k : k + size]) for k in range(0, 300, size)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_numpy_says_what_the_network_of_torch_says(fitted: DenseNetwork) -> None:
    layers: list[nn.Module] = []
    for weight, bias in zip(fitted.weights, fitted.biases, strict=True):
        layer = nn.Linear(*weight.shape).double()
        layer.weight.data, layer.bias.data = torch.from_numpy(weight.T), torch.from_numpy(bias)
        layers += [layer, nn.SiLU()]
    scaled = fitted.scaling.apply(_smooth(50, seed=4)[0])
    with torch.inference_mode():
        wanted = nn.Sequential(*layers[:-1])(torch.from_numpy(scaled))[:, 0].numpy()
    np.testing.assert_allclose(fitted.log_odds(scaled), wanted, rtol=1e-10, atol=1e-12)


def test_the_same_rows_and_seed_give_the_same_bytes_whatever_the_caller_draws(
    fitted: DenseNetwork, tmp_path: Path
) -> None:
    values, y, _ = _smooth(6_000)
    torch.manual_seed(99)
    state = torch.random.get_rng_state()
    fitted.save(tmp_path / "one")
    fit_dense(values, y, SETTINGS, seed=3).save(tmp_path / "two")
    fit_dense(values, y, SETTINGS, seed=4).save(tmp_path / "three")
    one, two, three = ((tmp_path / name).read_bytes() for name in ("one", "two", "three"))
    assert one == two != three
    assert torch.equal(torch.random.get_rng_state(), state)


def test_what_was_saved_says_the_same(fitted: DenseNetwork, tmp_path: Path) -> None:
    values, _, _ = _smooth(20, seed=5)
    fitted.save(tmp_path / "network.npz")
    np.testing.assert_array_equal(
        DenseNetwork.load(tmp_path / "network.npz").predict(values), fitted.predict(values)
    )


def test_beyond_what_it_has_seen_it_is_no_surer(fitted: DenseNetwork) -> None:
    values, _, _ = _smooth(6_000)
    far = fitted.predict(values[:100] * 1e6)
    assert np.isfinite(far).all()
    most = 1 / (1 + np.exp(-np.array(fitted.surest)))
    assert most[0] <= far.min()
    assert far.max() <= most[1] < 1


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_neither_learnt_nor_passed_on(odd: float) -> None:
    values, y, _ = _smooth(1_000)
    values[::7, 3] = odd
    values[:, 5] = np.nan
    fitted = fit_dense(values, y, SETTINGS, seed=0)
    assert np.isfinite(fitted.predict(values)).all()
    assert np.isfinite(fitted.predict(np.full((1, 6), odd))).all()


def test_rows_count_as_often_as_they_are_said_to() -> None:
    values, y, _ = _smooth(2_000)
    turned = np.concatenate([y, 1 - y])
    counts = np.concatenate([np.ones(2_000), np.full(2_000, 1e-9)])
    said = fit_dense(np.concatenate([values, values]), turned, SETTINGS, 0, counts)
    assert np.mean((said.predict(values) > 0.5) == (y > 0.5)) > 0.7


def test_more_rows_are_more_steps_up_to_a_most() -> None:
    assert [replace(SETTINGS, epochs=2).steps(n) for n in (10, 5_120, 10**9)] == [1, 20, 2_000]


def test_scaling_is_of_the_training_rows_alone() -> None:
    scaling = Scaling.fit(np.array([[0.0, np.nan], [2.0, np.nan], [4.0, np.nan]]), beyond=0.0)
    np.testing.assert_allclose(scaling.apply(np.array([[2.0, 7.0]])), [[0.0, 0.0]])
    np.testing.assert_allclose(
        scaling.apply(np.array([[100.0, 1.0]])), scaling.apply(np.array([[4.0, 1.0]]))
    )
