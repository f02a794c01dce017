from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from dexml.data.feeds.backfill import BARS_A_WINDOW, backfill_bars
from dexml.data.feeds.exchange import FeedUpdate, RefusedRow
from dexml.data.feeds.rows import checked
from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe
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
