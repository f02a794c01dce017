"""The wire formats, read with plain HTTP; the drivers read them in tests/dexml/data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from dexml.clock import SimulatedClock
from dexml.data.http import answered_at, get
from dexml.domain import Bars, History
from dexml.errors import DataError
from dexml.simulation.exchanges import ExchangeServers
from tests.random_walk import some_bars

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def some_news() -> pd.DataFrame:
    published = pd.date_range(START, periods=3, freq="h").as_unit("ns")
    return pd.DataFrame(
        {
            "published_at": published,
            "known_at": published + pd.Timedelta("5min"),
            "source": "Wire",
            "title": ["Bitcoin rallies & <gains>", "Fees fall", "Ether drops"],
            "instruments": ["BTC/USDT", "", "ETH/USDT BTC/USDT"],
            "score": 0.0,
        }
    )


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START + timedelta(hours=900, minutes=20))


@pytest.fixture
def bars() -> dict[str, Bars]:
    return {name: some_bars(name, 1_000, i) for i, name in enumerate(("BTC/USDT", "ETH/USDT"))}


@pytest.fixture
def urls(bars: dict[str, Bars], clock: SimulatedClock) -> Iterator[dict[str, str]]:
    with ExchangeServers(History(bars=bars, news=some_news()), clock) as servers:
        yield servers.urls


def ask(url: str, **query: str) -> Any:
    return json.loads(get(url, query).body)


def test_the_open_bar_is_last_and_shows_only_its_opening_price(
    urls: dict[str, str], bars: dict[str, Bars]
) -> None:
    rows = ask(urls["binance"] + "/api/v3/klines", symbol="BTCUSDT", interval="1h")
    assert len(rows) == 500
    price = repr(float(bars["BTC/USDT"].open[900]))
    assert rows[-1][1:6] == [price, price, price, price, "0.0"]
    assert rows[-1][0] == (START + 900 * HOUR).timestamp() * 1_000
    assert rows[-2][4] == repr(float(bars["BTC/USDT"].close[899]))


def test_a_bar_appears_open_at_its_first_instant_and_closed_at_its_last(
    bars: dict[str, Bars],
) -> None:
    clock = SimulatedClock(START)
    with ExchangeServers(History(bars=bars), clock) as servers:
        url = servers.urls["binance"] + "/api/v3/klines"
        assert len(ask(url, symbol="BTCUSDT", interval="1h")) == 1
        clock.advance(HOUR - timedelta(microseconds=1))
        assert ask(url, symbol="BTCUSDT", interval="1h")[-1][5] == "0.0"
        clock.advance(timedelta(microseconds=1))
        rows = ask(url, symbol="BTCUSDT", interval="1h")
        assert [row[5] for row in rows] == [repr(float(bars["BTC/USDT"].volume[0])), "0.0"]


def test_kraken_shows_its_last_720_closed_bars_whatever_is_asked(urls: dict[str, str]) -> None:
    answer = ask(urls["kraken"] + "/0/public/OHLC", pair="XXBTZUSD", interval="60", since="0")
    rows = answer["result"]["XXBTZUSD"]
    assert len(rows) == 721
    assert rows[0][0] == (START + 180 * HOUR).timestamp()
    assert answer["result"]["last"] == rows[-2][0]


def test_coinbase_gives_300_candles_newest_first_low_before_high(
    urls: dict[str, str], bars: dict[str, Bars]
) -> None:
    url = urls["coinbaseexchange"] + "/products/ETH-USD/candles"
    rows = ask(url, granularity="3600")
    assert len(rows) == 300
    bar = bars["ETH/USDT"].bar(899)
    assert rows[1][1:] == [bar.low, bar.high, bar.open, bar.close, bar.volume]
    with pytest.raises(DataError, match="400"):
        get(url, {"granularity": "3600", "start": "2024-01-01", "end": "2024-02-01"})


def test_faults_read_as_the_exchanges_word_them(urls: dict[str, str]) -> None:
    answer = ask(urls["kraken"] + "/0/public/OHLC", pair="NOPE", interval="60")
    assert answer == {"error": ["EQuery:Unknown asset pair"]}
    with pytest.raises(DataError, match="400"):
        get(urls["binance"] + "/api/v3/klines", {"symbol": "NOPE", "interval": "1h"})


def test_answers_carry_the_clocks_time(urls: dict[str, str], clock: SimulatedClock) -> None:
    assert answered_at(get(urls["macro"] + "/fng/").headers) == clock.now()


def test_headlines_appear_when_they_become_known(bars: dict[str, Bars]) -> None:
    clock = SimulatedClock(START + timedelta(minutes=4))
    with ExchangeServers(History(bars=bars, news=some_news()), clock) as servers:
        assert b"<item>" not in get(servers.urls["news"]).body
        clock.advance(timedelta(minutes=1))
        assert get(servers.urls["news"]).body.count(b"<item>") == 1
        clock.advance(timedelta(hours=9))
        assert get(servers.urls["news"]).body.count(b"<item>") == 3
        since = {"since": (START + HOUR).isoformat()}
        assert get(servers.urls["news"], since).body.count(b"<item>") == 2


def test_ports_are_free_again_afterwards(bars: dict[str, Bars]) -> None:
    with ExchangeServers(History(bars=bars), SimulatedClock(START)) as servers:
        url = servers.urls["macro"]
    with pytest.raises(DataError, match="must answer"):
        get(url + "/fng/", timeout_s=1.0)
