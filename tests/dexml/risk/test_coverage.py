from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm
from statsmodels.stats.multitest import multipletests

from dexml.errors import DataError
from dexml.risk.coverage import (
    Coverage,
    TailRecord,
    acerbi_szekely,
    conditional_coverage,
    holm,
    independence,
    kupiec,
    tail_record,
)
from dexml.risk.tail import Tail, tail_risk


def hits(pattern: str) -> list[bool]:
    return [one == "x" for one in pattern]


def gaussian_record(n: int, seed: int, rate: float = 0.05, size: float = 1.0) -> TailRecord:
    z = float(norm.ppf(1 - rate))
    return TailRecord(
        losses=np.random.default_rng(seed).normal(0, size, n),
        value_at_risk=np.full(n, z),
        expected_shortfall=np.full(n, float(norm.pdf(z)) / rate),
    )


def test_kupiecs_non_rejection_regions_are_the_published_ones() -> None:
    # Kupiec (1995), table for 95% confidence: 5% rate, 255 days: 7 to 20; 1,000 days: 38 to 64
    for n, least, most in ((255, 7, 20), (1_000, 38, 64)):
        passes = [k for k in range(n) if kupiec([True] * k + [False] * (n - k)).p_value > 0.05]
        assert (passes[0], passes[-1]) == (least, most)


def test_kupiecs_statistic_is_the_ratio_of_binomial_likelihoods() -> None:
    ratio = 2 * np.log(binom.pmf(9, 100, 0.09) / binom.pmf(9, 100, 0.05))
    assert kupiec(hits("x" * 9 + "." * 91)).statistic == pytest.approx(ratio, abs=1e-12)


def test_christoffersens_statistics_are_the_published_ones() -> None:
    # Jorion (2007), box 6-2: 252 days, 20 beyond, 6 of them right after another
    pattern = "." + "xxxxxxx" + "." + "x." * 13 + "." * 217
    days = hits(pattern)
    assert (len(days), sum(days)) == (252, 20)
    assert independence(days).statistic == pytest.approx(9.53, abs=0.05)
    both = kupiec(days).statistic + independence(days).statistic
    assert conditional_coverage(days).statistic == pytest.approx(both, abs=1e-12)


def test_independence_is_the_ratio_of_markov_likelihoods_day_after_day() -> None:
    days = hits("xx.x" + "." * 30 + "x..xx" + "." * 20)
    pairs = list(pairwise(days))
    after = {was: [now for before, now in pairs if before is was] for was in (True, False)}
    pooled = float(np.mean([now for _, now in pairs]))
    ratio = 0.0
    for seen in after.values():
        share = float(np.mean(seen))
        ratio += 2 * sum(
            np.log((share if x else 1 - share) / (pooled if x else 1 - pooled)) for x in seen
        )
    assert independence(days).statistic == pytest.approx(ratio, abs=1e-10)


def test_beyond_days_in_a_row_are_told_from_the_same_number_apart() -> None:
    together, apart = hits("x" * 10 + "." * 190), hits(("x" + "." * 19) * 10)
    assert kupiec(together) == kupiec(apart)
    assert independence(together).p_value < 1e-6
    assert independence(apart).p_value > 0.2
    assert conditional_coverage(together).p_value < 1e-6


@pytest.mark.parametrize("pattern", ["." * 50, "x" * 50, "." * 49 + "x", "x" + "." * 49])
def test_records_with_an_empty_cell_have_a_verdict(pattern: str) -> None:
    verdict = independence(hits(pattern))
    assert 0 <= verdict.p_value <= 1
    assert np.isfinite(verdict.statistic)


def test_the_tests_reject_5_percent_of_right_forecasts() -> None:
    rng = np.random.default_rng(0)
    days = rng.random((2_000, 1_000)) < 0.05
    for test in (kupiec, conditional_coverage):
        rejected = np.mean([test(one).p_value < 0.05 for one in days])
        assert rejected == pytest.approx(0.05, abs=0.02)  # 4 standard errors


def test_z2_is_zero_where_it_must_be_and_has_the_published_critical_value() -> None:
    # Acerbi and Szekely (2014): 5% of right records of 250 days at 2.5% have Z2 below -0.70
    z2 = []
    for seed in range(3_000):
        record = gaussian_record(250, seed, rate=0.025)
        lost = record.losses[record.beyond].sum()
        z2.append(1 - lost / (250 * 0.025 * record.expected_shortfall[0]))
    assert np.mean(z2) == pytest.approx(0, abs=0.03)
    assert np.quantile(z2, 0.05) == pytest.approx(-0.70, abs=0.04)
    seen = acerbi_szekely(gaussian_record(250, 7, rate=0.025), rate=0.025, n_draws=10)
    assert seen.statistic == pytest.approx(z2[7], abs=1e-12)


def test_z2s_p_value_is_small_for_worse_losses_only() -> None:
    assert acerbi_szekely(gaussian_record(500, 0, size=1.5)).p_value < 0.01
    assert acerbi_szekely(gaussian_record(500, 0, size=0.7)).p_value > 0.9
    right = [acerbi_szekely(gaussian_record(500, k), n_draws=200).p_value for k in range(300)]
    assert np.mean(np.array(right) < 0.1) == pytest.approx(0.1, abs=0.07)


@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_holms_correction_is_that_of_statsmodels(n: int) -> None:
    for seed in range(5):
        p_values = (np.random.default_rng(seed).random(n) ** 3).tolist()
        expected = multipletests(p_values, method="holm")[1]
        assert holm(p_values) == pytest.approx(expected.tolist(), abs=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_only_makes_p_values_larger_and_keeps_their_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(one <= two <= 1 for one, two in zip(p_values, corrected, strict=True))
    ranked = sorted(zip(p_values, corrected, strict=True))
    assert [two for _, two in ranked] == sorted(corrected)


def test_a_record_forecasts_each_day_from_what_was_known_before_it() -> None:
    returns = np.arange(1, 101) * 1e-4
    seen: list[tuple[float, float]] = []

    def forecast(window: np.ndarray) -> Tail:
        seen.append((float(window[0]), float(window[-1])))
        return Tail(value_at_risk=0.01, expected_shortfall=0.02)

    record = tail_record(returns, forecast, window=40, holding=24)
    assert seen == [(1e-4, 40e-4), (25e-4, 64e-4)]
    assert record.losses == pytest.approx(
        [1 - np.prod(1 + returns[40:64]), 1 - np.prod(1 + returns[64:88])]
    )
    assert record.value_at_risk.tolist() == [0.01, 0.01]
    assert record.expected_shortfall.tolist() == [0.02, 0.02]
    assert len(tail_record(returns[:88], forecast, window=40, holding=24).losses) == 2


def test_the_default_covers_days_whose_volatility_moves() -> None:
    rng, n = np.random.default_rng(1), 24 * 700
    sigma = 0.005 * np.exp(np.sin(np.arange(n) / 400))
    returns = sigma * rng.standard_normal(n)
    for window in (240, 2_000):
        record = tail_record(returns, lambda past: tail_risk(past, 24), window, 24)
        found = Coverage.of(record)
        assert found.kupiec.p_value > 0.01, (window, found)
        assert found.n_days == len(record.losses) > 600
        assert found.share_beyond == pytest.approx(0.05, abs=0.025)


@pytest.mark.parametrize("days", [[], [True]])
def test_too_few_days_are_refused(days: list[bool]) -> None:
    with pytest.raises(DataError, match="days to test must be at least 2"):
        kupiec(days)


def test_a_history_without_a_day_is_refused() -> None:
    with pytest.raises(DataError, match="must have more than 40 bars, was 50"):
        tail_record(np.zeros(50), lambda _: Tail(), window=40, holding=24)


def test_a_shortfall_below_its_value_at_risk_is_refused() -> None:
    flat = TailRecord(losses=np.zeros(9), value_at_risk=np.ones(9), expected_shortfall=np.zeros(9))
    with pytest.raises(DataError, match="must be positive and at least the VaR, was -1"):
        acerbi_szekely(flat)
