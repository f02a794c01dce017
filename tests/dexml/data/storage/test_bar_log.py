from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.data.storage.bar_log import RECEIPTS_KEPT
from dexml.data.storage.schemas import BARS
from dexml.data.storage.segment_files import COMPACT_AT
from dexml.data.storage.segments import SegmentLog
from dexml.data.storage.store import Store
from dexml.domain import PRICE_COLUMNS, Bars, Timeframe
from dexml.errors import DataError
from dexml.folders import LocalFolder, open_folder
from tests.random_walk import some_bars

NAMES = tuple(f"C{number:02d}/USDT" for number in range(20))
N_BARS = 500
ARRIVALS = "arrivals/binance/1h"


def market(names: tuple[str, ...] = NAMES) -> dict[str, Bars]:
    return {name: some_bars(name, N_BARS, seed) for seed, name in enumerate(names)}


def rows(bars: Mapping[str, Bars], first: int, last: int) -> dict[str, Bars]:
    return {name: one.take(slice(first, last)) for name, one in bars.items()}


def same(store: Store, bars: Mapping[str, Bars], n_bars: int) -> bool:
    stored = {name: store.bars("binance", name, "1h").frame() for name in bars}
    return all(
        stored[name].equals(one.take(slice(0, n_bars)).frame()) for name, one in bars.items()
    )


def files(folder: Path, ending: str) -> list[Path]:
    return sorted(path for path in folder.rglob(f"*{ending}") if path.is_file())


def test_a_close_of_many_instruments_is_one_file_and_a_second_time_none(tmp_path: Path) -> None:
    store, bars = Store(tmp_path), market()
    assert store.append_closes("binance", rows(bars, 0, 1)) == len(bars)
    assert store.append_closes("binance", rows(bars, 0, 2)) == len(bars)
    assert store.append_closes("binance", rows(bars, 0, 2)) == 0
    assert store.append_closes("binance", {}) == 0
    assert len(files(tmp_path, ".arrow")) == 2
    assert same(Store(tmp_path), bars, 2)
    assert Store(tmp_path).series() == [("binance", name, Timeframe.H1) for name in NAMES]


def test_closes_of_several_timeframes_are_refused(tmp_path: Path) -> None:
    mixed = {
        name: some_bars(name, 3, timeframe=step)
        for name, step in zip(NAMES, (Timeframe.H1, Timeframe.M1), strict=False)
    }
    with pytest.raises(DataError, match="must be of one timeframe, was 1h, 1m"):
        Store(tmp_path).append_closes("binance", mixed)
    assert list(tmp_path.iterdir()) == []


def test_a_fold_is_spread_over_appends_and_the_number_of_files_is_bounded(tmp_path: Path) -> None:
    store, reader, bars = Store(tmp_path), Store(tmp_path), market()
    most = months = 0
    for number in range(3 * COMPACT_AT):
        store.append_closes("binance", rows(bars, number, number + 1))
        filed = len(files(tmp_path, ".parquet"))
        assert filed - months <= 2 * 2  # two instruments at one append, of two months at most
        months = filed
        most = max(most, len(files(tmp_path, ".arrow")))
        assert len(reader.bars("binance", NAMES[number % 20], "1h")) == number + 1
    assert COMPACT_AT < most <= COMPACT_AT + 16
    assert len(files(tmp_path, ".folded")) == 2
    assert months == len(NAMES)
    assert same(Store(tmp_path), bars, 3 * COMPACT_AT)


@settings(max_examples=10, deadline=None)
@given(st.sets(st.integers(0, 79), max_size=5))
def test_a_reader_that_comes_when_it_likes_sees_what_a_new_one_sees(visits: set[int]) -> None:
    bars = market(NAMES[:2])
    with TemporaryDirectory() as folder:
        writer, reader = Store(folder), Store(folder)
        for number in range(80):
            writer.append_closes("binance", rows(bars, number, number + 1))
            if number % 10 == 3:
                writer.compact()
            if number in visits:
                assert same(reader, bars, number + 1)
        assert same(reader, bars, 80)
        assert len(files(Path(folder), ".folded")) == RECEIPTS_KEPT


def test_a_reader_that_saw_each_close_needs_no_month(tmp_path: Path) -> None:
    writer, reader, bars = Store(tmp_path), Store(tmp_path), market()
    for number in range(3 * COMPACT_AT):
        writer.append_closes("binance", rows(bars, number, number + 1))
        assert len(reader.bars("binance", NAMES[0], "1h")) == number + 1
        for name in NAMES if number == 0 else ():
            reader.bars("binance", name, "1h")
    shutil.rmtree(tmp_path / "bars")
    assert same(reader, bars, 3 * COMPACT_AT)
    assert not same(Store(tmp_path), bars, 3 * COMPACT_AT)


def test_a_reader_looks_again_if_a_receipt_is_torn(tmp_path: Path) -> None:
    writer, reader, bars = Store(tmp_path), Store(tmp_path), market()
    writer.append_closes("binance", rows(bars, 0, 1))
    assert same(reader, bars, 1)
    writer.append_closes("binance", rows(bars, 1, 2))
    writer.compact()
    (receipt,) = files(tmp_path, ".folded")
    receipt.write_bytes(b"")
    assert same(reader, bars, 2)


def test_a_process_that_dies_amid_a_fold_leaves_what_another_one_ends(tmp_path: Path) -> None:
    store, bars = Store(tmp_path), market()
    for number in range(COMPACT_AT + 2):
        store.append_closes("binance", rows(bars, number, number + 1))
    assert 0 < len(files(tmp_path / "bars", ".parquet")) < len(NAMES)
    again = Store(tmp_path)
    assert same(again, bars, COMPACT_AT + 2)
    assert again.append_closes("binance", rows(bars, COMPACT_AT, COMPACT_AT + 3)) == len(NAMES)
    assert again.compact() == COMPACT_AT + 3
    assert files(tmp_path, ".arrow") == []
    for reader in (again, store, Store(tmp_path)):
        assert same(reader, bars, COMPACT_AT + 3)


@settings(max_examples=15, deadline=None)
@given(st.floats(0, 1, exclude_max=True))
def test_a_torn_close_is_lost_for_all_instruments_and_can_be_given_again(share: float) -> None:
    bars = market(NAMES[:5])
    with TemporaryDirectory() as folder:
        store = Store(folder)
        store.append_closes("binance", rows(bars, 0, 7))
        store.append_closes("binance", rows(bars, 7, 8))
        last = files(Path(folder), ".arrow")[-1]
        last.write_bytes(last.read_bytes()[: int(share * last.stat().st_size)])
        again = Store(folder)
        assert same(again, bars, 7)
        assert again.n_torn == 1
        assert again.append_closes("binance", rows(bars, 5, 9)) == 10
        again.compact()
        assert same(Store(folder), bars, 9)


def as_before(folder: Path, bars: Bars) -> SegmentLog:
    """A series as the first version laid it out: its own segments beside its months."""
    parts = ("bars", "binance", bars.instrument.replace("/", "-"), "1h")
    log = SegmentLog(LocalFolder(folder).under(*parts), BARS)
    frame = bars.frame().reset_index()
    with log.locked():
        log.append(frame.assign(revision=0, known_at=frame["closed_at"]))
    return log


def test_a_store_of_the_first_layout_is_read_and_goes_on(tmp_path: Path) -> None:
    bars = market(NAMES[:2])
    for one in bars.values():
        as_before(tmp_path, one.take(slice(0, 300))).compact()
        as_before(tmp_path, one.take(slice(300, 302)))
    store = Store(tmp_path)
    assert same(store, bars, 302)
    assert store.append_closes("binance", rows(bars, 299, 310)) == 2 * 8
    assert same(Store(tmp_path), bars, 310)
    assert store.compact() == 3
    assert files(tmp_path, ".arrow") == []
    for reader in (store, Store(tmp_path)):
        assert same(reader, bars, 310)
        assert len(reader.series()) == 2


def revised(bars: Bars, row: int) -> Bars:
    volume = bars.volume.copy()
    volume[row] += 1.0
    return replace(bars, volume=volume)


visits = st.lists(
    st.tuples(
        st.integers(0, 30),
        st.integers(0, 4),
        st.none() | st.integers(0, 30),
        st.none() | st.integers(0, 40),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=25, deadline=None)
@given(visits)
def test_instruments_kept_together_are_kept_as_each_by_itself(
    visited: list[tuple[int, int, int | None, int | None, bool]],
) -> None:
    known, instants = market(NAMES[:3]), list[datetime]()
    with TemporaryDirectory() as folder:
        together, apart = Store(Path(folder, "a")), Store(Path(folder, "b"))
        for first, n_bars, row, hour, wild in visited:
            told = rows(known, first, first + n_bars)
            if row is not None:
                name = NAMES[row % 3]
                told = rows({**known, name: revised(known[name], row)}, first, first + n_bars)
            if wild and n_bars:
                prices = {one: getattr(told[NAMES[0]], one) * 1e4 for one in PRICE_COLUMNS[:4]}
                told[NAMES[0]] = replace(told[NAMES[0]], **prices)
            seen = (
                None if hour is None else datetime(2024, 1, 1 + hour // 24, hour % 24, tzinfo=UTC)
            )
            instants += [] if seen is None else [seen]
            n_each = [apart.append_bars("binance", one, seen) for one in told.values()]
            assert together.append_closes("binance", told, seen) == sum(n_each)
        for name in NAMES[:3]:
            for as_of in (None, *instants):
                found = [
                    one.bars("binance", name, "1h", as_of).frame()
                    for one in (together, apart, Store(Path(folder, "a")))
                ]
                assert found[0].equals(found[1])
                assert found[0].equals(found[2])
            aside = [one.quarantine("binance", name, "1h") for one in (together, apart)]
            pd.testing.assert_frame_equal(*aside)


def test_bars_that_were_given_out_never_change(tmp_path: Path) -> None:
    store, bars = Store(tmp_path), market(NAMES[:1])
    store.append_closes("binance", rows(bars, 0, 100))
    views = [(store.bars("binance", NAMES[0], "1h"), bars[NAMES[0]].take(slice(0, 100)))]
    for number in range(100, 300):
        store.append_closes("binance", rows(bars, number, number + 1))
        if number % 50 == 7:
            changed = {NAMES[0]: revised(bars[NAMES[0]], number - 3).take(slice(0, number))}
            store.append_closes("binance", changed)
            store.append_closes("binance", rows(bars, 0, number + 1))
        if number % 20 == 0:
            expected = bars[NAMES[0]].take(slice(0, number + 1))
            views.append((store.bars("binance", NAMES[0], "1h"), expected))
    assert all(found.frame().equals(expected.frame()) for found, expected in views)


def test_in_an_object_store_a_close_is_one_object_and_folds_lose_nothing(bucket: str) -> None:
    store, reader, bars = Store(bucket), Store(bucket), market(NAMES[:2])
    assert same(reader, bars, 0)
    for number in range(COMPACT_AT + 3):
        assert store.append_closes("binance", rows(bars, number, number + 1)) == 2
        if number % 9 == 0:
            assert same(reader, bars, number + 1)
    names = open_folder(bucket).under("arrivals", "binance", "1h").names()
    assert len([name for name in names if name.endswith(".arrow")]) < 10
    for one in (reader, Store(bucket)):
        assert same(one, bars, COMPACT_AT + 3)


def test_a_stored_row_that_is_no_bar_is_refused_by_name(tmp_path: Path) -> None:
    bars = some_bars(NAMES[0], 3)
    frame = bars.frame().reset_index()
    frame.loc[1, "close"] = np.nan
    log = SegmentLog(LocalFolder(tmp_path).under("bars", "binance", "C00-USDT", "1h"), BARS)
    with log.locked():
        log.append(frame.assign(revision=0, known_at=frame["closed_at"]))
    with pytest.raises(DataError, match=r"2024-01-01T02:00:00.* must hold finite numbers"):
        Store(tmp_path).bars("binance", NAMES[0], "1h")
