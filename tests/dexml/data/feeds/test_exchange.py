"""Unmodified ccxt drivers against local servers: bits, closing stamps, holes, faults."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from aiohttp import web

from dexml.clock import SimulatedClock
from dexml.data.feeds.exchange import ExchangeFeed
from dexml.data.http import Patience
from dexml.domain import PRICE_COLUMNS, Bars, History, Timeframe, to_datetime
from dexml.errors import ConfigError
from dexml.simulation.exchanges import ExchangeServers
from dexml.simulation.exchanges.server import LocalServers, stamped
from tests.random_walk import some_bars

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NAMES = ("BTC/USDT", "DOGE/USDT", "SOL/USDT")
VENUES = ("binance", "kraken", "coinbaseexchange")
HASTY = Patience(sleep=lambda _s: None, jitter=random.Random(0))


def without(bars: Bars, rows: slice) -> Bars:
    keep = np.ones(len(bars), dtype=bool)
    keep[rows] = False
    return Bars.from_frame(bars.instrument, bars.timeframe, bars.frame()[keep])


def assert_same_bits(got: Bars, wanted: Bars) -> None:
    assert np.array_equal(got.closed_at, wanted.closed_at)
    for column in PRICE_COLUMNS:
        assert getattr(got, column).tobytes() == getattr(wanted, column).tobytes(), column


def feed_of(venue: str, url: str, names: tuple[str, ...] = NAMES) -> ExchangeFeed:
    return ExchangeFeed(venue, url, names, Timeframe.H1, timeout_s=2.0, patience=HASTY)


@pytest.mark.parametrize("venue", ["binance", "coinbaseexchange"])
def test_a_backfill_gives_the_planted_bars_to_the_bit(venue: str) -> None:
    bars = {name: some_bars(name, 3_000, seed) for seed, name in enumerate(NAMES)}
    now = START + timedelta(hours=2_500, minutes=30)
    with ExchangeServers(History(bars=bars), SimulatedClock(now)) as servers:
        update = feed_of(venue, servers.urls[venue]).backfill(START, now)
    assert (update.failed, set(update.closed)) == ({}, set(NAMES))
    for name in NAMES:
        assert_same_bits(update.closed[name], bars[name].take(slice(0, 2_500)))
        assert update.prices[name] == bars[name].open[2_500]
        assert update.holes[name] == update.refused[name] == ()


def test_kraken_gives_720_bars_and_says_what_is_missing() -> None:
    bars = {name: some_bars(name, 1_000) for name in NAMES}
    now = START + 900 * HOUR
    with ExchangeServers(History(bars=bars), SimulatedClock(now)) as servers:
        update = feed_of("kraken", servers.urls["kraken"]).backfill(START, now)
    assert_same_bits(update.closed["DOGE/USDT"], bars["DOGE/USDT"].take(slice(180, 900)))
    (hole,) = update.holes["DOGE/USDT"]
    assert (hole.first, hole.last, hole.n_bars) == (START + HOUR, START + 180 * HOUR, 180)
    assert "last 720" in hole.reason
    assert "--trades" in hole.reason


@pytest.mark.parametrize("venue", VENUES)
def test_the_open_bar_never_counts_as_closed(venue: str) -> None:
    bars = {name: some_bars(name, 60) for name in NAMES}
    clock = SimulatedClock(START + 40 * HOUR)
    with ExchangeServers(History(bars=bars), clock) as servers:
        feed = feed_of(venue, servers.urls[venue])
        for minute in range(0, 240, 20):
            update = feed.poll(dict.fromkeys(NAMES, START + 38 * HOUR))
            n_closed = 40 + minute // 60
            assert to_datetime(update.closed["BTC/USDT"].closed_at[-1]) == START + n_closed * HOUR
            assert_same_bits(update.closed["BTC/USDT"], bars["BTC/USDT"].take(slice(38, n_closed)))
            assert update.prices["BTC/USDT"] == bars["BTC/USDT"].open[n_closed]
            clock.advance(timedelta(minutes=20))


@pytest.mark.parametrize("venue", VENUES)
def test_the_last_bar_of_a_quiet_market_is_closed_by_the_exchanges_clock(venue: str) -> None:
    bars = {"BTC/USDT": some_bars("BTC/USDT", 10)}
    clock = SimulatedClock(START + 10 * HOUR)
    with ExchangeServers(History(bars=bars), clock) as servers:
        feed = feed_of(venue, servers.urls[venue], ("BTC/USDT",))
        assert len(feed.poll({"BTC/USDT": START}).closed["BTC/USDT"]) == 9
        clock.advance(timedelta(seconds=2))
        update = feed.poll({"BTC/USDT": START})
    assert_same_bits(update.closed["BTC/USDT"], bars["BTC/USDT"])
    assert update.prices == {}


@pytest.mark.parametrize("venue", ["binance", "coinbaseexchange"])
def test_a_long_outage_is_a_hole_and_does_not_end_the_backfill(venue: str) -> None:
    bars = {"BTC/USDT": without(some_bars("BTC/USDT", 1_500), slice(100, 900))}
    now = START + 1_400 * HOUR
    with ExchangeServers(History(bars=bars), SimulatedClock(now)) as servers:
        update = feed_of(venue, servers.urls[venue], ("BTC/USDT",)).backfill(START, now)
    assert_same_bits(update.closed["BTC/USDT"], bars["BTC/USDT"].take(slice(0, 600)))
    (hole,) = update.holes["BTC/USDT"]
    assert (hole.first, hole.last) == (START + 101 * HOUR, START + 900 * HOUR)


def test_since_and_until_are_closes_and_need_no_round_hour() -> None:
    bars = {"BTC/USDT": some_bars("BTC/USDT", 50)}
    with ExchangeServers(History(bars=bars), SimulatedClock(START + 45 * HOUR)) as servers:
        feed = feed_of("binance", servers.urls["binance"], ("BTC/USDT",))
        whole = feed.backfill(START + 10 * HOUR, START + 12 * HOUR).closed["BTC/USDT"]
        broken = feed.backfill(START + timedelta(hours=9.5), START + timedelta(hours=12.5)).closed[
            "BTC/USDT"
        ]
    assert_same_bits(whole, bars["BTC/USDT"].take(slice(10, 12)))
    assert_same_bits(broken, bars["BTC/USDT"].take(slice(9, 12)))


def test_an_instrument_that_is_not_listed_fails_alone_and_by_name() -> None:
    bars = {"BTC/USDT": some_bars("BTC/USDT", 10)}
    with ExchangeServers(History(bars=bars), SimulatedClock(START + 9 * HOUR)) as servers:
        feed = feed_of("binance", servers.urls["binance"], ("BTC/USDT", "ETH/USDT"))
        update = feed.poll({})
    assert len(update.closed["BTC/USDT"]) == 9
    assert "ETH/USDT" in update.failed["ETH/USDT"]


def test_an_unknown_exchange_is_refused() -> None:
    with pytest.raises(ConfigError, match="binance, coinbaseexchange, kraken"):
        feed_of("mtgox", "http://127.0.0.1:1")


@pytest.mark.shared
def test_recorded_bars_come_back_to_the_bit(shared: Path) -> None:
    frame = pd.read_parquet(shared / "data/ohlcv_1h/binance_spot/SOLUSDT.parquet")[2_000:5_000]
    frame = frame.set_index(pd.DatetimeIndex(frame["timestamp_utc"]) + pd.Timedelta("1h"))
    bars = {"SOL/USDT": Bars.from_frame("SOL/USDT", Timeframe.H1, frame)}
    first, last = (to_datetime(bars["SOL/USDT"].closed_at[i]) for i in (0, -1))
    with ExchangeServers(History(bars=bars), SimulatedClock(last + HOUR)) as servers:
        for venue in ("binance", "coinbaseexchange"):
            feed = feed_of(venue, servers.urls[venue], ("SOL/USDT",))
            update = feed.backfill(first - HOUR, last)
            assert_same_bits(update.closed["SOL/USDT"], bars["SOL/USDT"])


@pytest.mark.shared
def test_krakens_own_answer_is_read_as_720_closed_bars_and_an_open_one(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dexml.data.quotes.USD_FOR_USDT", set())  # it is of the market in tethers
    folder = shared / "data/raw_captures/nautilus/kraken"
    body = next(folder.glob("**/http_ohlc.json")).read_text()
    pairs = {"XXBTZUSD": pair("XBTUSD", "XXBT"), "XBTUSDT": pair("XBTUSDT", "XXBT", "USDT")}

    def answer(path: str) -> str:
        return body if path.endswith("OHLC") else kraken_lists(path, pairs)

    clock = SimulatedClock(datetime(2026, 1, 1, tzinfo=UTC))
    with faulty(answer, clock) as url:
        feed = ExchangeFeed("kraken", url, ("BTC/USDT",), Timeframe.M1, patience=HASTY)
        feed.venue = replace(feed.venue, keeps=None)
        bars = feed.poll({}).closed["BTC/USDT"]
    assert len(bars) == 721  # all are closed long ago by the clock of this server
    assert to_datetime(bars.closed_at[0]) == datetime(2025, 11, 10, 12, 18, tzinfo=UTC)


def pair(alternative: str, base: str, quote: str = "ZUSD") -> dict[str, object]:
    return {
        "altname": alternative,
        "base": base,
        "quote": quote,
        "pair_decimals": 5,
        "lot_decimals": 8,
        "status": "online",
    }


def kraken_lists(path: str, pairs: dict[str, dict[str, object]]) -> str:
    import json

    short = {"XXBT": "XBT", "ZUSD": "USD", "USDT": "USDT"}
    assets = {
        name: {"aclass": "currency", "altname": text, "decimals": 10, "display_decimals": 5}
        for name, text in short.items()
    }
    result = assets if path.endswith("/Assets") else pairs
    return json.dumps({"error": [], "result": result})


@contextmanager
def faulty(answer: Callable[[str], str | web.Response], clock: SimulatedClock) -> Iterator[str]:
    async def handle(request: web.Request) -> web.Response:
        answered = answer(request.path)
        return answered if isinstance(answered, web.Response) else web.Response(text=answered)

    routes = [web.get("/{path:.*}", handle)]
    with LocalServers({"faulty": stamped(routes, clock)}) as servers:
        yield servers.urls["faulty"]
