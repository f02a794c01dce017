from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit

from dexml.errors import ModelError
from dexml.models.sequence.config import ClassBalancingConfig
from dexml.models.sequence.losses import class_weights, focal_loss, posterior

EVEN = torch.ones(2, dtype=torch.float64)


def loss_at(q: float, gamma: float, weights: torch.Tensor = EVEN, label: float = 1.0) -> float:
    logit = torch.tensor([np.log(q / (1 - q))], dtype=torch.float64)
    return float(focal_loss(logit, torch.tensor([label], dtype=torch.float64), weights, gamma))


@pytest.mark.parametrize(("q", "times"), [(0.9, 100), (0.968, 1000)])
def test_the_loss_has_the_published_discounts_of_easy_examples(q: float, times: float) -> None:
    # Lin et al. (2017), section 3.2: with gamma 2, q = 0.9 counts 100 times less, q near 0.968
    # 1000 times, and q <= 0.5 at most 4 times less.
    assert loss_at(q, 0.0) / loss_at(q, 2.0) == pytest.approx(times, rel=0.03)
    assert loss_at(0.5, 0.0) / loss_at(0.5, 2.0) == pytest.approx(4)


@given(q=st.floats(0.001, 0.999), gamma=st.floats(0, 5), weight=st.floats(0.1, 10))
def test_the_loss_is_its_formula(q: float, gamma: float, weight: float) -> None:
    weights = torch.tensor([2.0 * weight, weight], dtype=torch.float64)
    formula = -weight * (1 - q) ** gamma * np.log(q)
    assert loss_at(q, gamma, weights) == pytest.approx(formula, rel=1e-9)
    other = -2.0 * weight * q**gamma * np.log(1 - q)
    assert loss_at(q, gamma, weights, label=0.0) == pytest.approx(other, rel=1e-9)


def test_without_gamma_the_loss_is_that_of_torch() -> None:
    logits, y = torch.linspace(-9, 9, 50, dtype=torch.float64), torch.arange(50.0).double() % 2
    theirs = torch.nn.functional.binary_cross_entropy_with_logits(logits, y)
    assert float(focal_loss(logits, y, EVEN, 0.0)) == pytest.approx(float(theirs), rel=1e-12)


def test_the_gradient_is_that_of_the_loss_and_finite_far_out() -> None:
    logits = torch.tensor([-0.7, 0.4, 2.0], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: focal_loss(x, y, EVEN, 2.5), logits)
    far = torch.tensor([-200.0, 200.0], requires_grad=True)
    loss = focal_loss(far, torch.tensor([1.0, 1.0]), torch.ones(2), 2.5)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(far.grad).all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.5, 5.0])
@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.6, 3.0)])
@pytest.mark.parametrize("eta", [0.05, 0.3, 0.5, 0.8, 0.97])
def test_the_posterior_undoes_what_the_loss_does(
    gamma: float, weights: tuple[float, float], eta: float
) -> None:
    # Brute force: the log-odds that minimise the expected loss where label 1 has probability eta.
    def risk(x: float) -> float:
        q = expit(x)
        one = -weights[1] * (1 - q) ** gamma * np.log(q)
        zero = -weights[0] * q**gamma * np.log(1 - q)
        return float(eta * one + (1 - eta) * zero)

    best = minimize_scalar(risk, bounds=(-12, 12), method="bounded", options={"xatol": 1e-10}).x
    assert posterior([best], gamma, weights)[0] == pytest.approx(eta, abs=2e-6)


@given(x=st.floats(-50, 50), gamma=st.floats(0, 10))
def test_the_posterior_is_a_probability_and_symmetric(x: float, gamma: float) -> None:
    p, mirrored = posterior([x, -x], gamma, (1.0, 1.0))
    assert 0 < p < 1
    assert p + mirrored == pytest.approx(1)


def test_weights_are_the_closed_forms() -> None:
    y = np.array([0.0] * 90 + [1.0] * 10)
    balanced = class_weights(y, ClassBalancingConfig(method="balanced"))
    assert balanced == pytest.approx((100 / 180, 100 / 20))
    beta, config = 0.9, ClassBalancingConfig(method="effective_number", beta=0.9)
    raw = np.array([(1 - beta) / (1 - beta**90), (1 - beta) / (1 - beta**10)])
    wanted = raw * 100 / (raw @ [90, 10])
    assert class_weights(y, config) == pytest.approx(tuple(wanted))
    assert class_weights(y, ClassBalancingConfig(method="none")) == (1.0, 1.0)


def test_the_effective_number_lies_between_no_weights_and_balanced_ones() -> None:
    y = np.array([0.0] * 90 + [1.0] * 10)
    none = class_weights(y, ClassBalancingConfig(method="effective_number", beta=0.0))
    full = class_weights(y, ClassBalancingConfig(method="effective_number", beta=0.999999))
    assert none == pytest.approx((1, 1))
    assert full == pytest.approx(class_weights(y, ClassBalancingConfig()), rel=1e-3)


def test_one_class_has_no_weights() -> None:
    with pytest.raises(ModelError, match="must hold both classes"):
        class_weights([1.0, 1.0], ClassBalancingConfig())
