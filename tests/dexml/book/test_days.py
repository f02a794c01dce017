from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from dexml.book.days import LEAST_DAYS, days_told, next_day_losses

HOUR = 3_600.0


def brute_losses(at: list[float], worth: list[float]) -> list[float | None]:
    known = dict(zip(at, worth, strict=True))
    later = [known.get(moment + 86_400.0) for moment in at]
    return [
        None if then is None else (now - then) / now for now, then in zip(worth, later, strict=True)
    ]


@given(st.sets(st.integers(0, 120), min_size=1, max_size=100), st.integers(0, 2**31))
def test_losses_over_the_next_day_are_those_of_a_search_by_hand_holes_and_all(
    hours: set[int], seed: int
) -> None:
    at = [hour * HOUR for hour in sorted(hours)]
    worth = np.random.default_rng(seed).uniform(50, 150, len(at)).tolist()
    found = next_day_losses(np.array(at), np.array(worth))
    for got, wanted in zip(found, brute_losses(at, worth), strict=True):
        assert np.isnan(got) if wanted is None else got == pytest.approx(wanted, abs=1e-12)


def test_a_year_of_days_is_judged_by_kupiecs_ratio() -> None:
    rng = np.random.default_rng(4)
    n_days = 300
    at = np.arange(n_days * 24 + 1) * HOUR
    worth = 100 * np.cumprod(1 + rng.normal(0, 0.004, at.size))
    tail = np.full(at.size, 0.03)
    told = days_told(at, worth, np.ones(at.size), tail)
    lost = 1 - worth[24::24] / worth[:-24:24]
    k = int((lost > 0.03).sum())
    assert (told.n_days, told.n_beyond) == (n_days, k)
    assert told.share_beyond == k / n_days
    p = k / n_days
    ratio = -2 * ((n_days - k) * np.log(0.95 / (1 - p)) + k * np.log(0.05 / p))
    assert told.p_value == pytest.approx(float(chi2.sf(ratio, 1)))
    verdict = "fits" if told.p_value >= 0.05 else "does not fit"
    assert told.note == f"That {verdict} a 95% VaR (Kupiec p = {told.p_value:.3f})."


def test_a_tail_that_is_far_too_small_does_not_fit() -> None:
    rng = np.random.default_rng(0)
    at = np.arange(200 * 24) * HOUR
    worth = 100 * np.cumprod(1 + rng.normal(0, 0.004, at.size))
    told = days_told(at, worth, np.ones(at.size), np.full(at.size, 0.001))
    assert told.p_value is not None
    assert told.p_value < 1e-6
    assert "does not fit a 95% VaR" in told.note


def test_below_the_least_number_of_days_there_is_no_p_value() -> None:
    at = np.arange(24 * (LEAST_DAYS - 1) + 1) * HOUR
    told = days_told(at, np.linspace(100, 50, at.size), np.ones(at.size), np.full(at.size, 0.02))
    assert told.n_days == LEAST_DAYS - 1
    assert told.p_value is None
    assert told.note == "Too few days to test: 100 are needed, 99 so far."


def test_days_that_begin_in_cash_or_with_an_unknown_tail_are_not_counted() -> None:
    at = np.arange(5 * 24 + 1) * HOUR
    exposure, tail = np.ones(at.size), np.full(at.size, 0.01)
    exposure[24], tail[48] = 0.0, 1.0
    told = days_told(at, np.linspace(100, 90, at.size), exposure, tail)
    assert (told.n_days, told.n_beyond) == (3, 3)


def test_a_day_that_ends_in_a_hole_is_left_out_and_the_next_begins_at_the_next_close() -> None:
    hours = np.delete(np.arange(3 * 24 + 2), 24)
    told = days_told(hours * HOUR, np.linspace(100, 90, hours.size), np.ones(73), np.zeros(73))
    assert told.n_days == 3  # from hour 1, 25 and 49


@pytest.mark.parametrize("n", [0, 1])
def test_a_run_without_a_day_tells_nothing(n: int) -> None:
    told = days_told(np.zeros(n), np.ones(n), np.ones(n), np.ones(n))
    assert (told.n_days, told.n_beyond, told.share_beyond, told.p_value) == (0, 0, None, None)


def test_an_equity_that_is_gone_gives_no_loss() -> None:
    found = next_day_losses(np.array([0.0, 86_400.0]), np.array([0.0, 10.0]))
    assert np.isnan(found).all()
