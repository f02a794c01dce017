from __future__ import annotations

import pytest
from scipy.stats import beta

from dexml.experiments.rates import Judgement, RateSpec, judge_market, rate_of


@pytest.mark.slow
def test_a_strong_edge_is_seen_and_no_edge_is_not() -> None:
    strong = judge_market(0, RateSpec(bayes_accuracy=0.70, train=2_000, test=2_000))
    null = judge_market(0, RateSpec(bayes_accuracy=0.50, train=2_000, test=2_000))
    assert strong.edges == {1: True, 10: True, 100: True}
    assert strong.bayes_sharpe > strong.sharpe > 5
    assert null.edges == {1: False, 10: False, 100: False}
    assert abs(null.skill_t) < 3
    assert Judgement.from_dict(null.to_dict()) == null


def test_a_rate_has_its_exact_interval() -> None:
    found = rate_of([True] * 3 + [False] * 37)
    # Clopper and Pearson (1934): quantiles of beta distributions
    expected = (beta.ppf(0.025, 3, 38), beta.ppf(0.975, 4, 37))
    assert (found.low, found.high) == pytest.approx(expected)
    assert (found.rate, found.n) == (0.075, 40)
