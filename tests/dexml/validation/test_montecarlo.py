from __future__ import annotations

import numpy as np
import pytest
from arch import arch_model
from arch.bootstrap import StationaryBootstrap

from dexml.errors import ConfigError, DataError
from dexml.validation.fast.paths import garch_paths, resampled_paths
from dexml.validation.montecarlo import Garch, simulate_garch, simulate_returns
from dexml.validation.performance import max_drawdown, sharpe_ratio
from tests.dexml.validation.simulated import autoregressive


def figures(returns: np.ndarray, block: float, n: int, seed: int = 0, first: int = 0) -> np.ndarray:
    out = np.empty((n, 5))
    resampled_paths(returns, block, seed, first, np.array([len(returns)]), out)
    return out


@pytest.mark.parametrize("block", [1.0, 5.0, 20.0])
def test_the_spread_of_the_mean_is_the_closed_form_of_the_stationary_bootstrap(
    block: float,
) -> None:
    series = autoregressive(300, 0.6, seed=1) * 0.01
    n, centred = len(series), series - series.mean()
    lags, kept = np.arange(1, n), 1 - 1 / block
    covariance = np.array([centred[k:] @ centred[: n - k] for k in range(n)]) / n
    # Politis and Romano (1994), lemma 1
    weights = (1 - lags / n) * kept**lags + lags / n * kept ** (n - lags)
    variance = (covariance[0] + 2 * weights @ covariance[1:]) / n
    drawn = figures(series, block, 20_000)[:, 0]
    assert drawn.var() == pytest.approx(variance, rel=0.04)
    assert drawn.mean() == pytest.approx(series.mean(), abs=4 * np.sqrt(variance / 20_000))


def test_sharpe_and_drawdown_are_distributed_as_those_of_arch() -> None:
    series = autoregressive(400, 0.3, seed=2) * 0.01
    theirs = np.array(
        [
            (np.mean(one[0][0]) / np.std(one[0][0], ddof=1), _fall(one[0][0]))
            for one in StationaryBootstrap(10, series, seed=3).bootstrap(4_000)
        ]
    )
    ours = figures(series, 10.0, 4_000)
    shares = [0.05, 0.5, 0.95]
    for column, mine in enumerate((ours[:, 0] / ours[:, 1], ours[:, 2])):
        expected = np.quantile(theirs[:, column], shares)
        room = 0.12 * theirs[:, column].std()
        np.testing.assert_allclose(np.quantile(mine, shares), expected, atol=room)


def _fall(returns: np.ndarray) -> float:
    return max_drawdown(np.concatenate([[1.0], np.cumprod(1 + returns)]))


def test_one_endless_block_is_the_history_begun_elsewhere() -> None:
    series = autoregressive(100, 0.0, seed=3) * 0.02
    drawn = figures(series, 1e12, 50)
    np.testing.assert_allclose(drawn[:, 3], np.prod(1 + series), rtol=1e-12)
    np.testing.assert_allclose(drawn[:, 0], series.mean(), atol=1e-15)
    np.testing.assert_allclose(drawn[:, 1], series.std(ddof=1), rtol=1e-9)


def test_a_simulation_depends_on_seed_and_number_alone() -> None:
    series = autoregressive(60, 0.2, seed=4) * 0.01
    whole = figures(series, 4.0, 30)
    assert np.array_equal(whole[20:], figures(series, 4.0, 10, first=20))
    assert not np.array_equal(whole, figures(series, 4.0, 30, seed=1))
    assert len(np.unique(whole[:, 0])) == 30


def test_the_estimates_are_those_of_the_history_and_lie_within() -> None:
    series = autoregressive(2_000, 0.1, seed=5) * 0.01 + 0.0004
    drawn = simulate_returns(series, 1_000)
    assert drawn.sharpe.estimate == sharpe_ratio(series)
    assert drawn.max_drawdown.estimate == _fall(series)
    for one in (drawn.sharpe, drawn.max_drawdown, drawn.total_return):
        assert one.estimate is not None
        assert one.low < one.estimate < one.high
    assert (np.diff(drawn.fan.equity, axis=0) > 0).all()
    assert drawn.fan.bars[0] == 1
    assert drawn.fan.bars[-1] == 2_000


def test_many_simulations_are_counted_in_bins_and_hardly_differ() -> None:
    series = autoregressive(50, 0.0, seed=6) * 0.01
    many = simulate_returns(series, 20_000, block_length=3.0)
    drawn = figures(series, 3.0, 20_000)
    sharpe = drawn[:, 0] / drawn[:, 1] * np.sqrt(8_760)
    found = (many.sharpe.low, many.sharpe.median, many.sharpe.high)
    np.testing.assert_allclose(
        found, np.quantile(sharpe, [0.025, 0.5, 0.975]), atol=2 * np.ptp(sharpe) / 4_096
    )
    assert many.loss_probability == (drawn[:, 3] < 1).mean()


def test_the_variance_ahead_is_that_of_arch() -> None:
    values = autoregressive(1_500, 0.0, seed=7)
    omega, alpha, beta = 0.05, 0.10, 0.85
    fixed = arch_model(values, mean="Zero", vol="GARCH", p=1, q=1).fix([omega, alpha, beta])
    ahead = fixed.forecast(horizon=50).variance.to_numpy()[-1]
    shocks = np.random.default_rng(8).normal(size=200_000)
    shocks = (shocks - shocks.mean()) / shocks.std()
    out = np.empty((40_000, 5))
    numbers = np.array([0.0, omega * 1e-4, alpha, beta, ahead[0] * 1e-4])
    garch_paths(numbers, shocks, 0, 0, np.array([50]), out)
    squares = out[:, 1] ** 2 * 49 + 50 * out[:, 0] ** 2  # of one path, summed over its bars
    assert squares.mean() == pytest.approx(ahead.sum() * 1e-4, rel=0.02)


def test_garch_paths_of_a_calm_market_stay_calm() -> None:
    calm = Garch(mean=0.0, omega=1e-8, alpha=0.05, beta=0.9, variance=1e-7)
    wild = Garch(mean=0.0, omega=1e-6, alpha=0.05, beta=0.9, variance=1e-5)
    shocks = np.random.default_rng(9).standard_t(5, 500)
    drawn = [simulate_garch(one, shocks, 500, 300) for one in (calm, wild)]
    assert drawn[0].max_drawdown.high < drawn[1].max_drawdown.low
    assert drawn[0].sharpe.estimate is None


def test_returns_that_never_vary_are_simulated_as_they_are() -> None:
    flat = simulate_returns(np.zeros(40), 100)
    assert (flat.sharpe.low, flat.sharpe.high, flat.loss_probability) == (0.0, 0.0, 0.0)
    assert flat.block_length == 1.0


def test_bad_input_is_named() -> None:
    with pytest.raises(DataError, match="returns must hold at least 20"):
        simulate_returns(np.zeros(19))
    with pytest.raises(DataError, match="returns must be given and finite"):
        simulate_returns(np.full(30, np.nan))
    with pytest.raises(DataError, match="returns must be at least -1"):
        simulate_returns(np.full(30, -2.0))
    with pytest.raises(ConfigError, match="n_simulations must be at least 100"):
        simulate_returns(np.zeros(30), 99)
    with pytest.raises(ConfigError, match="block_length must be at least 1"):
        simulate_returns(np.zeros(30), block_length=0.5)
    with pytest.raises(ConfigError, match="GARCH must have positive variances"):
        Garch(mean=0.0, omega=0.0, alpha=0.1, beta=0.8, variance=1.0)
