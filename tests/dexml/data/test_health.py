from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexml.data.health import FIT_AGAIN, UNFIT, WINDOW, Health, health_at, unwell
from dexml.data.storage.consolidation import closes_by_venue
from dexml.data.storage.store import Store
from dexml.domain import Bars
from tests.dexml.data.storage.test_store import make

HOUR = np.timedelta64(1, "h")
LAST = 119


def without(*hours: int, n_bars: int = LAST + 1) -> Bars:
    whole = make(n_bars)
    kept = np.setdiff1d(np.arange(n_bars), hours)
    return Bars.from_frame(whole.instrument, whole.timeframe, whole.frame().iloc[kept])


def judged(bars: Bars, hour: int = LAST, **more: object) -> Health:
    return health_at(bars, make(1).closed_at[0] + hour * HOUR, **more)  # type: ignore[arg-type]


def test_whole_bars_are_healthy_from_the_first_one() -> None:
    for hour in range(LAST + 1):
        assert judged(make(LAST + 1), hour) == Health(score=1.0, quarantined=False, reason="")


def test_one_missing_bar_is_told_and_two_in_a_row_are_a_stall() -> None:
    one, two = judged(without(LAST)), judged(without(LAST - 1, LAST))
    assert (one.quarantined, one.reason) == (False, "no bar")
    assert (two.quarantined, two.reason) == (True, "no bar")
    assert one.score == 23 / 24


def test_a_refused_bar_is_quarantine_at_once_with_its_reason() -> None:
    refused = {make(LAST + 1).closed_at[-1]: "price jump"}
    found = judged(without(LAST), refused=refused)
    assert (found.quarantined, found.reason) == (True, "price jump")
    # another exchange had the bar, so nothing is missing
    assert not judged(make(LAST + 1), refused=refused).quarantined


def test_exchanges_far_apart_are_quarantine_until_they_agree_again() -> None:
    apart = make(LAST + 1).close.copy()
    apart[100] *= 1.2
    closes = closes_by_venue({"a": make(LAST + 1), "b": make(LAST + 1)})
    closes["b"] = apart
    found = judged(make(LAST + 1), 100, closes=closes)
    assert (found.quarantined, found.reason) == (True, "exchanges disagree")
    after = judged(make(LAST + 1), 101, closes=closes)
    assert (after.quarantined, after.score) == (False, 23 / 24)
    assert after.reason == "4% of the last 24 bars missing or disputed"


def test_quarantine_lasts_until_the_window_is_nearly_whole_again() -> None:
    bars = without(60, 61, 62)
    inside = [hour for hour in range(LAST + 1) if judged(bars, hour).quarantined]
    # from the second missing bar until only one is left in the window
    assert inside == list(range(61, 61 + WINDOW))


def test_an_instrument_without_any_bar_has_no_health() -> None:
    found = judged(make(0))
    assert (found.score, found.reason) == (0.0, "no bar")
    assert found.quarantined


@given(st.sets(st.integers(1, LAST), max_size=40), st.integers(80, LAST))
def test_the_score_is_the_share_of_the_window_and_the_future_does_not_matter(
    missing: set[int], hour: int
) -> None:
    bars = without(*missing)
    found = judged(bars, hour)
    window = range(hour - WINDOW + 1, hour + 1)
    assert found.score == pytest.approx(1 - len(missing & set(window)) / WINDOW, abs=1e-12)
    assert found == judged(bars.until(make(1).closed_at[0] + hour * HOUR), hour)
    if found.score < UNFIT - 1e-9:
        assert found.quarantined
    if all(one not in missing for one in range(hour - 2 * WINDOW - 25, hour + 1)):
        assert not found.quarantined
    assert FIT_AGAIN > UNFIT


def test_the_score_is_the_same_in_whatever_order_the_closes_of_exchanges_come() -> None:
    closes = pd.DataFrame({"a": make(50).close, "b": make(50).close * 1.01})
    closes.index = pd.DatetimeIndex(make(50).closed_at, tz="UTC")
    assert judged(make(50), 49, closes=closes) == judged(make(50), 49, closes=closes[["b", "a"]])


def test_a_history_tells_which_instruments_are_in_quarantine_and_why(tmp_path: Path) -> None:
    store = Store(tmp_path)
    venues, names = ("binance", "kraken"), ("BTC/USDT", "ETH/USDT", "SOL/USDT")
    for name in names:
        for venue in venues:
            store.append_bars(venue, replace(make(60), instrument=name))
    wild = replace(make(1, start=60, price=1e6), instrument="ETH/USDT")
    store.append_bars("binance", make(61))
    for venue in venues:
        store.append_bars(venue, wild)
    far = replace(make(1, start=60, price=200.0), instrument="SOL/USDT")
    store.append_bars("binance", replace(make(61), instrument="SOL/USDT"))
    store.append_bars("kraken", far)
    history = store.history(venues, names, "1h")
    assert unwell(history, make(61).closed_at[-1]) == {
        "ETH/USDT": "price jump",
        "SOL/USDT": "exchanges disagree",
    }
    assert unwell(history, make(60).closed_at[-1]) == {}
