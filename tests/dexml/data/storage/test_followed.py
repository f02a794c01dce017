"""What was read as of an instant is read so for ever, wherever the rest comes from later."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.data.storage.bar_rows import ARRIVAL_S
from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe, to_datetime
from dexml.folders import open_folder
from tests.random_walk import some_bars

BTC, VENUES = "BTC/USDT", ("binance", "kraken")
BARS = some_bars(BTC, 60)
PROMPT, LATE = timedelta(seconds=2), timedelta(minutes=30)


def closed(bar: int) -> datetime:
    return to_datetime(BARS.closed_at[bar])


def some(first: int, last: int) -> Bars:
    return BARS.take(slice(first, last))


def heard(store: Store, venue: str, first: int, last: int) -> None:
    for bar in range(first, last):
        store.append_closes(venue, {BTC: some(bar, bar + 1)}, closed(bar) + PROMPT, live=True)


def n_known(store: Store, venue: str, at: datetime) -> int:
    return len(store.bars(venue, BTC, "1h", as_of=at))


def test_what_a_silent_exchange_missed_at_the_end_of_its_bars_is_known_when_it_was_fetched(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path)
    for venue in VENUES:
        store.append_bars(venue, some(0, 20), closed(19))
    heard(store, "binance", 20, 40)
    at, seen_at = closed(30) + PROMPT, closed(39) + LATE
    then = store.history(VENUES, (BTC,), "1h", as_of=at)
    for reader in (store, Store(tmp_path)):  # what another process brings, too
        reader.append_bars("kraken", some(20, 40), seen_at)
    later = Store(tmp_path).history(VENUES, (BTC,), "1h", as_of=at)
    assert later.venue_closes[BTC].equals(then.venue_closes[BTC])
    assert n_known(store, "kraken", seen_at - timedelta(microseconds=1)) == 20
    assert n_known(store, "kraken", seen_at) == 40


def test_the_first_page_of_another_exchange_is_history_only_until_somebody_listened(
    tmp_path: Path,
) -> None:
    store, seen_at = Store(tmp_path), closed(39) + LATE
    store.append_closes("binance", {BTC: some(0, 20)}, closed(19) + LATE, live=True)
    heard(store, "binance", 20, 40)
    assert n_known(store, "binance", closed(10)) == 11  # its own first page
    store.append_closes("kraken", {BTC: some(0, 40)}, seen_at, live=True)
    assert n_known(store, "kraken", closed(10)) == 11
    assert n_known(store, "kraken", seen_at - timedelta(microseconds=1)) == 20
    assert n_known(store, "kraken", seen_at) == 40


def test_what_is_heard_in_time_on_a_second_exchange_is_known_from_its_close(tmp_path: Path) -> None:
    store = Store(tmp_path)
    heard(store, "binance", 0, 20)
    store.append_bars("kraken", some(10, 20), closed(19) + timedelta(seconds=ARRIVAL_S))
    assert n_known(store, "kraken", closed(19)) == 1


def test_dollars_that_stand_for_tethers_are_as_late_as_those(tmp_path: Path) -> None:
    store = Store(tmp_path)
    heard(store, "binance", 0, 20)
    dollars = replace(some(10, 20), instrument="BTC/USD")
    store.append_bars("bitstamp", dollars, closed(19) + LATE)
    assert len(store.bars("bitstamp", "BTC/USD", "1h", as_of=closed(19))) == 0


def test_history_that_nobody_listens_to_is_known_from_its_close_however_often_it_is_begun(
    tmp_path: Path,
) -> None:
    heard(Store(tmp_path), "binance", 0, 3)
    for first, last in ((0, 20), (0, 20), (20, 40), (40, 60)):
        store = Store(tmp_path)
        other = replace(some(first, last), instrument="ETH/USDT")
        store.append_bars("kraken", other, closed(59) + timedelta(days=900))
        minutes = replace(some(first, last), timeframe=Timeframe.M1)
        store.append_bars("kraken", minutes, closed(59) + timedelta(days=900))
    for name, timeframe in (("ETH/USDT", "1h"), (BTC, "1m")):
        assert len(store.bars("kraken", name, timeframe, as_of=closed(30))) == 31


def test_one_small_file_for_an_instrument_is_all_it_takes(tmp_path: Path) -> None:
    _one_file(str(tmp_path))


def test_it_works_where_nothing_can_be_locked(bucket: str) -> None:
    _one_file(bucket)


def _one_file(root: str) -> None:
    heard(Store(root), "kraken", 1, 4)
    heard(Store(root), "kraken", 4, 6)  # after a restart
    heard(Store(root), "binance", 0, 6)
    marks = [parts for parts in open_folder(root).paths() if parts[0] == "followed"]
    stamps = sorted(int(BARS.closed_at[bar].astype("int64")) for bar in (0, 1))
    assert marks == [("followed", "BTC-USDT", "1h", str(stamp)) for stamp in stamps]
    store = Store(root)
    store.append_bars("coinbaseexchange", some(0, 6), closed(5) + LATE)
    assert n_known(store, "coinbaseexchange", closed(5)) == 1


visits = st.lists(
    st.tuples(
        st.sampled_from(VENUES),
        st.booleans(),  # as it closed, or fetched later
        st.integers(0, 11),  # how many bars it goes back
        st.integers(0, 5),  # how many it leaves out at the end
        st.sampled_from([0, 0, 0, 1, 2]),  # bars until the next visit
        st.sampled_from([1.0, 1.0, 1.0, 1.001, 9.0]),  # what the exchange says of its middle bar
    ),
    max_size=14,
)


@settings(max_examples=40, deadline=None)
@given(visits)
def test_once_somebody_listens_no_visit_changes_what_was_read(
    visited: list[tuple[str, bool, int, int, int, float]],
) -> None:
    with TemporaryDirectory() as folder:
        Store(folder).append_closes("binance", {BTC: some(19, 20)}, closed(19) + PROMPT, live=True)
        now, newest, seen = closed(19) + LATE, 19, []
        for venue, live, n_back, n_short, n_later, factor in visited:
            now, newest = now + timedelta(hours=n_later, seconds=1), newest + n_later
            first, last = max(20, newest - n_back), newest + 1 - n_short
            if first < last:
                came = {BTC: _said(some(first, last), factor)}
                Store(folder).append_closes(venue, came, now, live=live)
            seen.append((now, _read(folder, now)))
        for at, then in seen:
            assert _read(folder, at) == then


def _said(bars: Bars, factor: float) -> Bars:
    columns = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
    for values in columns.values():
        values[len(bars) // 2] *= factor
    return replace(bars, **columns)


def _read(folder: str, at: datetime) -> list[tuple[bytes, bytes]]:
    found = [Store(folder).bars(venue, BTC, "1h", as_of=at) for venue in VENUES]
    return [(one.closed_at.tobytes(), one.close.tobytes()) for one in found]


def test_what_came_with_the_visit_at_a_close_was_there_for_the_decision_at_that_close(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path)
    heard(store, "binance", 0, 10)
    # the exchange was silent for three bars; a visit reads them with the one that just closed
    store.append_closes("binance", {BTC: some(10, 14)}, closed(13) + PROMPT, live=True)
    assert n_known(store, "binance", closed(13) - timedelta(microseconds=1)) == 10
    assert n_known(store, "binance", closed(13)) == 14
