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
MARKET = market(40)
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
) -> int:
    """Follow the market through the weather and some calm bars; return how many bars passed."""
    clock = SimulatedClock(BEGIN)

    async def live(servers: ExchangeServers) -> None:
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

    with ExchangeServers(History(bars=MARKET), clock) as servers:
        asyncio.run(live(servers))
    return N_BEFORE + len(weather) + N_CALM


@pytest.mark.parametrize("venue", VENUES)
def test_a_calm_market_is_stored_to_the_bit(venue: str, tmp_path: Path) -> None:
    n_bars = lived(venue, tmp_path, [()] * N_STORMY)
    assert digest(tmp_path, venue) == planted_digest(venue, n_bars)


ENDPOINTS = st.sampled_from([None, "bars", "markets", "stream", "dial"])
SETTINGS = st.tuples(st.sampled_from(Fault), ENDPOINTS, st.sampled_from([None, *NAMES]))
WEATHER = st.lists(st.lists(SETTINGS, max_size=3), min_size=N_STORMY, max_size=N_STORMY)
RESTARTS = st.none() | st.integers(0, N_STORMY - 1)


def check_weather(venue: str, weather: list[list[Setting]], restart_at: int | None) -> None:
    with TemporaryDirectory() as folder:
        n_bars = lived(venue, Path(folder), weather, restart_at)
        assert digest(Path(folder), venue) == planted_digest(venue, n_bars)


@pytest.mark.slow
@pytest.mark.parametrize("venue", VENUES)
@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
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


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("fault", Fault)
def test_no_fault_alone_harms_the_store(venue: str, fault: Fault, tmp_path: Path) -> None:
    n_bars = lived(venue, tmp_path, [(), [(fault, None, None)], [(fault, None, None)], ()])
    assert digest(tmp_path, venue) == planted_digest(venue, n_bars)
