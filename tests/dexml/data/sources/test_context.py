from __future__ import annotations

import resource
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from dexml.data.sources.context import Context
from dexml.data.sources.news import NewsUpdate, headline_table
from dexml.data.storage.store import Store
from dexml.errors import EnvironmentRefused

START = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass
class Recorded:
    """A news source that brings a table at its next visit."""

    name: str
    visits: list[pd.DataFrame] = field(default_factory=list)

    def fetch(self, since: datetime | None = None) -> NewsUpdate:
        table = self.visits.pop(0) if self.visits else headlines([])
        newest = START if table.empty else table["known_at"].max().to_pydatetime()
        return NewsUpdate(news=table, n_refused=0, fetched_at=newest)


def headlines(days: list[int], source: str = "Wire") -> pd.DataFrame:
    rows = [
        {
            "published_at": START + timedelta(days=day),
            "known_at": START + timedelta(days=day),
            "source": source,
            "title": f"Large bank buys coin number {day} for its fund",
            "instruments": "",
            "score": 0.0,
        }
        for day in days
    ]
    return headline_table(rows, START)


def test_a_restart_recalls_what_may_be_told_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    Context(store, (Recorded("a", [headlines([0, 9])]),), ()).poll()
    again = Context(store, (Recorded("a", [headlines([9, 10], "Echo")]),), ())
    assert again.poll().n_news == 1
    assert list(store.news()["source"]) == ["Wire", "Wire", "Echo"]


def test_what_a_full_disk_refused_is_read_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    page = headlines([1, 2])
    context = Context(store, (Recorded("a", [headlines([0]), page, page]),), ())
    context.poll()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(EnvironmentRefused, match="must have room"):
            context.poll()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert context.poll().n_news == 2
    assert len(store.news()) == 3


def test_an_archive_that_comes_late_repeats_no_story_of_the_store(tmp_path: Path) -> None:
    store = Store(tmp_path)
    Context(store, (Recorded("a", [headlines(list(range(30)))]),), ()).poll()
    archive = Recorded("archive", [headlines([2, 3, 40], "Echo")])
    assert Context(store, (archive,), ()).poll().n_news == 1
