"""What a store says of an instant stays, whatever came later and in whatever order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.data.storage.bar_rows import BarRows, latest
from dexml.data.storage.revisions import first_known
from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe

Visit = tuple[int, list[int], int]  # first bar, prices, when it was seen

visits = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.lists(st.integers(1, 3), min_size=1, max_size=4),
        st.none() | st.integers(0, 12),
    ),
    max_size=6,
)

FIRST = datetime(2024, 1, 1, 1, tzinfo=UTC)


def _brute(visited: list[Visit]) -> list[tuple[datetime, int, float]]:
    """Every (known_at, bar, close) that there ever was, in the order in which it came."""
    log: list[tuple[datetime, int, float]] = []
    for first, prices, hour in visited:
        stored = {entry[1] for entry in log}
        newest = FIRST + timedelta(hours=max(first + len(prices) - 1, *stored, 0))
        seen = newest if hour is None else max(newest, FIRST + timedelta(hours=hour))
        for bar, price in enumerate(prices, first):
            before = [entry for entry in log if entry[1] == bar]
            if not before:
                passed_over = any(other < bar for other in stored) and max(stored) > bar
                at = seen if passed_over else FIRST + timedelta(hours=bar)
                log.append((at, bar, 10.0 * price))
            elif before[-1][2] != 10.0 * price:
                later = max(seen, before[-1][0] + timedelta(microseconds=1))
                log.append((later, bar, 10.0 * price))
    return log


def _given(first: int, prices: list[int]) -> Bars:
    close = 10.0 * np.array(prices)
    numbers = np.arange(first, first + len(prices))
    return Bars(
        instrument="BTC/USDT",
        timeframe=Timeframe.H1,
        closed_at=np.datetime64("2024-01-01T01", "ns") + numbers * np.timedelta64(1, "h"),
        open=close,
        high=close,
        low=close,
        close=close,
        volume=1.0 + numbers,  # else equal prices would look like a frozen feed
    )


@settings(max_examples=25)
@given(visits, st.integers(0, 5))
def test_a_read_as_of_any_instant_is_what_a_list_of_all_that_came_says(
    visited: list[Visit], compact_after: int
) -> None:
    with TemporaryDirectory() as folder:
        store = Store(folder)
        for number, (first, prices, hour) in enumerate(visited):
            seen = None if hour is None else FIRST + timedelta(hours=hour)
            store.append_bars("binance", _given(first, prices), seen)
            if number == compact_after:
                store.compact()
        log = _brute(visited)
        instants = {entry[0] for entry in log}
        instants |= {at - timedelta(microseconds=1) for at in instants}
        for reader in (store, Store(folder)):
            for instant in sorted(instants):
                known = {bar: close for at, bar, close in log if at <= instant}
                bars = reader.bars("binance", "BTC/USDT", "1h", as_of=instant)
                assert bars.close.tolist() == [known[bar] for bar in sorted(known)]


@given(st.permutations(range(6)))
def test_what_racing_writers_left_reads_the_same_in_whatever_order_it_is_found(
    order: list[int],
) -> None:
    at, later = 1, 2
    marks = [(at, 0, at), (at, 0, at), (at, 1, later), (at, 2, at), (later, 0, later)]
    rows = BarRows(np.array([*marks, marks[-1]]).T, np.tile(np.arange(1.0, 7.0), (5, 1)))
    assert latest(rows.take(order)).prices[3].tolist() == [3.0, 6.0]
    at, later = (pd.Timestamp(f"2024-01-01 0{hour}:00", tz="UTC") for hour in (1, 2))
    told = pd.DataFrame(
        {
            "published_at": at,
            "known_at": [later, at, at, later, at, later],
            "source": "wire",
            "title": ["a", "a", "a", "b", "b", "b"],
            "instruments": "",
            "score": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
            "fetched_at": later,
        }
    )
    assert first_known(told.iloc[order])["score"].tolist() == [0.2, 0.5]
