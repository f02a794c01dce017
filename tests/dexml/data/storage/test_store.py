from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dexml.data.health import reasons
from dexml.data.storage.folders import write_durably
from dexml.data.storage.segment_files import COMPACT_AT
from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe
from dexml.errors import DataError, EnvironmentRefused

ROOT = Path(__file__).resolve().parents[4]
ARRIVALS = "arrivals/binance/1h"
FOLDER = "bars/binance/BTC-USDT/1h"


def make(n_bars: int, start: int = 0, price: float = 100.0) -> Bars:
    numbers = np.arange(start, start + n_bars)
    close = price + numbers
    return Bars(
        instrument="BTC/USDT",
        timeframe=Timeframe.H1,
        closed_at=np.datetime64("2024-01-01T01", "ns") + numbers * np.timedelta64(1, "h"),
        open=close,
        high=close + 1,
        low=close - 1,
        close=close,
        volume=np.ones(n_bars),
    )


def same(left: Bars, right: Bars) -> bool:
    return left.frame().equals(right.frame())


def test_appending_twice_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.append_bars("binance", make(10)) == 10
    assert store.append_bars("binance", make(12)) == 2
    assert store.append_bars("binance", make(12)) == 0
    assert same(Store(tmp_path).bars("binance", "BTC/USDT", "1h"), make(12))


def test_no_bars_are_no_news(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.append_bars("binance", make(0)) == 0
    store.append_bars("binance", make(3))
    assert store.append_bars("binance", make(0)) == 0
    assert same(store.bars("binance", "BTC/USDT", "1h"), make(3))


def test_bars_may_come_in_any_order(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append_bars("binance", make(5, start=5))
    store.append_bars("binance", make(7))
    assert same(store.bars("binance", "BTC/USDT", "1h"), make(10))


def test_a_series_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert len(Store(tmp_path).bars("binance", "BTC/USDT", "1h")) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_revised_bar_never_changes_what_was_known(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append_bars("binance", make(3))
    assert store.append_bars("binance", make(4, price=200.0)) == 4
    last_close = datetime(2024, 1, 1, 3, tzinfo=UTC)
    assert same(store.bars("binance", "BTC/USDT", "1h", as_of=last_close), make(3))
    assert same(store.bars("binance", "BTC/USDT", "1h"), make(4, price=200.0))
    assert store.append_bars("binance", make(3)) == 3
    assert store.bars("binance", "BTC/USDT", "1h").close[0] == 100.0


def test_a_revision_of_the_newest_bar_is_later_than_the_bar(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append_bars("binance", make(3))
    store.append_bars("binance", make(1, start=2, price=300.0))
    closed_at = datetime(2024, 1, 1, 3, tzinfo=UTC)
    assert same(store.bars("binance", "BTC/USDT", "1h", as_of=closed_at), make(3))


def test_compaction_changes_no_answer_and_leaves_no_segment(tmp_path: Path) -> None:
    store, reader = Store(tmp_path), Store(tmp_path)
    store.append_bars("binance", make(1_000))
    store.append_bars("binance", make(2, start=1_000))
    store.append_bars("binance", make(1, price=5.0))
    before = reader.bars("binance", "BTC/USDT", "1h").frame()
    assert store.compact() == 3
    names = sorted(path.name[:7] for path in (tmp_path / FOLDER).glob("*.*"))
    assert [name for name in names if name.startswith("20")] == ["2024-01", "2024-02"]
    assert reader.bars("binance", "BTC/USDT", "1h").frame().equals(before)
    first = datetime(2024, 1, 1, 1, tzinfo=UTC)
    assert reader.bars("binance", "BTC/USDT", "1h", as_of=first).close.tolist() == [100.0]
    assert store.compact() == 0


def test_a_reader_sees_what_was_appended_and_compacted_behind_its_back(tmp_path: Path) -> None:
    writer, reader = Store(tmp_path), Store(tmp_path)
    writer.append_bars("binance", make(5))
    writer.compact()
    assert len(reader.bars("binance", "BTC/USDT", "1h")) == 5
    writer.append_bars("binance", make(6))
    writer.compact()
    assert len(reader.bars("binance", "BTC/USDT", "1h")) == 6


def test_many_small_appends_are_folded_by_themselves(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in range(COMPACT_AT + 3):
        store.append_bars("binance", make(1, start=number))
    assert len(list((tmp_path / ARRIVALS).glob("*.arrow"))) == 3
    assert same(Store(tmp_path).bars("binance", "BTC/USDT", "1h"), make(COMPACT_AT + 3))


def test_a_torn_last_segment_is_left_out_counted_and_healed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append_bars("binance", make(5))
    store.append_bars("binance", make(6))
    last = sorted((tmp_path / ARRIVALS).glob("*.arrow"))[-1]
    last.write_bytes(last.read_bytes()[:100])
    again = Store(tmp_path)
    assert len(again.bars("binance", "BTC/USDT", "1h")) == 5
    assert again.n_torn == 1
    assert again.append_bars("binance", make(7)) == 2
    assert same(Store(tmp_path).bars("binance", "BTC/USDT", "1h"), make(7))


def test_damage_in_the_middle_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append_bars("binance", make(5))
    store.append_bars("binance", make(6))
    first = sorted((tmp_path / ARRIVALS).glob("*.arrow"))[0]
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 1
    first.write_bytes(bytes(content))
    with pytest.raises(DataError, match=first.name):
        Store(tmp_path).bars("binance", "BTC/USDT", "1h")


def test_a_bar_that_cannot_be_is_put_in_quarantine_with_its_reason(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append_bars("binance", make(9))
    wild = make(1, start=9, price=100_000.0)
    copy = replace(make(1, start=8), closed_at=make(1, start=10).closed_at)
    for _ in range(2):
        assert store.append_bars("binance", wild) == 0
        assert store.append_bars("binance", copy) == 0
    assert same(store.bars("binance", "BTC/USDT", "1h"), make(9))
    for one in (store, Store(tmp_path)):
        refused = one.quarantine("binance", "BTC/USDT", "1h")
        assert refused["reason"].tolist() == ["price jump", "copy of the bar before"]
        assert refused["close"].tolist() == [100_009.0, 108.0]
        assert refused["known_at"].tolist() == refused["closed_at"].tolist()
    refused = store.refused(["kraken", "binance"], ["BTC/USDT"], "1h")
    assert refused["exchange"].tolist() == ["binance", "binance"]
    assert reasons(refused, "BTC/USDT") == {
        wild.closed_at[0]: "price jump",
        copy.closed_at[0]: "copy of the bar before",
    }
    assert store.compact() == 3


def test_after_a_frozen_or_wild_feed_the_true_bars_take_their_place(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append_bars("binance", make(9))
    assert store.append_bars("binance", make(2, start=9, price=100_000.0)) == 0
    frozen = make(1, start=8)
    store.append_bars("binance", replace(frozen, closed_at=make(1, start=11).closed_at))
    assert store.append_bars("binance", make(6, start=7)) == 4
    assert same(store.bars("binance", "BTC/USDT", "1h"), make(13))
    last = make(13).closed_at[-1].astype("datetime64[us]").item().replace(tzinfo=UTC)
    assert same(store.bars("binance", "BTC/USDT", "1h", as_of=last), make(13))


def news(n_rows: int) -> pd.DataFrame:
    published = pd.date_range("2024-01-01", periods=n_rows, freq="h", tz="UTC")
    return pd.DataFrame(
        {
            "published_at": published,
            "known_at": published + pd.Timedelta(minutes=1),
            "source": "wire",
            "title": [f"headline {row}" for row in range(n_rows)],
            "instruments": "BTC/USDT",
            "score": 0.5,
        }
    )


def test_a_headline_counts_once_and_is_known_when_it_came_in(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.append_news(news(3)) == 3
    later = news(4)
    later["known_at"] += pd.Timedelta(hours=9)
    assert store.append_news(pd.concat([later, later])) == 1
    assert Store(tmp_path).news()["known_at"].iloc[0] == news(1)["known_at"].iloc[0]
    assert len(store.news(as_of=datetime(2024, 1, 1, 1, 1, tzinfo=UTC))) == 2
    store.compact()
    assert len(Store(tmp_path).news()) == 4


def macro(value: float, known: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "series": ["vix"],
            "period_at": [pd.Timestamp("2024-01-01", tz="UTC")],
            "known_at": [pd.Timestamp(known, tz="UTC")],
            "value": [value],
        }
    )


def test_a_revised_macro_value_is_kept_beside_the_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.append_macro(macro(20.0, "2024-01-02")) == 1
    assert store.append_macro(macro(20.0, "2024-01-05")) == 0
    assert store.append_macro(macro(21.0, "2024-01-02")) == 1
    assert store.macro()["value"].tolist() == [20.0, 21.0]
    assert store.macro(as_of=datetime(2024, 1, 2, tzinfo=UTC))["value"].tolist() == [20.0]


def test_a_missing_value_is_left_out_by_the_maker_not_stored(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must have a finite value"):
        Store(tmp_path).append_macro(macro(float("nan"), "2024-01-02"))
    with pytest.raises(DataError, match="was no score"):
        Store(tmp_path).append_news(news(1).drop(columns="score"))


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with pytest.raises(EnvironmentRefused, match="must have room"):
            write_durably(tmp_path / "a", b"x" * 5_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert list(tmp_path.iterdir()) == []


_APPENDER = """
import sys
from dexml.data.storage.store import Store
from tests.dexml.data.storage.test_store import make
store = Store(sys.argv[1])
number = len(store.bars("binance", "BTC/USDT", "1h"))
while True:
    store.append_bars("binance", make(1, start=number))
    number += 1
    print(number, flush=True)
"""


@pytest.mark.slow
def test_kill_9_while_appending_and_compacting_loses_no_bar(tmp_path: Path) -> None:
    for after_s in (0.1, 0.35, 0.6, 0.85):
        command = [sys.executable, "-c", _APPENDER, str(tmp_path)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert child.stdout is not None
        acknowledged = child.stdout.readline()
        time.sleep(after_s)
        os.kill(child.pid, signal.SIGKILL)
        lines = child.stdout.read().splitlines() or [acknowledged]
        child.wait()
        kept = Store(tmp_path).bars("binance", "BTC/USDT", "1h")
        assert int(lines[-1]) <= len(kept) <= int(lines[-1]) + 1
        assert same(kept, make(len(kept)))
