"""Columns that came later: what was stored without them stays readable."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa

from dexml.data.storage.schemas import NEWS
from dexml.data.storage.segments import SegmentLog
from dexml.data.storage.store import Store
from dexml.domain import NEWS_COLUMNS
from dexml.folders import open_folder

SEEN_AT = pd.Timestamp("2024-01-05", tz="UTC").as_unit("ns")


def news(n_rows: int) -> pd.DataFrame:
    published = pd.date_range("2024-01-01", periods=n_rows, freq="h", tz="UTC").as_unit("ns")
    rows = pd.DataFrame({"published_at": published, "known_at": published + pd.Timedelta("1min")})
    rows["title"] = [f"headline {row}" for row in range(n_rows)]
    return rows.assign(source="wire", instruments="BTC/USDT", score=0.5)


def test_when_a_headline_was_fetched_is_kept_and_reaches_no_history(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append_news(news(3).assign(fetched_at=SEEN_AT))
    again = news(4).assign(fetched_at=SEEN_AT + pd.Timedelta(hours=1))
    assert store.append_news(again) == 1
    store.compact()
    for kept in (store.headlines(), Store(tmp_path).headlines()):
        assert (kept["fetched_at"] - SEEN_AT == pd.to_timedelta([0, 0, 0, 1], unit="h")).all()
    as_of = datetime(2024, 1, 1, 1, 1, tzinfo=UTC)
    assert list(store.headlines(as_of)["fetched_at"]) == [SEEN_AT] * 2
    assert tuple(store.history((), (), "1h").news.columns) == NEWS_COLUMNS


def test_a_store_made_before_that_was_kept_is_read_added_to_and_compacted(tmp_path: Path) -> None:
    before = pa.schema([field for field in NEWS if field.name != "fetched_at"])
    old = SegmentLog(open_folder(tmp_path).under("news"), before)
    for n_rows, fold in ((2, True), (3, False)):  # a month's file, and a segment
        with old.locked():
            old.append(news(n_rows)[len(old.read()) :])
        if fold:
            old.compact()
    store = Store(tmp_path)
    assert store.headlines()["fetched_at"].isna().tolist() == [True] * 3
    assert store.append_news(news(4).assign(fetched_at=SEEN_AT)) == 1
    store.compact()
    kept = Store(tmp_path).headlines()
    assert kept["fetched_at"].isna().tolist() == [True, True, True, False]
    assert kept["fetched_at"].dtype == kept["known_at"].dtype
    pd.testing.assert_frame_equal(kept[list(NEWS_COLUMNS)], store.news())
