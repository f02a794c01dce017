"""A bar that the next one shows to have jumped alone is no longer believed, from then on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dexml.data.feeds.keeping import Keeper
from dexml.data.storage.joining import join
from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe, to_datetime
from dexml.features.current import CurrentPanel
from dexml.features.panel import build_panel
from dexml.simulation.market import MarketConfig, plant
from tests.random_walk import some_bars

BTC, ETH = "BTC/USDT", "ETH/USDT"
SPIKE = 20
PROMPT = timedelta(seconds=2)


def spiked(bars: Bars, row: int = SPIKE, factor: float = 10.0) -> Bars:
    columns = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
    for values in columns.values():
        values[row] *= factor
    return replace(bars, **columns)


TRUE = some_bars(BTC, 60)
BARS = spiked(TRUE)


def closed(bar: int) -> datetime:
    return to_datetime(BARS.closed_at[bar])


def hear(store: Store, bars: Bars, rows: Sequence[int], overlap: int = 0) -> int:
    """As a feed does that reads some bars again each time."""
    n_new = 0
    for row in rows:
        page = bars.take(slice(max(0, row - overlap), row + 1))
        n_new += store.append_closes("binance", {BTC: page}, closed(row) + PROMPT, live=True)
    return n_new


def stamps(store: Store, as_of: datetime | None = None) -> list[int]:
    found = store.bars("binance", BTC, "1h", as_of=as_of).closed_at
    return [int(row) for row in np.searchsorted(BARS.closed_at, found)]


@pytest.mark.parametrize("factor", [3.2, 30.0, 0.2])
def test_the_next_bar_withdraws_it_and_nobody_reads_it_any_more(
    tmp_path: Path, factor: float
) -> None:
    store, bars = Store(tmp_path), spiked(TRUE, factor=factor)
    assert hear(store, bars, range(SPIKE + 1)) == SPIKE + 1
    assert stamps(store)[-1] == SPIKE  # nobody can know yet
    assert hear(store, bars, range(SPIKE + 1, 30)) == 30 - SPIKE - 1
    rest = [row for row in range(30) if row != SPIKE]
    for reader in (store, Store(tmp_path)):
        assert stamps(reader) == rest
        assert len(reader.recent("binance", BTC, "1h", 12)) >= 12
        assert closed(SPIKE) not in reader.recent("binance", BTC, "1h", 12).frame().index
        assert stamps(reader, closed(SPIKE) + PROMPT)[-1] == SPIKE  # what was read is read so
        proven = closed(SPIKE + 1)  # as the bar that proves it
        assert SPIKE in stamps(reader, proven - timedelta(microseconds=1))
        assert SPIKE not in stamps(reader, proven)
    aside = store.quarantine("binance", BTC, "1h")
    assert aside["reason"].tolist() == ["price jump for one bar"]
    assert aside["close"].tolist() == [bars.close[SPIKE]]
    assert aside["known_at"].tolist() == [closed(SPIKE + 1)]


def test_a_late_proof_changes_no_reading_before_it(tmp_path: Path) -> None:
    store, seen_at = Store(tmp_path), closed(SPIKE + 1) + timedelta(minutes=20)
    hear(store, BARS, range(SPIKE + 1))
    store.append_closes("binance", {BTC: BARS.take(slice(SPIKE, SPIKE + 2))}, seen_at, live=True)
    assert stamps(store, seen_at - timedelta(microseconds=1))[-1] == SPIKE
    assert stamps(store, seen_at)[-2:] == [SPIKE - 1, SPIKE + 1]


@pytest.mark.parametrize("compacted", [False, True])
def test_it_does_not_come_back_with_pages_that_overlap_nor_with_history(
    tmp_path: Path, compacted: bool
) -> None:
    store = Store(tmp_path)
    assert hear(store, BARS, range(30), overlap=3) == 30
    if compacted:
        store.compact()
        store = Store(tmp_path)
    assert stamps(store) == [row for row in range(30) if row != SPIKE]
    for rows in (slice(0, 30), slice(SPIKE, SPIKE + 1), slice(SPIKE - 5, SPIKE + 1)):
        assert store.append_bars("binance", BARS.take(rows), closed(29)) == 0
    assert stamps(store) == [row for row in range(30) if row != SPIKE]
    assert len(store.quarantine("binance", BTC, "1h")) == 1


def test_whoever_dies_right_after_the_bars_are_written_leaves_the_reason_too(
    tmp_path: Path,
) -> None:
    child = os.fork()
    if child == 0:
        store = Store(tmp_path)
        hear(store, BARS, range(SPIKE + 1))
        log = store._logs.bars("binance", Timeframe.H1)
        written = log.append
        log.append = lambda rows: (written(rows), os._exit(0))  # type: ignore[assignment]
        hear(store, BARS, [SPIKE + 1])
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    again = Store(tmp_path)
    hear(again, BARS, [SPIKE + 1, SPIKE + 2])
    assert SPIKE not in stamps(again)
    assert again.quarantine("binance", BTC, "1h")["reason"].tolist() == ["price jump for one bar"]


def test_its_correction_takes_its_place(tmp_path: Path) -> None:
    store = Store(tmp_path)
    hear(store, BARS, range(30))
    seen_at = closed(29) + timedelta(minutes=5)
    assert store.append_bars("binance", TRUE.take(slice(SPIKE, SPIKE + 1)), seen_at) == 1
    for reader in (store, Store(tmp_path)):
        assert reader.bars("binance", BTC, "1h").frame().equals(TRUE.take(slice(0, 30)).frame())
        assert SPIKE not in stamps(reader, seen_at - timedelta(microseconds=1))


def test_a_revision_that_jumps_alone_does_not_replace_what_is_stored(tmp_path: Path) -> None:
    store = Store(tmp_path)
    hear(store, TRUE, range(30))
    assert store.append_bars("binance", BARS.take(slice(0, 30)), closed(29)) == 0
    assert store.bars("binance", BTC, "1h").frame().equals(TRUE.take(slice(0, 30)).frame())


def test_a_crash_that_stays_is_data(tmp_path: Path) -> None:
    store, crash = Store(tmp_path), TRUE
    for row in range(SPIKE, 60):
        crash = spiked(crash, row, 0.2)
    assert hear(store, crash, range(60)) == 60
    assert len(stamps(store)) == 60


def test_what_is_stored_in_the_end_is_what_history_would_have_stored(tmp_path: Path) -> None:
    bars = TRUE
    for row, factor in ((10, 5.0), (12, 0.1), (13, 4.0), (30, 10.0), (32, 10.0), (57, 20.0)):
        bars = spiked(bars, row, factor)
    at_once, live = Store(tmp_path / "history"), Store(tmp_path / "live")
    at_once.append_bars("binance", bars, closed(59))
    hear(live, bars, range(60), overlap=3)
    assert stamps(live) == stamps(at_once)
    assert len(stamps(live)) == 60 - 4  # two that differ from one another prove nothing


def test_a_feed_goes_on_from_its_newest_bar(tmp_path: Path) -> None:
    store = Store(tmp_path)
    hear(store, BARS, range(SPIKE + 2))
    assert Keeper(store, "binance", (BTC,), Timeframe.H1).last == {BTC: closed(SPIKE + 1)}


def test_exchanges_are_joined_anew_from_the_bar_that_went() -> None:
    other, gone = some_bars(BTC, 30, seed=1), np.arange(30) != SPIKE
    whole = BARS.take(slice(0, 30))
    less = Bars.from_frame(BTC, Timeframe.H1, whole.frame()[gone])
    for quotes in ({}, {"kraken": "USD"}):
        for rest in (less, less.take(slice(0, SPIKE))):  # among others, and the last one
            end = len(whole) if rest is less else SPIKE + 1
            before = {"binance": whole.take(slice(0, end)), "kraken": other.take(slice(0, SPIKE))}
            after = before | {"binance": rest}
            made = join({BTC: (before, quotes)}, {})
            joined = join({BTC: (after, quotes)}, made)[BTC]
            anew = join({BTC: (after, quotes)}, {})[BTC]
            assert joined.bars.frame().equals(anew.bars.frame())
            assert joined.closes.equals(anew.closes)


@pytest.mark.parametrize("venues", [("binance",), ("binance", "kraken")])
def test_the_running_panel_has_the_bits_of_the_batch_when_a_bar_went(
    tmp_path: Path, venues: tuple[str, ...]
) -> None:
    n_history, n_bars = 400, 412
    market = plant(MarketConfig(instruments=(BTC, ETH), n_bars=n_bars)).history.bars
    said = {**market, BTC: spiked(market[BTC], n_history + 4)}
    store, panel, seen = Store(tmp_path), CurrentPanel(), {}
    for row in (n_history, *range(n_history + 1, n_bars + 1)):
        for venue in venues:
            source = said if venue == "binance" else market
            page = {name: one.take(slice(max(0, row - 3), row)) for name, one in source.items()}
            if row == n_history:
                page = {name: one.take(slice(0, row)) for name, one in source.items()}
            at, spike = market[BTC].closed_at[[row - 1, n_history + 4]]
            if venue == "kraken":  # one exchange alone told of the bar that goes
                kept = page[BTC].frame()[page[BTC].closed_at != spike]
                page[BTC] = Bars.from_frame(BTC, Timeframe.H1, kept)
            store.append_closes(venue, page, to_datetime(at) + PROMPT, live=row > n_history)
        history = seen[at] = store.history(venues, (BTC, ETH), "1h")
        rows = panel.rows(history, at)
        batch = build_panel(history.until(at)).loc[[pd.Timestamp(at, tz="UTC")]]
        pd.testing.assert_frame_equal(rows, batch, check_exact=True)
    assert len(store.bars("binance", BTC, "1h")) == n_bars - 1
    assert panel.n_opened == 1
    assert panel.n_reopened >= 1
    for at, then in seen.items():  # a replay reads what was known at each close
        again = Store(tmp_path).history(venues, (BTC, ETH), "1h", as_of=to_datetime(at))
        for name, bars in then.until(at).bars.items():
            assert again.until(at).bars[name].frame().equals(bars.frame())
