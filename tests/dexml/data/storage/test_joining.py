from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.data.storage.joining import Joined, join
from dexml.domain import Bars
from tests.random_walk import some_bars

N_BARS = 90
NAMES = ("BTC/USDT", "ETH/USDT")
QUOTES = (
    {},
    {"kraken": "USD"},
    {"kraken": "USD", "bitstamp": "USD"},
    {"kraken": "USD", "b": "EUR"},
)
Wanted = dict[str, tuple[dict[str, Bars], dict[str, str]]]


def quoted(name: str, venue: int) -> Bars:
    bars = some_bars(name, N_BARS, seed=len(name))
    noise = 1 + np.random.default_rng(venue).normal(0, 1e-3, N_BARS)
    prices = {column: getattr(bars, column) * noise for column in ("open", "high", "low", "close")}
    return replace(bars, volume=bars.volume * (1 + venue), **prices)


def some(bars: Bars, n_bars: int, gap: tuple[int, int], revised: int | None) -> Bars:
    """The first bars less a gap, one of them with another volume."""
    volume = bars.volume.copy()
    if revised is not None:
        volume[revised] += 1.0
    rows = [row for row in range(n_bars) if not gap[0] <= row < sum(gap)]
    columns = {name: getattr(bars, name)[rows] for name in ("open", "high", "low", "close")}
    return replace(bars, closed_at=bars.closed_at[rows], volume=volume[rows], **columns)


def assert_same(found: Mapping[str, Joined], whole: Mapping[str, Joined]) -> None:
    assert list(found) == list(whole)
    for name, one in found.items():
        assert one.bars.frame().equals(whole[name].bars.frame())
        assert one.closes.equals(whole[name].closes)


visits = st.lists(
    st.tuples(
        st.integers(1, N_BARS),
        st.tuples(st.integers(0, N_BARS - 10), st.integers(0, 60)),
        st.none() | st.integers(0, N_BARS - 1),
    ),
    min_size=6,
    max_size=6,
)


def wanted_of(visit: list[tuple[int, tuple[int, int], int | None]], quotes: int) -> Wanted:
    venues = ("binance", "kraken", "b" if quotes == 3 else "bitstamp")
    wanted: Wanted = {}
    for k, name in enumerate(NAMES):
        parts = {
            venue: some(quoted(name, number), *visit[3 * k + number])
            for number, venue in enumerate(venues)
        }
        wanted[name] = ({venue: bars for venue, bars in parts.items() if len(bars)}, {})
        wanted[name][1].update(
            {venue: quote for venue, quote in QUOTES[quotes].items() if venue in wanted[name][0]}
        )
    return {name: one for name, one in wanted.items() if "binance" in one[0]}


@settings(max_examples=60, deadline=None)
@given(st.lists(visits, min_size=2, max_size=4), st.integers(0, 3))
def test_what_is_joined_after_anything_that_was_joined_has_the_bits_of_the_whole(
    visited: list[list[tuple[int, tuple[int, int], int | None]]], quotes: int
) -> None:
    made: dict[str, Joined] = {}
    for visit in visited:
        wanted = wanted_of(visit, quotes)
        found = join(wanted, made)
        assert_same(found, join(wanted, {}))
        made |= found


def test_bar_after_bar_is_joined_as_the_whole_is_though_an_exchange_falls_silent_for_long() -> None:
    made: dict[str, Joined] = {}
    for n_bars in range(1, N_BARS + 1):
        silent = {"binance": (30, 35), "kraken": (5, 2), "bitstamp": (70, 3)}
        parts = {
            venue: some(quoted("BTC/USDT", number), n_bars, silent[venue], None)
            for number, venue in enumerate(silent)
        }
        wanted = {"BTC/USDT": (parts, {"kraken": "USD", "bitstamp": "USD"})}
        made = join(wanted, made)
        assert_same(made, join(wanted, {}))


def test_nothing_new_is_the_same_object() -> None:
    parts = {venue: quoted("BTC/USDT", number) for number, venue in enumerate("ab")}
    made = join({"BTC/USDT": (parts, {})}, {})
    again = join({"BTC/USDT": (dict(parts), {})}, made)
    assert again["BTC/USDT"] is made["BTC/USDT"]
