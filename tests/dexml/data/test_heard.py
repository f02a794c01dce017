"""What `dexml status` tells of headlines and series, at any instant, and when they are stale."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from dexml.data.heard import heard, heard_lines
from dexml.data.storage.store import Store
from dexml.domain import to_datetime
from tests.dexml.features.histories import some_macro, some_news, walk


@pytest.fixture
def store(tmp_path: Path) -> Store:
    bars = walk("BTC/USDT", 200)
    opened = Store(tmp_path)
    opened.append_news(some_news(bars))
    opened.append_macro(some_macro(bars))
    return opened


@pytest.fixture
def end() -> datetime:
    return to_datetime(walk("BTC/USDT", 200).closed_at[-1])


def test_of_each_it_tells_the_newest_that_was_known(store: Store, end: datetime) -> None:
    for at in (end - timedelta(days=3), end):
        rows = {one["name"]: one for one in heard(store, at)}
        news, macro = store.news(at), store.macro(at)
        assert set(rows) == {"headlines", *macro["series"]}
        assert rows["headlines"]["n"] == len(news)
        assert rows["headlines"]["newest_at"] == news["known_at"].max().isoformat()
        for name, known in macro.groupby("series"):
            newest = known.sort_values("period_at").iloc[-1]
            assert rows[str(name)]["value"] == newest["value"]
            assert rows[str(name)]["period_at"] == newest["period_at"].isoformat()
        assert not any(one["stale"] for one in rows.values())


def test_what_nobody_added_to_for_long_is_stale(store: Store, end: datetime) -> None:
    stale = {one["name"]: one["stale"] for one in heard(store, end + timedelta(days=2))}
    assert stale.pop("headlines")
    assert not any(stale.values())  # daily series: four of their periods are not over
    assert all(one["stale"] for one in heard(store, end + timedelta(days=9)))


def test_a_store_without_any_is_silent(tmp_path: Path, end: datetime) -> None:
    assert heard(Store(tmp_path / "empty"), end) == []
    assert list(heard_lines([])) == []


def test_people_read_how_new_each_is(store: Store, end: datetime) -> None:
    title, first, *others = heard_lines(heard(store, end + timedelta(days=9)))
    assert title == "news and series:"
    assert first.split()[0] == "headlines"
    assert all(line.endswith("; stale") for line in (first, *others))
