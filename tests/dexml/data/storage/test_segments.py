from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.data.storage.bar_log import RECEIPTS_KEPT
from dexml.data.storage.folders import LocalFolder, open_folder
from dexml.data.storage.segment_files import COMPACT_AT
from dexml.data.storage.segments import SegmentLog
from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe
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
