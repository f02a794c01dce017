"""What a store tells of several exchanges at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from dexml.data.health import unwell
from dexml.data.storage.store import Store
from dexml.domain import Timeframe
from dexml.errors import DataError
from dexml.simulation.market import MarketConfig, plant
from tests.dexml.data.storage.test_store import make, same


def test_a_history_holds_what_the_venues_agree_on_and_the_close_at_each(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append_bars("binance", make(2))
    store.append_bars("recorded", make(4, price=500.0))
    history = store.history(["binance", "recorded"], ["BTC/USDT"], "1h")
    assert history.bars["BTC/USDT"].close.tolist() == [300.0, 301.0, 502.0, 503.0]
    closes = history.venue_closes["BTC/USDT"]
    assert closes["recorded"].tolist() == [500.0, 501.0, 502.0, 503.0]
    assert closes["binance"].isna().tolist() == [False, False, True, True]
    assert history.news.empty
    with pytest.raises(DataError, match="must hold 1h bars of ETH/USDT"):
        store.history(["binance"], ["ETH/USDT"], "1h")
    assert store.series() == [
        ("binance", "BTC/USDT", Timeframe.H1),
        ("recorded", "BTC/USDT", Timeframe.H1),
    ]


def test_exchanges_that_serve_one_market_give_that_market_to_the_bit(tmp_path: Path) -> None:
    market = plant(MarketConfig(n_bars=900)).history.bars
    store = Store(tmp_path)
    for bars in market.values():
        for venue, first in (("coinbaseexchange", 0), ("binance", 100), ("kraken", 180)):
            store.append_bars(venue, bars.take(slice(first, None)))
    venues = ["binance", "kraken", "coinbaseexchange"]
    history = store.history(venues, list(market), "1h")
    for name, bars in market.items():
        assert same(history.bars[name], bars)
    assert unwell(history, market["BTC/USDT"].closed_at[-1]) == {}


def test_one_venue_passes_untouched_and_tells_no_closes_apart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append_bars("binance", make(5))
    history = store.history(["binance", "kraken"], ["BTC/USDT"], "1h")
    assert same(history.bars["BTC/USDT"], make(5))
    assert history.venue_closes == {}


def test_a_history_follows_what_is_appended_and_reads_as_of_any_instant(tmp_path: Path) -> None:
    writer, reader = Store(tmp_path), Store(tmp_path)
    venues = ["binance", "kraken"]
    for venue in venues:
        writer.append_bars(venue, make(3))
    assert len(reader.history(venues, ["BTC/USDT"], "1h").bars["BTC/USDT"]) == 3
    writer.append_bars("kraken", make(1, start=3))
    early = reader.history(venues, ["BTC/USDT"], "1h", as_of=datetime(2024, 1, 1, 2, tzinfo=UTC))
    assert same(early.bars["BTC/USDT"], make(2))
    assert same(reader.history(venues, ["BTC/USDT"], "1h").bars["BTC/USDT"], make(4))


def test_dollars_and_tethers_are_never_silently_the_same(tmp_path: Path) -> None:
    store = Store(tmp_path)
    dollars = replace(make(30, price=99.0), instrument="BTC/USD", volume=np.full(30, 9.0))
    store.append_bars("bitstamp", dollars)
    with pytest.raises(DataError, match="must hold 1h bars of BTC/USDT"):
        store.history(["bitstamp"], ["BTC/USDT"], "1h")
    store.append_bars("binance", make(30))
    history = store.history(["binance", "bitstamp"], ["BTC/USDT"], "1h")
    # as much as the last 24 closes say a dollar is worth in tethers
    away = history.bars["BTC/USDT"].close / make(30).close - 1
    assert np.abs(away).max() < 0.002
    assert history.venue_closes["BTC/USDT"]["bitstamp"].tolist() == dollars.close.tolist()
