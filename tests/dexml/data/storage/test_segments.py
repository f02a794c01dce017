from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.data.storage.bar_log import RECEIPTS_KEPT
from dexml.data.storage.bar_rows import BarRows, latest
from dexml.data.storage.revisions import first_known
from dexml.data.storage.segment_files import COMPACT_AT
from dexml.data.storage.segments import SegmentLog
from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe
from dexml.folders import LocalFolder, open_folder
from tests.dexml.data.storage.test_store import make, same

ROOT = Path(__file__).resolve().parents[4]
SCHEMA = pa.schema([("at", pa.timestamp("ns", tz="UTC")), ("number", pa.int64())])
START = pd.Timestamp("2024-01-31 20:00", tz="UTC")


def rows(*numbers: int) -> pd.DataFrame:
    at = [START + number * pd.Timedelta("1h") for number in numbers]
    return pd.DataFrame({"at": pd.DatetimeIndex(at).as_unit("ns"), "number": numbers})


def numbers_of(log: SegmentLog) -> list[int]:
    return sorted(log.read()["number"].tolist())


def test_truncation_at_any_byte_of_the_last_segment_loses_only_that_segment(
    tmp_path: Path,
) -> None:
    log = SegmentLog(LocalFolder(tmp_path), SCHEMA)
    with log.locked():
        log.append(rows(0, 1, 2))
        log.append(rows(3))
    last = sorted(tmp_path.glob("*.arrow"))[-1]
    content = last.read_bytes()
    for length in range(len(content)):
        last.write_bytes(content[:length])
        torn = SegmentLog(LocalFolder(tmp_path), SCHEMA)
        assert numbers_of(torn) == [0, 1, 2]
        assert torn.n_torn == 1
    last.write_bytes(content)
    assert numbers_of(SegmentLog(LocalFolder(tmp_path), SCHEMA)) == [0, 1, 2, 3]


@settings(max_examples=25)
@given(st.data())
def test_after_any_truncation_the_lost_rows_can_be_given_again(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        store = Store(folder)
        store.append_bars("binance", make(5))
        store.append_bars("binance", make(9))
        last = sorted(Path(folder).rglob("*.arrow"))[-1]
        content = last.read_bytes()
        last.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        again = Store(folder)
        assert again.append_bars("binance", make(9)) == 4
        if data.draw(st.booleans()):
            again.compact()
        assert same(Store(folder).bars("binance", "BTC/USDT", "1h"), make(9))


def test_a_row_given_twice_is_kept_once_and_in_its_month(tmp_path: Path) -> None:
    log = SegmentLog(LocalFolder(tmp_path), SCHEMA)
    with log.locked():
        log.append(rows(0, 1, 9))
        log.append(rows(1, 9, 10))
    assert log.compact() == 2
    assert sorted(path.name[:7] for path in tmp_path.glob("*.parquet")) == ["2024-01", "2024-02"]
    assert numbers_of(SegmentLog(LocalFolder(tmp_path), SCHEMA)) == [0, 1, 9, 10]


def test_a_crash_between_folding_and_removing_shows_no_row_twice(tmp_path: Path) -> None:
    log = SegmentLog(LocalFolder(tmp_path), SCHEMA)
    with log.locked():
        log.append(rows(0, 1))
    kept = {path.name: path.read_bytes() for path in tmp_path.glob("*.arrow")}
    log.compact()
    for name, content in kept.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / ".left.1.tmp").write_bytes(b"half")
    again = SegmentLog(LocalFolder(tmp_path), SCHEMA)
    assert numbers_of(again) == [0, 1]
    assert again.compact() == 1
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.suffix) == [".parquet"]
    assert numbers_of(again) == [0, 1]


def test_the_number_of_files_is_bounded(tmp_path: Path) -> None:
    store = Store(tmp_path)
    n_bars = 2 * COMPACT_AT + 5
    for number in range(n_bars):
        store.append_bars("binance", make(1, start=20 * number))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    kept = store.bars("binance", "BTC/USDT", "1h")
    assert len(kept) == n_bars
    months = len(np.unique(kept.closed_at.astype("datetime64[M]")))
    few = 2 + RECEIPTS_KEPT  # the locks of the two folders, and what tells of the last folds
    assert len(files) <= COMPACT_AT + months + few
    store.compact()
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) <= months + few


def test_a_reader_misses_no_row_while_others_append_and_compact(tmp_path: Path) -> None:
    writer = SegmentLog(LocalFolder(tmp_path), SCHEMA)
    done = threading.Event()

    def write() -> None:
        for number in range(100):
            with writer.locked():
                writer.append(rows(number))
            if number % 5 == 4:
                writer.compact()
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    n_before = 0
    while not done.is_set():
        seen = numbers_of(SegmentLog(LocalFolder(tmp_path), SCHEMA))
        assert seen == list(range(len(seen)))
        assert len(seen) >= n_before
        n_before = len(seen)
    thread.join()


def test_threads_that_share_a_store_lose_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def work(worker: int) -> None:
        for number in range(20):
            store.append_bars("binance", make(1, start=20 * worker + number))
            store.bars("binance", "BTC/USDT", "1h")

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same(store.bars("binance", "BTC/USDT", "1h"), make(80))
    assert same(Store(tmp_path).bars("binance", "BTC/USDT", "1h"), make(80))


_WRITER = """
import sys
from dexml.data.storage.store import Store
from tests.dexml.data.storage.test_store import make
uri, first, price = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
store = Store(uri)
for number in range(first, first + 25):
    store.append_bars("binance", make(10, start=number))
    store.append_bars("binance", make(1, start=500, price=price + number))
    if number % 7 == 3:
        store.compact()
"""


def _two_writers(uri: str) -> None:
    """Let two processes write overlapping bars, the same and contradicting ones, at once."""
    arguments = [("0", "1000"), ("12", "2000")]
    children = [
        subprocess.Popen([sys.executable, "-c", _WRITER, uri, *one], cwd=ROOT) for one in arguments
    ]
    assert [child.wait() for child in children] == [0, 0]


def _settled(uri: str) -> Bars:
    readers = [Store(uri), Store(uri)]
    readers[1].compact()
    kept = [one.bars("binance", "BTC/USDT", "1h") for one in (*readers, Store(uri))]
    assert same(kept[0], kept[1])
    assert same(kept[0], kept[2])
    return kept[0]


@pytest.mark.slow
def test_two_processes_that_write_one_series_corrupt_nothing(tmp_path: Path) -> None:
    _two_writers(str(tmp_path))
    kept = _settled(str(tmp_path))
    assert same(kept.take(slice(0, -1)), make(46))
    assert kept.close[-1] % 1000 - 500 in range(12, 37)


@pytest.mark.slow
def test_two_processes_without_a_lock_lose_nothing_in_an_object_store(bucket: str) -> None:
    _two_writers(bucket)
    kept = _settled(bucket)
    assert same(kept.take(slice(0, -1)), make(46))
    assert int(kept.close[-1]) - 500 in {*range(1000, 1025), *range(2012, 2037)}


def test_in_an_object_store_appends_are_idempotent_and_compacted(bucket: str) -> None:
    store, reader = Store(bucket), Store(bucket)
    assert store.append_bars("binance", make(1_000)) == 1_000
    assert reader.append_bars("binance", make(1_002)) == 2
    assert store.append_bars("binance", make(1, price=7.0)) == 1
    before = reader.bars("binance", "BTC/USDT", "1h")
    assert before.close[0] == 7.0
    assert store.compact() == 3
    names = [parts[-1] for parts in open_folder(bucket).under("bars").paths()]
    assert sorted(name[:7] for name in names) == ["2024-01", "2024-02"]
    left = [parts[-1] for parts in open_folder(bucket).under("arrivals").paths()]
    assert [name.partition(".")[2] for name in left] == ["folded"]
    for one in (store, reader, Store(bucket)):
        assert same(one.bars("binance", "BTC/USDT", "1h"), before)
    first = datetime(2024, 1, 1, 1, tzinfo=UTC)
    assert store.bars("binance", "BTC/USDT", "1h", as_of=first).close.tolist() == [100.0]
    assert store.series() == [("binance", "BTC/USDT", Timeframe.H1)]


def test_a_truncated_object_loses_only_its_rows(bucket: str) -> None:
    store = Store(bucket)
    store.append_bars("binance", make(5))
    store.append_bars("binance", make(6))
    folder = open_folder(bucket).under("arrivals", "binance", "1h")
    last = max(folder.names())
    folder.write(last, folder.read(last)[:-1])
    again = Store(bucket)
    assert len(again.bars("binance", "BTC/USDT", "1h")) == 5
    assert again.append_bars("binance", make(7)) == 2
    assert same(Store(bucket).bars("binance", "BTC/USDT", "1h"), make(7))


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
