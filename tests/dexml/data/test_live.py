"""A live feed on unmodified drivers: in calm weather, and through every mix of faults."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dexml.clock import SimulatedClock
from dexml.data.store import Store
from dexml.domain import History
from dexml.simulation.exchanges import ExchangeServers, Fault
from tests.dexml.data.markets import MINUTE, NAMES, START, VENUES, Follower, digest, market

N_BEFORE, N_STORMY, N_CALM = 5, 7, 3
MARKET = market(60)
BEGIN = START + N_BEFORE * MINUTE + timedelta(seconds=8)

Setting = tuple[Fault, str | None, str | None]  # fault, endpoint, instrument


def planted_digest(venue: str, n_bars: int) -> str:
    with TemporaryDirectory() as folder:
        store = Store(folder)
        for bars in MARKET.values():
            store.append_bars(venue, bars.take(slice(0, n_bars)))
        return digest(Path(folder), venue)


def lived(
    venue: str,
    folder: Path,
    weather: Sequence[Sequence[Setting]],
    restart_at: int | None = None,
) -> tuple[int, int]:
    """Follow the market through the weather and some calm bars.

    Returns
    -------
    tuple of int
        How many bars passed, and how many rows the store took.
    """
    clock = SimulatedClock(BEGIN)

    async def live(servers: ExchangeServers) -> int:
        follower = Follower(venue, servers.urls[venue], clock, folder)
        for place, faults in enumerate(weather):
            servers.faults.clear()
            for fault, endpoint, instrument in faults:
                servers.faults.set(fault, endpoint=endpoint, instrument=instrument)
            if place == restart_at:
                await follower.restart()
            await follower.live_a_bar(0.15 if faults else 1.0)
        servers.faults.clear()
        settled = [await follower.live_a_bar(10.0) for _ in range(N_CALM)]
        await follower.feed.close()
        assert settled[-1], f"behind: {follower.feed.behind}"
        return follower.n_stored

    with ExchangeServers(History(bars=MARKET), clock) as servers:
        n_stored = asyncio.run(live(servers))
    return N_BEFORE + len(weather) + N_CALM, n_stored


def check_weather(
    venue: str, weather: Sequence[Sequence[Setting]], restart_at: int | None = None
) -> None:
    with TemporaryDirectory() as folder:
        n_bars, n_stored = lived(venue, Path(folder), weather, restart_at)
        assert digest(Path(folder), venue) == planted_digest(venue, n_bars)
    if Fault.REVISED not in {fault for faults in weather for fault, _, _ in faults}:
        assert n_stored == n_bars * len(NAMES)  # nothing twice, nothing that had to be corrected


@pytest.mark.parametrize("venue", VENUES)
def test_a_calm_market_is_stored_to_the_bit(venue: str) -> None:
    check_weather(venue, [()] * N_STORMY)


ENDPOINTS = st.sampled_from([None, "bars", "markets", "stream", "dial"])
SETTINGS = st.tuples(st.sampled_from(Fault), ENDPOINTS, st.sampled_from([None, *NAMES]))
WEATHER = st.lists(st.lists(SETTINGS, max_size=3), min_size=N_STORMY, max_size=N_STORMY)
RESTARTS = st.none() | st.integers(0, N_STORMY - 1)


@pytest.mark.slow
@pytest.mark.parametrize("venue", VENUES)
@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(weather=WEATHER, restart_at=RESTARTS)
def test_after_any_weather_the_store_is_as_if_it_had_been_calm(
    venue: str, weather: list[list[Setting]], restart_at: int | None
) -> None:
    check_weather(venue, weather, restart_at)


@pytest.mark.soak
@pytest.mark.parametrize("venue", VENUES)
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(weather=WEATHER, restart_at=RESTARTS)
def test_after_hundreds_of_storms_the_store_is_as_if_it_had_been_calm(
    venue: str, weather: list[list[Setting]], restart_at: int | None
) -> None:
    check_weather(venue, weather, restart_at)


@pytest.mark.slow
@pytest.mark.parametrize("venue", VENUES)
def test_no_fault_harms_the_store_when_it_comes_alone(venue: str) -> None:
    alone = [fault for fault in Fault if fault is not Fault.REVISED]
    check_weather(venue, [[(fault, None, None)] * n for fault in alone for n in (1, 0)])


@pytest.mark.parametrize("venue", VENUES)
def test_a_bar_that_was_told_wrongly_is_corrected(venue: str) -> None:
    check_weather(venue, [(), [(Fault.REVISED, None, None)], [(Fault.REVISED, None, None)], ()])
