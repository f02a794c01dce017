from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.errors import ConfigError, DataError
from dexml.events import Reason
from dexml.risk.exits import Direction, ExitConfig, Levels, exit_reason, levels, trailed

SIDES = st.sampled_from([1, -1])
PRICES = st.floats(10, 1_000)


def test_a_long_stops_two_atr_below_and_takes_profit_above() -> None:
    exits = levels(100.0, 2.0, 1.5, ExitConfig())
    assert (exits.stop, exits.take_profit) == (96.0, 112.0)
    assert exit_reason(96.0, exits) is Reason.STOP
    assert exit_reason(112.0, exits) is Reason.TAKE_PROFIT
    assert exit_reason(100.0, exits) is None


@given(PRICES, st.floats(0.01, 2), SIDES)
def test_both_sides_are_mirror_images(price: float, atr: float, side: Direction) -> None:
    exits = levels(price, atr, 1.0, ExitConfig(), side)
    assert exit_reason(price, exits, side) is None
    assert exit_reason(price - side * 2.01 * atr, exits, side) is Reason.STOP
    assert exit_reason(price + side * 4.01 * atr, exits, side) is Reason.TAKE_PROFIT


@given(PRICES, st.lists(PRICES, min_size=1), st.floats(0.01, 5), SIDES)
def test_a_trailing_stop_never_moves_back(
    stop: float, path: list[float], atr: float, side: Direction
) -> None:
    for best in path:
        moved = trailed(stop, best, atr, ExitConfig(), side)
        assert side * (moved - stop) >= 0
        stop = moved


def test_a_trailing_stop_is_two_atr_behind_the_best_price() -> None:
    assert trailed(96.0, 110.0, 2.0, ExitConfig()) == 106.0
    assert trailed(104.0, 90.0, 2.0, ExitConfig(), -1) == 94.0


def test_a_price_at_which_both_exits_are_touched_is_a_stop() -> None:
    # a trailed stop passes the take profit when the range has shrunk since the entry
    assert exit_reason(104.5, Levels(stop=105.0, take_profit=104.0)) is Reason.STOP
    assert exit_reason(95.5, Levels(stop=95.0, take_profit=96.0), -1) is Reason.STOP


@pytest.mark.parametrize(
    ("price", "atr"),
    [(-1.0, 1.0), (0.0, 1.0), (1.0, -0.1), (float("nan"), 1.0), (1.0, float("nan"))],
)
def test_an_entry_at_no_price_is_refused(price: float, atr: float) -> None:
    with pytest.raises(DataError, match="entry must have a positive price and a range"):
        levels(price, atr, 1.0, ExitConfig())


@pytest.mark.parametrize("name", ExitConfig.__slots__)
def test_a_distance_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"exits\.{name} must be positive, was 0"):
        ExitConfig(**{name: 0})
