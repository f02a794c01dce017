"""What people are told of the data is what the policy hears."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.data.health import health_at, reasons, unwell
from dexml.data.standing import standings
from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe, to_datetime, to_datetime64
from dexml.status import data_lines
from dexml.universe import Listing, UniverseConfig
from tests.file_events import asked_of
from tests.random_walk import some_bars

HOUR = timedelta(hours=1)

NAMES = ("BTC/USDT", "ETH/USDT")
START = datetime(2024, 1, 2, tzinfo=UTC)
VENUES = ("binance", "kraken", "recorded")


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


def test_for_live_use_data_are_judged_at_the_present(tmp_path: Path) -> None:
    store, bars = Store(tmp_path), some_bars("BTC/USDT", 200)
    store.append_bars("binance", bars)
    last = to_datetime(bars.closed_at[-1])
    (prompt,) = standings(store, now=last + timedelta(minutes=59))
    assert prompt.live is not None
    assert (prompt.live.health, prompt.live.age_s, prompt.live.closed_at) == (1.0, 3_540.0, last)
    # the bar that closes now may take a moment to come
    (same,) = standings(store, now=last + timedelta(hours=1, seconds=5))
    assert same.live is not None
    assert same.live.health == 1.0
    (dead,) = standings(store, now=last + timedelta(days=1_059))
    assert (dead.health, dead.in_quarantine, dead.newest_at) == (1.0, False, last)
    assert dead.live is not None
    assert (dead.live.health, dead.live.in_quarantine, dead.live.reason) == (0.0, True, "no bar")
    row = json.loads(json.dumps(dead.row()))
    assert row["live"]["age_s"] == 1_059 * 86_400
    (untold,) = standings(store)
    assert (untold.live, untold.row()["live"]) == (None, None)


def test_a_last_bar_that_was_refused_is_the_end_of_the_data(tmp_path: Path) -> None:
    store, bars = Store(tmp_path), some_bars("BTC/USDT", 200)
    store.append_bars("binance", spoilt(bars, -1))
    (found,) = standings(store)
    assert found.closed_at == to_datetime(bars.closed_at[-1])
    assert found.newest_at == to_datetime(bars.closed_at[-2])
    assert (found.health, found.in_quarantine, found.reason) == (23 / 24, True, "price jump")
    assert found.refused == {"price jump": 1}


def test_a_stray_stamp_is_no_end_of_the_data(tmp_path: Path) -> None:
    store, bars = Store(tmp_path), some_bars("BTC/USDT", 200)
    store.append_bars("binance", bars)
    last = pd.Timestamp(to_datetime(bars.closed_at[-1]))
    far = [last + pd.Timedelta(days=300), last + pd.Timedelta(minutes=90)]
    rows = bars.frame().iloc[:2].assign(closed_at=far, reason="not a number")
    store.set_aside("binance", "BTC/USDT", "1h", rows, datetime(2026, 1, 1, tzinfo=UTC))
    (found,) = standings(store)
    assert (found.closed_at, found.health, found.bars_in_quarantine) == (last, 1.0, 2)


def test_an_instrument_of_which_nothing_was_believed_is_told_too(tmp_path: Path) -> None:
    store, bars = Store(tmp_path), some_bars("BTC/USDT", 2)
    rows = bars.frame().reset_index().assign(close=np.nan, reason="not a number")
    store.set_aside("kraken", "BTC/USDT", "1h", rows, to_datetime(bars.closed_at[-1]))
    (found,) = standings(store, now=to_datetime(bars.closed_at[-1]))
    assert (found.venues, found.newest_at, found.refused) == (
        ("kraken",),
        None,
        {"not a number": 2},
    )
    assert (found.health, found.in_quarantine, found.reason) == (0.0, True, "not a number")
    assert found.live is not None
    assert found.live.age_s is None
    assert "health 0.00 now, no new risk (not a number), no bar;" in "".join(
        data_lines([found.row()])
    )


def test_a_torn_file_is_named_until_it_is_deleted(tmp_path: Path) -> None:
    store, bars = Store(tmp_path), some_bars("BTC/USDT", 200)
    store.append_bars("binance", bars.take(slice(0, 100)))
    store.append_bars("kraken", bars.take(slice(0, 100)))
    store.append_bars("binance", bars.take(slice(100, 200)))
    last = max((tmp_path / "arrivals/binance").rglob("*.arrow"))
    last.write_bytes(last.read_bytes()[:100])
    (found,) = standings(Store(tmp_path))
    assert found.torn == (last.relative_to(tmp_path).as_posix(),)
    (line,) = [line for line in data_lines([found.row()]) if "torn" in line]
    assert found.torn[0] in line
    Store(tmp_path).append_bars("binance", bars.take(slice(100, 200)))
    (again,) = standings(Store(tmp_path))
    assert again.torn == (found.torn[0].removesuffix(".arrow") + ".torn",)
    assert again.newest_at == to_datetime(bars.closed_at[-1])
    (tmp_path / again.torn[0]).unlink()
    assert standings(Store(tmp_path))[0].torn == ()


def test_it_is_what_the_policy_hears(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed, name in enumerate(NAMES):
        holes = np.random.default_rng(seed).random(300) < (0.02 if seed else 0.1)
        frame = some_bars(name, 300, seed).frame()[~holes]
        store.append_bars("binance", Bars.from_frame(name, Timeframe.H1, frame))
    history = store.history(("binance",), NAMES, "1h")
    first = to_datetime(history.bars["BTC/USDT"].closed_at[100])
    found = set()
    for hour in range(0, 150, 7):
        at = first + timedelta(hours=hour)
        seen = {one.instrument: one.reason for one in standings(store, at) if one.in_quarantine}
        assert seen == unwell(history.until(to_datetime64(at)), to_datetime64(at))
        found |= set(seen.items())
    assert len(found) > 1


@given(
    st.lists(st.tuples(st.integers(0, 199), st.integers(0, 120)), min_size=1, max_size=3),
    st.none() | st.integers(-5, 220),
    st.booleans(),
)
@settings(max_examples=10, deadline=None)
def test_what_is_read_of_the_last_months_says_what_all_of_history_does(
    holes: list[tuple[int, int]], at: int | None, folded: bool
) -> None:
    with TemporaryDirectory() as folder:
        store, whole = Store(folder), some_bars("BTC/USDT", 200, timeframe=Timeframe.D1)
        for k, (first, n_missing) in enumerate(holes):
            kept = np.delete(np.arange(200), slice(first, first + n_missing))
            store.append_bars(VENUES[k], spoilt(whole.take(kept), -1 - 30 * k))
        if folded:
            store.compact()
        instant = None if at is None else START + at * timedelta(days=1)
        (found,) = standings(Store(folder), instant)
        history = store.history(VENUES[: len(holes)], ("BTC/USDT",), "1d")
        bars, closes = history.bars["BTC/USDT"], history.venue_closes.get("BTC/USDT")
        last = max([bars.closed_at[-1], *reasons(history.refused, "BTC/USDT")])
        close = last if instant is None else to_datetime64(instant)
        known = None if closes is None else closes.loc[: pd.Timestamp(close, tz="UTC")]
        judged = health_at(bars.until(close), close, reasons(history.refused, "BTC/USDT"), known)
    assert (found.health, found.in_quarantine, found.reason) == (
        judged.score,
        judged.quarantined,
        judged.reason,
    )


def test_of_a_long_history_only_the_last_months_are_read(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append_bars("binance", some_bars("BTC/USDT", 9_000))
    store.compact()
    with asked_of(tmp_path / "bars") as asked:
        (found,) = standings(Store(tmp_path))
    read = [one for one in asked if one.endswith(".parquet")]
    assert len(list(tmp_path.rglob("*.parquet"))) == 13
    assert 1 <= len(read) <= 2
    assert (found.health, found.closed_at.isoformat()) == (1.0, "2025-01-10T00:00:00+00:00")


def test_an_empty_store_says_nothing(tmp_path: Path) -> None:
    assert standings(Store(tmp_path / "none")) == []


def test_without_a_run_it_is_told_who_is_no_member_of_the_universe(tmp_path: Path) -> None:
    store, bars = Store(tmp_path), some_bars("BTC/USDT", 800)
    store.append_bars("binance", bars)
    end = to_datetime(bars.closed_at[-1])
    gone = Listing(
        instrument="BTC/USDT", listed_at=end - timedelta(days=20), delisted_at=end - HOUR
    )
    traded = float(np.median((bars.close * bars.volume)[-720:]))
    for config, why in (
        (UniverseConfig(), ""),
        (UniverseConfig(listings=(gone,)), "not listed"),
        (UniverseConfig(min_quote_volume=0.9 * traded), ""),
        (UniverseConfig(min_quote_volume=1.1 * traded), "is the least"),
        (UniverseConfig(min_quote_volume=0.9 * traded, window_hours=900), "known for less than"),
    ):
        (found,) = standings(Store(tmp_path), now=end + HOUR / 2, universe=config)
        assert found.live is not None
        for told in (found.outside, found.live.outside):
            assert why in told
            assert bool(told) == bool(why)
        (line,) = list(data_lines([found.row()]))[1:]
        assert line.count("not in the universe") == 2 * bool(why)
