"""What people are told of the data is what the policy hears."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from dexml.data.health import unwell
from dexml.data.standing import standings
from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe, to_datetime, to_datetime64
from tests.random_walk import some_bars

NAMES = ("BTC/USDT", "ETH/USDT")


def spoilt(bars: Bars, row: int) -> Bars:
    """Return the bars with a price a thousand times too high in one row."""
    columns = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
    for values in columns.values():
        values[row] *= 1_000.0
    return replace(bars, **columns)


def test_a_sound_series_is_healthy_and_a_spoilt_bar_is_told(tmp_path: Path) -> None:
    store, whole = Store(tmp_path), {name: some_bars(name, 200) for name in NAMES}
    for venue in ("binance", "kraken"):
        store.append_bars(venue, whole["BTC/USDT"])
        store.append_bars(venue, spoilt(whole["ETH/USDT"], -1))
    btc, eth = standings(store, to_datetime(whole["BTC/USDT"].closed_at[-1]))
    assert (btc.instrument, btc.timeframe, btc.venues) == ("BTC/USDT", "1h", ("binance", "kraken"))
    assert (btc.health, btc.in_quarantine, btc.reason, btc.bars_in_quarantine) == (1, False, "", 0)
    assert (eth.health, eth.in_quarantine, eth.bars_in_quarantine) == (23 / 24, True, 2)
    assert "price" in eth.reason
    assert eth.row()["closed_at"] == btc.row()["closed_at"] == "2024-01-09T08:00:00+00:00"


def test_an_instrument_is_judged_at_its_own_last_close_or_at_one_that_is_given(
    tmp_path: Path,
) -> None:
    store, bars = Store(tmp_path), some_bars("BTC/USDT", 200)
    store.append_bars("binance", bars)
    last = to_datetime(bars.closed_at[-1])
    assert [one.health for one in standings(store)] == [1.0]
    (late,) = standings(store, last + timedelta(hours=3))
    assert (late.health, late.in_quarantine, late.reason) == (21 / 24, True, "no bar")
    (before,) = standings(store, last - timedelta(hours=50))
    assert (before.health, before.closed_at) == (1.0, last - timedelta(hours=50))
    assert standings(store, last, ["ETH/USDT"]) == []


def test_it_is_what_the_policy_hears(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed, name in enumerate(NAMES):
        holes = np.random.default_rng(seed).random(300) < (0.02 if seed else 0.1)
        frame = some_bars(name, 300, seed).frame()[~holes]
        store.append_bars("binance", Bars.from_frame(name, Timeframe.H1, frame))
    history = store.history(("binance",), NAMES, "1h")
    refused = {name: store.refused(("binance",), name, "1h") for name in NAMES}
    first = to_datetime(history.bars["BTC/USDT"].closed_at[100])
    found = set()
    for hour in range(0, 150, 7):
        at = first + timedelta(hours=hour)
        seen = {one.instrument: one.reason for one in standings(store, at) if one.in_quarantine}
        assert seen == unwell(history.until(to_datetime64(at)), to_datetime64(at), refused)
        found |= set(seen.items())
    assert len(found) > 1


def test_an_empty_store_says_nothing(tmp_path: Path) -> None:
    assert standings(Store(tmp_path / "none")) == []
