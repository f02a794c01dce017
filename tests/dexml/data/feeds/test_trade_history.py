"""Kraken's older bars through the unmodified driver: bits, costs, faults, and going on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from dexml.clock import SimulatedClock
from dexml.data.feeds.backfill import BarsReport, backfill_bars
from dexml.data.feeds.exchange import ExchangeFeed, Hole
from dexml.data.feeds.past_trades import TradePage, TradesCost
from dexml.data.feeds.trade_backfill import Span, add_from_trades, spans_to_build, without_stored
from dexml.data.feeds.trade_history import TradeHistory
from dexml.data.storage.store import Store
from dexml.domain import PRICE_COLUMNS, Bars, History, Timeframe
from dexml.errors import UsageError
from dexml.simulation.exchanges import ExchangeServers, Fault
from tests.dexml.data.feeds.test_exchange import HASTY, assert_same_bits, feed_of
from tests.random_walk import some_bars

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
START_S = int(START.timestamp())
BTC = "BTC/USDT"


class CountingFeed(ExchangeFeed):
    """Counts the pages of trades that are asked for."""

    n_pages = 0

    def past_trades(
        self, instrument: str, since_ns: int | None, count: int | None = None
    ) -> TradePage:
        self.n_pages += 1
        return super().past_trades(instrument, since_ns, count)


def quiet(bars: Bars, hours: Sequence[int]) -> Bars:
    """Return the bars as they were had nobody traded in these hours."""
    columns = {name: getattr(bars, name).copy() for name in PRICE_COLUMNS}
    for hour in hours:
        for name in ("open", "high", "low", "close"):
            columns[name][hour] = columns["close"][hour - 1]
        columns["volume"][hour] = 0.0
    return replace(bars, **columns)


@contextmanager
def krakens(bars: Bars, n_known: int) -> Iterator[tuple[CountingFeed, ExchangeServers]]:
    clock = SimulatedClock(START + n_known * HOUR + timedelta(minutes=20))
    with ExchangeServers(History(bars={bars.instrument: bars}), clock) as servers:
        url = servers.urls["kraken"]
        feed = CountingFeed(
            "kraken", url, (bars.instrument,), Timeframe.H1, timeout_s=5.0, patience=HASTY
        )
        yield feed, servers
        feed.close()


def test_bars_from_trades_have_the_bits_of_krakens_own_bars() -> None:
    bars = quiet(some_bars(BTC, 700), [1, 50, 51, 52, 53, 300, 698])
    with krakens(bars, 700) as (feed, _):
        own = feed.backfill(START, START + 700 * HOUR).closed[BTC]
        answers = TradeHistory(feed).rows(BTC, START_S, START_S + 700 * 3_600)
        rows = [row for rows in answers for row in rows]
    assert_same_bits(own, bars)
    assert [row.opened_s for row in rows] == [START_S + hour * 3_600 for hour in range(700)]
    for column in PRICE_COLUMNS:
        summed = np.array([getattr(row, column) for row in rows])
        assert summed.tobytes() == getattr(own, column).tobytes(), column


def test_a_span_that_begins_without_trades_stands_at_the_price_before() -> None:
    bars = quiet(some_bars(BTC, 200), range(100, 120))
    with krakens(bars, 200) as (feed, _):
        answers = TradeHistory(feed).rows(BTC, START_S + 110 * 3_600, START_S + 122 * 3_600)
        rows = [row for rows in answers for row in rows]
    assert [row.close for row in rows] == bars.close[110:122].tolist()
    assert [row.volume for row in rows[:10]] == [0.0] * 10


def test_a_halted_market_is_a_hole_with_its_dates_and_a_dead_one_ends(tmp_path: Path) -> None:
    bars, store = (
        quiet(some_bars(BTC, 1_500), [*range(90, 390), *range(500, 1_500)]),
        Store(tmp_path),
    )
    with krakens(bars, 1_500) as (feed, _):
        span = Span(
            instrument=BTC,
            first_s=START_S,
            until_s=START_S + 1_500 * 3_600,
            cost=TradesCost(n_trades=0, n_requests=0, seconds=0.0),
        )
        parts = [(1, 700), (701, 1_500)]  # what the exchange told of its two parts differed
        holes = [
            Hole(first=START + a * HOUR, last=START + b * HOUR, n_bars=b - a + 1, reason=str(a))
            for a, b in parts
        ]
        before = {BTC: BarsReport(instrument=BTC, holes=tuple(holes))}
        report = add_from_trades(TradeHistory(feed), store, "kraken", [span], before)[BTC]
    assert_same_bits(store.bars("kraken", BTC, Timeframe.H1), bars.take(np.r_[0:114, 390:524]))
    assert [(hole.first, hole.last, hole.n_bars) for hole in report.holes] == [
        (START + 115 * HOUR, START + 390 * HOUR, 276),
        (START + 525 * HOUR, START + 1_500 * HOUR, 976),
    ]
    assert all("after 24 h without a trade" in hole.reason for hole in report.holes)


def test_before_the_first_trade_of_a_market_there_are_no_bars() -> None:
    bars = some_bars(BTC, 30)
    with krakens(bars, 30) as (feed, _):
        answers = TradeHistory(feed).rows(BTC, START_S - 10 * 3_600, START_S + 4 * 3_600)
        opened = [row.opened_s for rows in answers for row in rows]
    assert opened == [START_S + hour * 3_600 for hour in range(4)]


def test_a_bar_that_is_not_over_is_not_built() -> None:
    with krakens(some_bars(BTC, 30), 20) as (feed, _):
        answers = TradeHistory(feed).rows(BTC, START_S, START_S + 30 * 3_600)
        opened = [row.opened_s for rows in answers for row in rows]
    assert opened[-1] == START_S + 19 * 3_600


@pytest.mark.parametrize("hours", [(0, 1_000), (3, 150), (5, 6)])
def test_the_cost_is_what_it_takes(hours: tuple[int, int]) -> None:
    with krakens(some_bars(BTC, 1_200), 1_100) as (feed, _):
        history = TradeHistory(feed)
        first_s, until_s = (START_S + hour * 3_600 for hour in hours)
        cost = history.cost(BTC, first_s, until_s)
        feed.n_pages = 0
        assert sum(1 for _ in history.rows(BTC, first_s, until_s)) == feed.n_pages + 1
    assert cost.n_trades == 7 * (hours[1] - hours[0])
    assert feed.n_pages <= cost.n_requests <= feed.n_pages + 1
    assert cost.seconds == pytest.approx(1.2 * cost.n_requests)


def test_the_cost_up_to_the_present_counts_to_the_newest_trade() -> None:
    with krakens(some_bars(BTC, 100), 60) as (feed, _):
        history, end_s = TradeHistory(feed), START_S + 90 * 3_600
        assert history.cost(BTC, START_S, end_s).n_trades == 60 * 7
        assert history.cost(BTC, end_s, end_s + 3_600).n_trades == 0


@pytest.mark.parametrize("fault", [Fault.TOO_MANY, Fault.CUT, Fault.PAGE, Fault.RESET, Fault.BOMB])
def test_a_spoilt_page_is_asked_for_again(fault: Fault) -> None:
    bars = some_bars(BTC, 400)
    with krakens(bars, 400) as (feed, servers):
        servers.faults.set(fault, endpoint="trades", times=2)
        answers = TradeHistory(feed).rows(BTC, START_S, START_S + 400 * 3_600)
        closes = [row.close for rows in answers for row in rows]
    assert closes == bars.close.tolist()


def test_an_exchange_that_shows_all_its_bars_needs_no_trades() -> None:
    with pytest.raises(UsageError, match="past trades of binance must be readable"):
        TradeHistory(feed_of("binance", "http://127.0.0.1:1"))


def test_the_older_bars_are_stored_once_and_a_broken_read_goes_on_where_it_stopped(
    tmp_path: Path,
) -> None:
    bars, store = quiet(some_bars(BTC, 2_000), [5, 6, 1_400]), Store(tmp_path)
    with krakens(bars, 1_900) as (feed, servers):
        history = TradeHistory(feed)
        reports = backfill_bars(feed, store, "kraken", START - 5 * HOUR, START + 1_900 * HOUR)
        assert reports[BTC].n_missing == 1_185
        (span,), failed = spans_to_build(history, reports)
        assert (span.cost.n_trades, failed) == (1_180 * 7, {})  # at most: none in two hours

        def break_off() -> None:
            if feed.n_pages > 5:
                servers.faults.set(Fault.UNAVAILABLE, endpoint="trades")

        torn = add_from_trades(history, store, "kraken", [span], reports, break_off)[BTC]
        assert "503" in torn.failed
        assert 0 < torn.n_missing < 1_185
        servers.faults.clear()
        reports = {BTC: without_stored(store, "kraken", Timeframe.H1, reports[BTC])}
        spans, _ = spans_to_build(history, reports)
        assert [one.until_s for one in spans] == [START_S, START_S + 1_180 * 3_600]
        assert spans[1].first_s > START_S
        whole = add_from_trades(history, store, "kraken", spans, reports)[BTC]
    assert (whole.failed, whole.n_missing, whole.holes[0].reason) == (
        "",
        5,
        "nobody had traded yet",
    )
    stored = store.bars("kraken", BTC, Timeframe.H1)
    assert_same_bits(stored, bars.take(slice(0, 1_900)))
