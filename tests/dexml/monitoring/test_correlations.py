"""Planted breaks are told once and taken back once; markets that do not change stay quiet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from dexml.monitoring.correlations import (
    CHECK_BARS,
    REFERENCE_BARS,
    Change,
    CorrelationWatch,
    watched,
)

NAMES = ("A/USDT", "B/USDT", "C/USDT")
START = datetime(2024, 1, 1, tzinfo=UTC)


def moves(rho: float, n_bars: int, seed: int) -> np.ndarray:
    """Hourly returns with heavy tails whose volatility has a memory; A and B correlate with rho."""
    draw = np.random.default_rng(seed)
    shape = np.array([[1, rho, 0.4 * rho], [rho, 1, 0.4 * rho], [0.4 * rho, 0.4 * rho, 1]])
    shocks = draw.standard_t(5, size=(n_bars, 3)) / np.sqrt(5 / 3) @ np.linalg.cholesky(shape).T
    variance, rows = np.ones(3), np.empty((n_bars, 3))
    for n, shock in enumerate(shocks):
        rows[n] = 0.01 * np.sqrt(variance) * shock
        variance = 0.02 + 0.08 * variance * shock**2 + 0.90 * variance
    return rows


def lived(*periods: np.ndarray, hole_every: int = 0) -> Iterator[CorrelationWatch]:
    """Yield the watch after each close."""
    watch = CorrelationWatch(instruments=NAMES)
    prices = 100 * np.exp(np.cumsum(np.concatenate(periods), axis=0))
    for n, row in enumerate(prices):
        closes = dict(zip(NAMES, row.tolist(), strict=True))
        if hole_every and n % hole_every == 0:
            del closes["B/USDT"]
        watch = watched(watch, START + n * timedelta(hours=1), closes)
        yield watch


def told(*periods: np.ndarray, hole_every: int = 0) -> list[Change | None]:
    """Return what was raised (a change) and taken back (None), in order."""
    seen: list[Change | None] = [None]
    for watch in lived(*periods, hole_every=hole_every):
        if (watch.change is None) is not (seen[-1] is None):
            seen.append(watch.change)
    return seen[1:]


@pytest.mark.parametrize("hole_every", [0, 24])
@pytest.mark.parametrize(("before", "after"), [(0.8, 0.1), (0.1, 0.8), (0.5, -0.4)])
def test_a_break_is_told_within_two_weeks_and_taken_back_once_the_new_order_holds(
    before: float, after: float, hole_every: int
) -> None:
    quiet = REFERENCE_BARS + 4 * CHECK_BARS
    raised, back = told(
        moves(before, quiet, seed=1), moves(after, 1_600, seed=2), hole_every=hole_every
    )
    assert raised is not None
    assert back is None
    late = raised.at - START - quiet * timedelta(hours=1)
    assert timedelta(0) < late <= 3 * CHECK_BARS * timedelta(hours=1)
    assert raised.pair == ("A/USDT", "B/USDT")
    assert raised.before == pytest.approx(before, abs=0.15)
    assert raised.after == pytest.approx(after, abs=0.3)
    assert f"that of A/USDT and B/USDT, from {raised.before:.2f} to {raised.after:.2f}" in str(
        raised
    )


def test_what_breaks_twice_is_told_twice() -> None:
    periods = [moves(rho, 1_600, seed) for seed, rho in enumerate((0.8, 0.1, 0.8))]
    assert [one is None for one in told(*periods)] == [False, True, False, True]


def test_volatility_that_trebles_is_no_change_of_correlation() -> None:
    assert told(moves(0.6, 1_200, seed=3), 3 * moves(0.6, 1_200, seed=4)) == []


def test_markets_that_do_not_change_raise_an_alarm_in_less_than_one_check_of_a_hundred() -> None:
    n_checks = n_alarms = 0
    for seed in range(5):
        quiet = moves(0.6, REFERENCE_BARS + 20 * CHECK_BARS + 1, seed=100 + seed)
        before = None
        for watch in lived(quiet):
            n_alarms += before is None and watch.change is not None
            before = watch.change
        n_checks += watch.n_checks
    assert n_checks >= 90
    assert n_alarms <= 1


def test_an_instrument_that_is_gone_leaves_the_others_watched() -> None:
    watch = CorrelationWatch(instruments=NAMES)
    prices = 100 * np.exp(np.cumsum(moves(0.6, REFERENCE_BARS + CHECK_BARS + 1, seed=5), axis=0))
    for n, row in enumerate(prices):
        names = NAMES if n < REFERENCE_BARS else NAMES[:2]
        closes = dict(zip(names, row.tolist(), strict=False))
        watch = watched(watch, START + n * timedelta(hours=1), closes)
    assert watch.n_checks == 1


@pytest.mark.parametrize("names", [(), ("A/USDT",)])
def test_without_two_instruments_nothing_is_checked(names: tuple[str, ...]) -> None:
    watch = CorrelationWatch(instruments=names)
    for n in range(REFERENCE_BARS + CHECK_BARS + 1):
        closes = dict.fromkeys(names, 100.0 + n % 3)
        watch = watched(watch, START + n * timedelta(hours=1), closes)
    assert (watch.n_checks, watch.change) == (0, None)


def test_a_close_that_was_heard_before_changes_nothing() -> None:
    *_, watch = lived(moves(0.6, 10, seed=6))
    assert watched(watch, START, {"A/USDT": 1.0}) is watch
