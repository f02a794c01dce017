"""The switchboard and what it does to answers over REST, read with plain HTTP."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from dexml.clock import SimulatedClock
from dexml.domain import Bars, History, Timeframe
from dexml.simulation.exchanges import ExchangeServers, Fault

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
PATHS = {
    "binance": "/api/v3/klines?symbol=BTCUSDT&interval=1h",
    "kraken": "/0/public/OHLC?pair=XXBTZUSD&interval=60",
    "coinbaseexchange": "/products/BTC-USD/candles?granularity=3600",
}
CLOSE = 4


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START + timedelta(hours=5.5))


@pytest.fixture
def servers(clock: SimulatedClock) -> Iterator[ExchangeServers]:
    stamps = np.datetime64("2024-01-01T01:00", "ns") + np.arange(9) * np.timedelta64(1, "h")
    close = np.arange(2.0, 11.0)
    bars = Bars(
        instrument="BTC/USDT",
        timeframe=Timeframe.H1,
        closed_at=stamps,
        open=close - 1,
        high=close + 1,
        low=close - 1.5,
        close=close,
        volume=np.ones(9),
    )
    with ExchangeServers(History(bars={"BTC/USDT": bars}), clock) as running:
        yield running


def answer(url: str, path: str) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, dict(response.getheaders()), response.read()


def rows(servers: ExchangeServers, venue: str) -> list[Any]:
    found = json.loads(answer(servers.urls[venue], PATHS[venue])[2])
    return found["result"]["XXBTZUSD"] if venue == "kraken" else found


def hours(given: list[Any]) -> list[int]:
    scale = 1_000 if given[0][0] > 10**11 else 1
    return [(row[0] // scale - int(START.timestamp())) // 3_600 for row in given]


@pytest.mark.parametrize("venue", PATHS)
def test_rows_come_late_twice_in_disorder_or_not_at_all(
    venue: str, servers: ExchangeServers, clock: SimulatedClock
) -> None:
    plain = hours(rows(servers, venue))
    assert sorted(plain) == [0, 1, 2, 3, 4, 5]
    told = {}
    for fault in (Fault.LATE, Fault.DUPLICATE, Fault.DISORDER):
        servers.faults.set(fault, venue=venue, endpoint="bars")
        told[fault] = hours(rows(servers, venue))
        servers.faults.clear()
    assert sorted(told[Fault.LATE]) == [0, 1, 2, 3]
    assert sorted(told[Fault.DUPLICATE]) == sorted(plain + plain)
    assert told[Fault.DISORDER] not in (sorted(plain), sorted(plain, reverse=True))
    servers.faults.set(Fault.FROZEN, venue=venue)
    rows(servers, venue)
    clock.advance(2 * HOUR)
    assert sorted(hours(rows(servers, venue))) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("venue", PATHS)
def test_the_newest_closed_row_is_spoilt_and_the_others_stay(
    venue: str, servers: ExchangeServers
) -> None:
    given = rows(servers, venue)
    plain = dict(zip(hours(given), given, strict=True))
    for fault in (Fault.NAN, Fault.WRONG_TYPES, Fault.REVISED):
        servers.faults.set(fault, venue=venue, times=1)
        spoilt = rows(servers, venue)
        changed = [h for h, row in zip(hours(spoilt), spoilt, strict=True) if row != plain[h]]
        assert changed == [4]
    assert rows(servers, venue) == list(plain.values())


@pytest.mark.parametrize(
    ("fault", "status"), [(Fault.TOO_MANY, 429), (Fault.BANNED, 418), (Fault.UNAVAILABLE, 503)]
)
def test_a_busy_exchange_refuses_and_may_say_for_how_long(
    fault: Fault, status: int, servers: ExchangeServers
) -> None:
    servers.faults.set(fault, venue="kraken", times=1)
    got, headers, _ = answer(servers.urls["kraken"], PATHS["kraken"])
    assert (got, headers.get("Retry-After")) == (status, None if status == 503 else "1")
    assert answer(servers.urls["kraken"], PATHS["kraken"])[0] == 200


def test_bodies_that_are_none(servers: ExchangeServers) -> None:
    url, path = servers.urls["binance"], PATHS["binance"]
    whole = answer(url, path)[2]
    servers.faults.set(Fault.CUT, times=1)
    assert answer(url, path)[2] == whole[: len(whole) // 2]
    servers.faults.set(Fault.PAGE, times=1)
    status, _, body = answer(url, path)
    assert (status, body[:6]) == (200, b"<html>")
    servers.faults.set(Fault.BOMB, times=1)
    body = answer(url, path)[2]
    assert (len(body) < 200_000, len(gzip.decompress(body)) > 60 << 20) == (True, True)
    servers.faults.set(Fault.RESET, times=1)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        answer(url, path)


def test_a_fault_strikes_only_where_it_is_set(servers: ExchangeServers) -> None:
    servers.faults.set(Fault.UNAVAILABLE, venue="binance", endpoint="markets")
    assert answer(servers.urls["binance"], PATHS["binance"])[0] == 200
    assert answer(servers.urls["binance"], "/api/v3/exchangeInfo")[0] == 503
    assert answer(servers.urls["kraken"], "/0/public/Assets")[0] == 200
    servers.faults.clear()
    assert answer(servers.urls["binance"], "/api/v3/exchangeInfo")[0] == 200


def test_a_wrong_clock_shows_in_the_date(servers: ExchangeServers) -> None:
    from dexml.data.http import answered_at

    shown = []
    for fault in (Fault.FAST_CLOCK, Fault.SLOW_CLOCK):
        servers.faults.set(fault, times=1)
        shown.append(answered_at(answer(servers.urls["binance"], PATHS["binance"])[1]))
    assert shown == [START + 7 * HOUR, START + 4 * HOUR]
