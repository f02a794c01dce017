from __future__ import annotations

from datetime import UTC, datetime

from dexml.clock import SimulatedClock
from dexml.data.feeds.venues import VENUES
from dexml.data.reference import TIME_OF, stated_time
from dexml.simulation.exchanges import ExchangeServers, Fault
from tests.actors.rig import MARKET

NOW = datetime(2024, 1, 10, 12, 0, 7, 654_321, tzinfo=UTC)


def test_any_answer_of_a_server_tells_its_time_in_whole_seconds_also_a_refusal() -> None:
    with ExchangeServers(MARKET.history, SimulatedClock(NOW)) as servers:
        url = servers.urls["binance"]
        assert stated_time(url) == NOW.replace(microsecond=0)
        assert stated_time(f"{url}/nothing/here") == NOW.replace(microsecond=0)
        servers.faults.set(Fault.UNAVAILABLE, venue="binance")
        assert stated_time(f"{url}/api/v3/exchangeInfo") == NOW.replace(microsecond=0)


def test_who_does_not_answer_tells_no_time() -> None:
    with ExchangeServers(MARKET.history, SimulatedClock(NOW)) as servers:
        url = servers.urls["kraken"]
    assert stated_time(url, timeout_s=1.0) is None


def test_each_exchange_has_an_address_to_ask_for_the_time() -> None:
    assert set(TIME_OF) == set(VENUES)
    assert all(url.startswith("https://") for url in TIME_OF.values())
