from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.errors import DataError
from dexml.risk.gaps import book_returns, tail_with_gaps
from dexml.risk.tail import Tail, tail_risk

NAN = np.nan
SEEDS = st.integers(0, 2**32 - 1)


def walk(seed: int, n_bars: int = 120, n_instruments: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    market = rng.standard_t(4, (n_bars, 1)) * 0.01
    return market + rng.standard_t(4, (n_bars, n_instruments)) * 0.005


def test_without_holes_the_book_earned_the_weighted_sum() -> None:
    returns, weights = walk(0), np.array([0.2, 0.3, -0.1])
    assert book_returns(returns, weights) == pytest.approx(returns @ weights, abs=1e-15)
    assert tail_with_gaps(returns, weights, 24) == tail_risk(book_returns(returns, weights), 24)


@given(SEEDS, st.lists(st.floats(-1, 1), min_size=3, max_size=3), st.integers(1, 60), st.data())
def test_value_at_risk_never_falls_because_data_are_missing(
    seed: int, weights: list[float], n_silent: int, data: st.DataObject
) -> None:
    returns = walk(seed)
    calm = walk(seed + 1, n_silent) * data.draw(st.floats(0, 1))  # what the others did meanwhile
    for row in calm:
        silent = data.draw(st.lists(st.sampled_from(range(3)), min_size=1, max_size=3, unique=True))
        row[silent] = NAN
    held = [w if abs(w) > 1e-6 else 0.5 for w in weights]
    before = tail_with_gaps(returns, held, 24)
    during = tail_with_gaps(np.vstack([returns, calm]), held, 24)
    assert during.value_at_risk >= before.value_at_risk
    assert during.expected_shortfall >= before.expected_shortfall


def test_a_zero_in_place_of_a_missing_bar_would_make_the_risk_look_smaller() -> None:
    returns = np.vstack([walk(1), np.full((48, 3), NAN)])
    returns[120:, 0] = 0.0001  # one coin goes on, calmly
    weights = [0.1, 0.4, 0.4]
    naive = tail_risk(np.nan_to_num(returns) @ weights, 24).value_at_risk
    known = tail_risk(returns[:120] @ weights, 24).value_at_risk
    assert naive < 0.6 * known
    assert tail_with_gaps(returns, weights, 24).value_at_risk >= known


def test_a_silent_instrument_moved_as_its_worst_peer_in_its_own_volatility() -> None:
    returns = np.tile([[0.01, 0.02, 0.04], [-0.01, -0.02, -0.04]], (20, 1))
    hurt = np.vstack([returns, [-0.03, -0.02, NAN]])
    sizes = np.sqrt(np.nanmean(hurt**2, axis=0))
    filled = book_returns(hurt, [1.0, 1.0, 0.5])[-1]
    assert filled == pytest.approx(-0.05 - 0.03 / sizes[0] * sizes[2] * 0.5)


def test_a_silent_short_is_hurt_by_the_peers_that_hurt_shorts() -> None:
    returns = np.tile([[0.01, 0.01], [-0.01, -0.01]], (20, 1))
    rise = np.vstack([returns, [0.03, NAN]])
    assert book_returns(rise, [-1.0, -1.0])[-1] < -0.03
    assert book_returns(rise, [1.0, 1.0])[-1] == pytest.approx(0.03)  # a gain is not imputed


def test_a_bar_set_that_nobody_saw_does_not_exist() -> None:
    returns = walk(2)
    whole = np.insert(returns, 60, NAN, axis=0)
    assert len(book_returns(whole, [0.3, 0.3, 0.3])) == 120


def test_the_move_over_a_gap_counts_as_one_bars() -> None:
    returns = np.insert(np.tile([0.01, -0.01], 20), 20, [NAN] * 3)[:, None]
    returns[23] = 0.04  # four hours in one move
    earned = book_returns(returns, [1.0])
    assert earned[20] == pytest.approx(0.04 / sqrt(4))
    assert earned[[19, 21]] == pytest.approx([-0.01, -0.01])


def test_what_an_instrument_did_before_its_first_bar_is_not_a_gap() -> None:
    returns = walk(3)
    returns[:60, 2] = NAN
    earned = book_returns(returns, [0.0, 0.0, 1.0])
    assert earned == pytest.approx(returns[60:, 2])


def test_gaps_do_not_bias_the_risk_of_a_random_walk() -> None:
    rng, ratios = np.random.default_rng(0), []
    for seed in range(40):
        path = rng.normal(0, 0.01, (1_500, 1)).cumsum(axis=0)
        known = rng.random(1_500) > 0.2
        holes = np.full((1_500, 1), NAN)
        holes[known] = np.diff(path[known], axis=0, prepend=path[known][:1])
        full = tail_risk(np.diff(path[:, 0]), 24).value_at_risk
        ratios.append(tail_with_gaps(holes[1:], [0.5 + seed / 80], 24).value_at_risk / full)
    expected = np.mean([0.5 + seed / 80 for seed in range(40)])
    assert np.mean(ratios) == pytest.approx(expected, rel=0.08)


def test_an_empty_book_has_no_tail() -> None:
    assert tail_with_gaps(walk(0), [0.0, 0.0, 0.0], 24) == Tail()


def test_an_outage_before_enough_was_seen_has_no_floor() -> None:
    returns = walk(4, 60)
    returns[10:, 1] = np.where(np.arange(50) % 2, NAN, returns[10:, 1])
    returns[12:, 0] = np.where(np.arange(48) % 2, returns[12:, 0], NAN)
    expected = tail_risk(book_returns(returns, [0.5, 0.5, 0.0]), 24)
    assert tail_with_gaps(returns, [0.5, 0.5, 0.0], 24) == expected


@pytest.mark.parametrize(
    ("returns", "weights", "message"),
    [
        (np.zeros((30, 2)), [1.0], r"must be \(n, m\) and \(m,\), was \(30, 2\) and \(1,\)"),
        (np.full((30, 1), np.inf), [1.0], "must not be infinite"),
        (np.full((30, 1), -1.5), [1.0], "returns must be -1 or more, was -1.5"),
        (np.zeros((30, 1)), [NAN], "must not be infinite"),
        (np.full((30, 1), NAN), [1.0], "held instrument 0 must have 20 returns, was 0"),
    ],
)
def test_what_cannot_be_known_is_refused(
    returns: np.ndarray, weights: list[float], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        tail_with_gaps(returns, weights, 24)
