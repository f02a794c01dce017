from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from aiohttp import web

from dexml.clock import SimulatedClock
from dexml.data.http import Patience
from dexml.data.sources.context import Context
from dexml.data.sources.yahoo import YahooFeed
from dexml.data.storage.store import Store
from dexml.errors import DataError
from dexml.simulation.exchanges.server import LocalServers, stamped
from tests.dexml.data.sources.yahoo_wire import YahooWire

NOW = datetime(2024, 3, 15, 12, tzinfo=UTC)  # a Friday, before the market opens
HASTY = Patience(sleep=lambda _s: None, jitter=random.Random(0))


def some_closes(last: str = "2024-03-14") -> pd.Series[float]:
    days = pd.bdate_range(end=last, periods=40, tz="America/New_York")
    return pd.Series(15 + np.arange(40) / 7, index=days)


@contextmanager
def serving(wire: YahooWire) -> Iterator[str]:
    clock = SimulatedClock(NOW)
    with LocalServers({"yahoo": stamped(wire.routes(), clock)}) as servers:
        yield servers.urls["yahoo"]


def test_closes_come_through_yfinance_to_the_bit_and_are_known_after_the_close() -> None:
    closes = some_closes()
    with serving(YahooWire({"^VIX": closes})) as url:
        update = YahooFeed(["vix"], url, SimulatedClock(NOW), HASTY).fetch()
    rows = update.macro
    assert update.failed == {}
    assert rows["value"].to_numpy().tobytes() == closes.to_numpy().tobytes()
    days = closes.index.tz_localize(None).tz_localize("UTC")
    assert list(rows["period_at"]) == list(days)
    known = rows.set_index("period_at")["known_at"]
    assert known["2024-03-08"] == pd.Timestamp("2024-03-08 22:00", tz="UTC")
    assert known["2024-03-11"] == pd.Timestamp("2024-03-11 21:00", tz="UTC")  # summer time began


def test_a_day_that_is_still_traded_is_left_out_until_it_is_final() -> None:
    with serving(YahooWire({"^VIX": some_closes("2024-03-15")})) as url:
        clock = SimulatedClock(NOW + timedelta(hours=8))
        assert len(YahooFeed(["vix"], url, clock, HASTY).fetch().macro) == 39
        clock.advance(timedelta(hours=1))
        assert len(YahooFeed(["vix"], url, clock, HASTY).fetch().macro) == 40


def test_days_without_a_value_are_missing() -> None:
    closes = some_closes()
    closes.iloc[[3, 7]] = np.nan
    with serving(YahooWire({"DX-Y.NYB": closes})) as url:
        rows = YahooFeed(["dxy"], url, SimulatedClock(NOW), HASTY).fetch().macro
    assert len(rows) == 38


def test_one_series_that_fails_leaves_the_others() -> None:
    with serving(YahooWire({"^VIX": some_closes()})) as url:
        update = YahooFeed(["spy", "vix"], url, SimulatedClock(NOW), HASTY).fetch()
    assert set(update.failed) == {"spy"}
    assert set(update.macro["series"]) == set(update.fetched_at) == {"vix"}


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (200, "<html>"),
        (200, ""),
        (200, '{"chart":'),
        (200, '{"chart":{"result":[],"error":null}}'),
        (200, "null"),
        (429, "Too Many Requests"),
        (500, "{}"),
    ],
)
def test_garbage_gives_no_values_and_is_told(status: int, text: str) -> None:
    wire = YahooWire({"^VIX": some_closes()})
    wire.answers = [web.Response(status=status, text=text) for _ in range(30)]
    with serving(wire) as url:
        update = YahooFeed(["vix"], url, SimulatedClock(NOW), HASTY).fetch()
    assert set(update.failed) == {"vix"}
    assert len(update.macro) == 0


def test_a_series_that_yahoo_has_not_is_refused() -> None:
    with pytest.raises(DataError, match="series fear_greed must be one of dxy, vix"):
        YahooFeed(["fear_greed"])


def test_a_revision_never_changes_what_was_known(tmp_path: Path) -> None:
    wire = YahooWire({"^VIX": some_closes()})
    clock = SimulatedClock(NOW)
    store = Store(tmp_path)
    with serving(wire) as url:
        context = Context(store, (), (YahooFeed(["vix"], url, clock, HASTY),))
        assert context.poll().n_macro == 40
        assert context.poll().n_macro == 0
        before = store.macro()
        clock.advance(timedelta(hours=2))
        wire.closes["^VIX"].iloc[-2] = 99.0
        again = Context(store, (), (YahooFeed(["vix"], url, clock, HASTY),))  # restarted
        assert again.poll().n_macro == 1
    pd.testing.assert_frame_equal(store.macro(as_of=NOW), before)
    revised = store.macro().iloc[-1]
    assert (revised["value"], revised["known_at"]) == (99.0, pd.Timestamp(clock.now()))
