from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.data.feeds import backfill
from dexml.data.feeds.backfill import BARS_A_WINDOW, backfill_bars
from dexml.data.feeds.exchange import FeedUpdate, RefusedRow
from dexml.data.feeds.rows import checked
from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe, to_datetime64
from tests.random_walk import some_bars

START = datetime(2024, 1, 1, tzinfo=UTC)
WINDOW = BARS_A_WINDOW * Timeframe.H1.step


class Exchange:
    """Answers nothing in the windows that it is told to be down in."""

    instruments = ("BTC/USDT", "ETH/USDT")
    timeframe = Timeframe.H1

    def __init__(self, down: dict[int, tuple[str, ...]]) -> None:
        self.down, self.asked = down, 0

    def backfill(self, since: datetime, until: datetime) -> FeedUpdate:
        self.asked = round((since - START) / WINDOW) + 1
        failed = dict.fromkeys(self.down.get(self.asked, ()), "binance must answer, was down.")
        return replace(FeedUpdate.empty(), failed=failed)


def asked(folder: Path, down: dict[int, tuple[str, ...]]) -> tuple[int, str]:
    exchange = Exchange(down)
    until = START + 9 * WINDOW
    reports = backfill_bars(exchange, Store(folder), "binance", START, until)
    return exchange.asked, reports["BTC/USDT"].failed


def test_an_exchange_that_is_down_is_not_asked_for_every_window(tmp_path: Path) -> None:
    both = Exchange.instruments
    n_asked, failed = asked(tmp_path, dict.fromkeys(range(3, 10), both))
    ended = START + 4 * WINDOW
    assert n_asked == 4
    assert failed == (
        f"binance must answer, was down. Not asked for what closed after {ended:%Y-%m-%d %H:%M}."
    )


def test_one_failed_window_or_instrument_does_not_end_the_others(tmp_path: Path) -> None:
    one_at_a_time = {2: Exchange.instruments, 4: Exchange.instruments}
    assert asked(tmp_path, one_at_a_time) == (9, "binance must answer, was down.")
    assert asked(tmp_path, dict.fromkeys(range(1, 10), ("BTC/USDT",)))[0] == 9


class Telling(Exchange):
    """Answers the same bars and refused rows in each window."""

    def __init__(self, bars: Bars, refused: tuple[RefusedRow, ...]) -> None:
        super().__init__({})
        self.bars, self.refused = bars, refused

    def backfill(self, since: datetime, until: datetime) -> FeedUpdate:
        return replace(
            FeedUpdate.empty(),
            closed={"BTC/USDT": self.bars},
            refused={"BTC/USDT": self.refused},
            seen_at=until,
        )


def test_refused_rows_and_lone_jumps_of_history_lie_in_quarantine(tmp_path: Path) -> None:
    whole = some_bars("BTC/USDT", 100)
    columns = {name: getattr(whole, name).copy() for name in ("open", "high", "low", "close")}
    for values in columns.values():
        values[40] *= 10.0
    opened_ms = int(whole.closed_at[60].astype(int) // 10**6) - 3_600_000
    refused = checked([[opened_ms, -1.0, 2.0, 0.5, 1.5, 9.0]], 3_600, None, None, None).refused
    store = Store(tmp_path)
    telling = Telling(replace(whole, **columns), tuple(refused))
    told = backfill_bars(telling, store, "binance", START, START + 2 * WINDOW)["BTC/USDT"]
    assert (told.rows, told.stored, told.aside, told.refused) == (200, 99, 2, 2)  # each came twice
    found = store.quarantine("binance", "BTC/USDT", "1h")
    assert found["reason"].tolist() == ["price jump for one bar", "must have positive prices"]
    assert found["close"].tolist() == [columns["close"][40], 1.5]
    assert len(store.bars("binance", "BTC/USDT", "1h")) == 99


class Recorded(Exchange):
    """Answers with the bars of a history, all of one instrument."""

    instruments = ("BTC/USDT",)

    def __init__(self, bars: Bars, down: dict[int, tuple[str, ...]] | None = None) -> None:
        super().__init__(down or {})
        self.bars = bars

    def backfill(self, since: datetime, until: datetime) -> FeedUpdate:
        update = super().backfill(since, until)
        rows = self.bars.until(to_datetime64(until))
        n_before = len(rows.until(to_datetime64(since)))
        if update.failed or n_before == len(rows):
            return update
        closed = {"BTC/USDT": rows.take(slice(n_before, None))}
        return replace(update, closed=closed, seen_at=START + 100 * WINDOW)


def jumping(factors: Sequence[float]) -> Bars:
    """Bars of which each is so many times too high."""
    whole = some_bars("BTC/USDT", len(factors))
    stamps = to_datetime64(START) + np.arange(1, len(factors) + 1) * np.timedelta64(1, "h")
    prices = {name: getattr(whole, name) * factors for name in ("open", "high", "low", "close")}
    return replace(whole, closed_at=stamps.astype("M8[ns]"), **prices)


def left(store: Store) -> tuple[list[int], list[int]]:
    """The places of the bars that are stored, and of those in quarantine."""
    stored = store.bars("binance", "BTC/USDT", "1h").closed_at
    aside = store.quarantine("binance", "BTC/USDT", "1h")["closed_at"]
    stamps = pd.DatetimeIndex(aside).tz_localize(None).to_numpy()
    hour, first = np.timedelta64(1, "h"), to_datetime64(START) + np.timedelta64(1, "h")
    return ((stored - first) // hour).tolist(), sorted(((stamps - first) // hour).tolist())


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from([1.0, 1.0, 1.2, 4.0, 9.0, 0.2]), min_size=8, max_size=24),
    st.integers(1, 24),
)
def test_what_is_stored_does_not_depend_on_where_the_windows_end(
    factors: list[float], n_bars: int
) -> None:
    bars, found = jumping(factors), []
    for length in (len(factors), n_bars):
        with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr(backfill, "BARS_A_WINDOW", length)
            store, until = Store(folder), START + len(bars) * Timeframe.H1.step
            report = backfill_bars(Recorded(bars), store, "binance", START, until)["BTC/USDT"]
            found.append((left(store), report.stored, report.aside))
    assert found[0] == found[1]
    assert report.stored + report.aside == report.rows


def test_the_bar_that_waits_is_stored_when_the_exchange_falls_silent(tmp_path: Path) -> None:
    bars = jumping([1.0] * (9 * BARS_A_WINDOW))
    exchange = Recorded(bars, dict.fromkeys(range(3, 10), ("BTC/USDT",)))
    report = backfill_bars(exchange, Store(tmp_path), "binance", START, START + 9 * WINDOW)
    assert report["BTC/USDT"].stored == 2 * BARS_A_WINDOW
    assert report["BTC/USDT"].failed.endswith(f"after {START + 4 * WINDOW:%Y-%m-%d %H:%M}.")


@pytest.mark.parametrize("first", [40, 41, 42])
def test_a_bar_at_the_edge_is_judged_by_what_is_stored_beside_it(
    tmp_path: Path, first: int
) -> None:
    bars, store = jumping([10.0 if row == 41 else 1.0 for row in range(80)]), Store(tmp_path)
    spans = [slice(0, first), slice(first + 1, 80), slice(first, first + 1)]
    for span in spans:
        part = bars.take(span)
        backfill_bars(Recorded(part), store, "binance", START, START + WINDOW)
    assert left(store) == ([row for row in range(80) if row != 41], [41])
