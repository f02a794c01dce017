from __future__ import annotations

import numpy as np
import pytest
from arch import arch_model

from dexml.errors import DataError
from dexml.risk import garch
from dexml.risk.garch import Garch, fit_garch, garch_variance, variance_over

TRUE = Garch(omega=2e-6, alpha=0.08, beta=0.90, start=1e-4)


def simulated(n: int, seed: int = 0, model: Garch = TRUE) -> np.ndarray:
    rng, variance, out = np.random.default_rng(seed), model.start, np.empty(n)
    for t in range(n):
        out[t] = np.sqrt(variance) * rng.standard_normal()
        variance = model.omega + model.alpha * out[t] ** 2 + model.beta * variance
    return out


@pytest.mark.parametrize("seed", range(3))
def test_the_fit_is_that_of_arch(seed: int) -> None:
    returns = simulated(2_500, seed) * 100
    model = fit_garch(returns)
    peer = arch_model(returns, mean="Zero", vol="GARCH", p=1, q=1, rescale=False).fit(
        disp="off", backcast=float(np.mean(returns**2)), options={"ftol": 1e-12}
    )
    ours = [model.omega, model.alpha, model.beta]
    assert ours == pytest.approx(peer.params.to_numpy(), rel=2e-3)
    # arch starts its recursion one step earlier, from omega + (alpha + beta) * backcast
    known = garch_variance(returns, model)[:-1]
    likelihood = -0.5 * np.sum(np.log(2 * np.pi * known) + returns**2 / known)
    assert likelihood >= peer.loglikelihood - 0.1


def test_a_long_history_shows_the_parameters_that_made_it() -> None:
    model = fit_garch(simulated(40_000))
    assert model.alpha == pytest.approx(TRUE.alpha, abs=0.01)
    assert model.beta == pytest.approx(TRUE.beta, abs=0.015)


def test_the_parameters_do_not_depend_on_the_unit() -> None:
    returns = simulated(1_000)
    one, other = fit_garch(returns), fit_garch(returns * 1e4)
    assert (other.alpha, other.beta) == pytest.approx((one.alpha, one.beta), rel=1e-6)
    assert other.omega == pytest.approx(one.omega * 1e8, rel=1e-6)


def test_the_variance_is_the_recursion_and_the_days_is_the_sum_of_its_expectations() -> None:
    returns = simulated(50)
    v = [TRUE.start]
    for value in returns:
        v.append(TRUE.omega + TRUE.alpha * value**2 + TRUE.beta * v[-1])
    known = garch_variance(returns, TRUE)
    assert known == pytest.approx(v, rel=1e-12)
    total, step = 0.0, v[-1]
    for _ in range(24):
        total, step = total + step, TRUE.omega + (TRUE.alpha + TRUE.beta) * step
    assert variance_over(known, TRUE, 24)[-1] == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(
    "returns", [np.zeros(500), np.array([]), np.full(500, np.nan), simulated(100)]
)
def test_what_cannot_be_fitted_is_refused(returns: np.ndarray) -> None:
    with pytest.raises(DataError, match="GARCH returns must be at least 250 finite numbers"):
        fit_garch(returns)


def test_a_search_that_ends_nowhere_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garch, "_STARTS", ((np.nan, np.nan),))
    with pytest.raises(DataError, match="GARCH likelihood must have a maximum"):
        fit_garch(simulated(500))
