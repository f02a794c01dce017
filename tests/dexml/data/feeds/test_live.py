"""A live feed on unmodified drivers: in calm weather, and through every mix of faults."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dexml.clock import SimulatedClock
from dexml.data.storage.store import Store
from dexml.domain import PRICE_COLUMNS, History
from dexml.simulation.exchanges import ExchangeServers, Fault
from tests.dexml.data.feeds.markets import MINUTE, NAMES, START, VENUES, Follower, digest, market

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


def followed(
    venue: str, folder: Path, story: Callable[[Follower, ExchangeServers], Awaitable[None]]
) -> None:
    """Let a follower be up to date and listening, then tell the story."""
    clock = SimulatedClock(BEGIN)

    async def live(servers: ExchangeServers) -> None:
        follower = Follower(venue, servers.urls[venue], clock, folder)
        assert await follower.settle(20.0, listening=True)
        try:
            await story(follower, servers)
        finally:
            await follower.feed.close()

    with ExchangeServers(History(bars=MARKET), clock) as servers:
        asyncio.run(live(servers))


@pytest.mark.parametrize("venue", VENUES)
def test_what_an_earlier_life_took_from_its_stream_is_looked_up_after_a_restart(
    venue: str, tmp_path: Path
) -> None:
    async def story(follower: Follower, _servers: ExchangeServers) -> None:
        for _ in range(12):
            await follower.live_a_bar(5.0)
        stored = follower.store.bars(venue, NAMES[0], "1m").take(slice(-9, -8))
        prices = {name: getattr(stored, name) * 1.01 for name in PRICE_COLUMNS}
        follower.store.append_bars(venue, replace(stored, **prices))
        await follower.restart()
        await follower.live_a_bar(5.0)
        await follower.settle(2.0)

    followed(venue, tmp_path, story)
    assert digest(tmp_path, venue) == planted_digest(venue, N_BEFORE + 13)


@pytest.mark.parametrize("venue", ["binance", "coinbaseexchange"])
def test_the_stream_alone_brings_bars_while_rest_is_down(venue: str, tmp_path: Path) -> None:
    async def story(follower: Follower, servers: ExchangeServers) -> None:
        await follower.live_a_bar(5.0)  # a bar that the stream saw from its beginning to its end
        servers.faults.set(Fault.UNAVAILABLE, endpoint="bars")
        for _ in range(3):
            await follower.live_a_bar(2.0)
        await follower.settle(1.0)

    followed(venue, tmp_path, story)
    assert digest(tmp_path, venue) == planted_digest(venue, N_BEFORE + 4)


@pytest.mark.parametrize("venue", VENUES)
def test_rest_alone_brings_bars_while_there_is_no_stream(venue: str, tmp_path: Path) -> None:
    async def story(follower: Follower, servers: ExchangeServers) -> None:
        servers.faults.set(Fault.UNAVAILABLE, endpoint="dial")
        servers.faults.set(Fault.DROP, endpoint="stream")
        for _ in range(3):
            assert await follower.live_a_bar(5.0)
        assert follower.feed.unheard == NAMES

    followed(venue, tmp_path, story)
    assert digest(tmp_path, venue) == planted_digest(venue, N_BEFORE + 3)


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.FROZEN])
def test_a_stream_that_stands_still_is_begun_anew_within_two_bars(
    venue: str, fault: Fault, tmp_path: Path
) -> None:
    async def story(follower: Follower, servers: ExchangeServers) -> None:
        await follower.live_a_bar(5.0)
        servers.faults.set(fault, endpoint="stream")
        for _ in range(2):
            assert await follower.live_a_bar(5.0)
        await follower.settle(0.2)
        assert follower.feed.n_restarts == 1
        servers.faults.clear()
        for _ in range(2):
            assert await follower.live_a_bar(5.0)
        assert await follower.settle(5.0, listening=True)
        assert follower.feed.n_restarts <= 2

    followed(venue, tmp_path, story)
    assert digest(tmp_path, venue) == planted_digest(venue, N_BEFORE + 5)


@pytest.mark.parametrize("venue", VENUES)
def test_what_was_missed_while_the_stream_was_away_comes_before_the_next_bar(
    venue: str, tmp_path: Path
) -> None:
    async def story(follower: Follower, servers: ExchangeServers) -> None:
        servers.faults.set(Fault.RESET, endpoint="stream", times=1)
        servers.faults.set(Fault.UNAVAILABLE, endpoint="bars")
        for _ in range(4):
            await follower.live_a_bar(0.2)
        servers.faults.clear()
        assert await follower.live_a_bar(5.0)  # the follower itself refuses gaps

    followed(venue, tmp_path, story)
    assert digest(tmp_path, venue) == planted_digest(venue, N_BEFORE + 5)


@pytest.mark.parametrize("venue", VENUES)
def test_a_web_page_for_a_list_of_markets_is_asked_for_again(venue: str) -> None:
    check_weather(venue, [[(Fault.PAGE, "markets", None)], []])
