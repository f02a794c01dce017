from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dexml.data.feeds.venues import VENUES
from dexml.data.quotes import USD_FOR_USDT, market_at, quote_at
from dexml.data.storage.store import Store
from tests.random_walk import some_bars


def test_only_exchanges_dexml_knows_stand_in_with_dollars() -> None:
    assert set(VENUES) >= USD_FOR_USDT
    assert [
        market_at(venue, "BTC/USDT") for venue in ("binance", "kraken", "coinbaseexchange")
    ] == [
        "BTC/USDT",
        "BTC/USD",
        "BTC/USD",
    ]
    assert {market_at(venue, "BTC/EUR") for venue in VENUES} == {"BTC/EUR"}


def test_an_exchange_of_ones_own_is_read_and_consolidated_in_the_currency_it_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, bars = Store(tmp_path), some_bars("BTC/USDT", 100)
    rise = {name: getattr(bars, name) * 1.02 for name in ("open", "high", "low", "close")}
    store.append_bars("binance", bars)
    store.append_bars("mine", replace(bars, **rise))
    apart = store.history(("binance", "mine"), ("BTC/USDT",), "1h").bars["BTC/USDT"]
    monkeypatch.setattr("dexml.data.quotes.USD_FOR_USDT", {*USD_FOR_USDT, "mine"})
    again = Store(tmp_path).history(("binance", "mine"), ("BTC/USDT",), "1h").bars["BTC/USDT"]
    assert quote_at("mine", "BTC/USDT") == "USD"
    assert not np.allclose(apart.close, bars.close, rtol=1e-3)
    np.testing.assert_allclose(again.close, bars.close, rtol=1e-9)  # a premium of 2% is a basis
