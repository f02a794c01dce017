"""Whatever the bytes: one report, no traceback, and nothing of a refused file in the store."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.data.storage.store import Store
from tests.dexml.data.feeds.recordings import bar_table, only

_ODD = st.sampled_from(["", "nan", "inf", "-1", "1e400", "x", "9" * 30, "\x00", '"', "2024-13-45"])
_CELL = st.one_of(_ODD, st.text(max_size=6), st.integers().map(str))
_NAMES = ("timestamp", "date", "open", "high", "low", "close", "volume", "title", "value", "symbol")


def assert_stored_whole_or_refused(name: str, content: bytes) -> None:
    with TemporaryDirectory() as place:
        path, home = Path(place) / name, Path(place) / "store"
        path.write_bytes(content)
        report = only(path, home)
        store = Store(home)
        held = (
            sum(len(store.bars(*series)) for series in store.series()),
            len(store.news()),
            len(store.macro()),
        )
        assert sum(held) == report.stored
        if not report.understood_as:
            assert report.stored == report.rows == 0
            assert report.refused > 0
            assert report.reason


@given(st.sampled_from([".csv", ".parquet", ".json", ".csv.gz", ".bin"]), st.binary(max_size=400))
def test_random_bytes(ending: str, content: bytes) -> None:
    assert_stored_whole_or_refused(f"okx_BTCUSDT{ending}", content)


@given(
    st.lists(st.sampled_from(_NAMES), min_size=1, max_size=8),
    st.lists(st.lists(_CELL, max_size=8), max_size=8),
)
def test_random_tables(columns: list[str], rows: list[list[str]]) -> None:
    text = "\n".join(",".join(row) for row in [columns, *rows])
    for name in ("okx_BTCUSDT.csv", "vix.csv"):
        assert_stored_whole_or_refused(name, text.encode("utf-8", errors="replace"))


@given(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 5), _CELL), max_size=12))
def test_sound_bars_with_broken_cells(edits: list[tuple[int, int, str]]) -> None:
    rows = bar_table(30).astype("string").to_numpy().tolist()
    for row, column, cell in edits:
        rows[row][column] = cell.replace(",", " ").replace("\n", " ")
    text = "\n".join(",".join(map(str, row)) for row in [[*bar_table(1).columns], *rows])
    content = text.encode("utf-8", errors="replace")
    assert_stored_whole_or_refused("okx_BTCUSDT.csv", content)
    assert_stored_whole_or_refused("okx_BTCUSDT.csv.gz", gzip.compress(content))


@settings(max_examples=60)
@given(st.data())
def test_damaged_parquet(data: st.DataObject) -> None:
    with TemporaryDirectory() as place:
        path = Path(place) / "whole.parquet"
        bar_table(40).to_parquet(path)
        content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(content)))
    whole = data.draw(st.booleans())
    assert_stored_whole_or_refused(
        "okx_BTCUSDT.parquet", bytes(content if whole else content[:cut])
    )


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_JSON, st.lists(st.lists(st.one_of(st.integers(), _CELL), min_size=8, max_size=8)))
def test_any_json(answer: object, rows: list[list[object]]) -> None:
    for content in (answer, {"error": [], "result": {"XBTUSD": rows, "last": 1}}):
        assert_stored_whole_or_refused("kraken.json", json.dumps(content).encode())
