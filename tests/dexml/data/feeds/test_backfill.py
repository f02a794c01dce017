from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from dexml.data.feeds.backfill import BARS_A_WINDOW, backfill_bars
from dexml.data.feeds.exchange import FeedUpdate
from dexml.data.storage.store import Store
from dexml.domain import Timeframe

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
