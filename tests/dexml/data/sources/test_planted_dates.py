"""Wrong dates that no audit of features can see: sources and store must not believe them."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pandas as pd
import pytest

from dexml.data.recorded.series_tables import parse_series
from dexml.data.recorded.tables import read_table
from dexml.data.sources.context import Context
from dexml.data.sources.macro import MacroUpdate
from dexml.data.sources.news import NewsUpdate
from dexml.data.sources.series import SERIES
from dexml.data.storage.store import Store
from dexml.domain import History
from dexml.features.macro import macro_features
from tests.dexml.features.histories import walk

FIRST = datetime(2024, 1, 10, 12, tzinfo=UTC)
SECOND = FIRST + timedelta(hours=24)
LATER = FIRST + timedelta(hours=6)


def _values(*rows: tuple[str, str, float]) -> pd.DataFrame:
    period, known, value = zip(*rows, strict=True)
    stamps = [pd.to_datetime(list(one), utc=True).as_unit("ns") for one in (period, known)]
    return pd.DataFrame(
        {"series": "vix", "period_at": stamps[0], "known_at": stamps[1], "value": list(value)}
    )


class _Backdating:
    """A source that dates everything as if it had always been there."""

    name, series = "backdating", ("vix",)

    def __init__(self) -> None:
        self.answers = [
            (FIRST, _values(("2024-01-08", "2024-01-09", 20.0))),
            (
                SECOND,
                _values(("2024-01-08", "2024-01-09", 29.0), ("2024-01-09", "2024-01-10", 21.0)),
            ),
        ]

    def fetch(self, since: datetime | None = None) -> MacroUpdate:
        at, rows = self.answers.pop(0)
        return MacroUpdate(macro=rows, fetched_at={"vix": at}, failed={})


def test_what_a_source_dates_into_the_past_is_known_from_when_it_was_seen(tmp_path: Path) -> None:
    store = Store(tmp_path)
    context = Context(store, news=(), series=(_Backdating(),))
    context.poll()
    context.poll()
    kept = store.macro().set_index("value")["known_at"]
    assert kept[20.0] == pd.Timestamp("2024-01-09", tz="UTC")
    assert kept[29.0] == kept[21.0] == pd.Timestamp(SECOND)
    assert store.macro(as_of=SECOND - timedelta(seconds=1))["value"].tolist() == [20.0]


def test_a_final_value_under_the_first_date_never_reaches_the_bars_before_it(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path)
    store.append_macro(_values(("2023-03-04", "2023-03-05T08:00", 20.0)))
    store.append_macro(_values(("2023-03-04", "2023-03-05T08:00", 99.0)))
    history = History(bars={"BTC/USDT": walk(n=200)}, macro=store.macro())
    at_release = pd.Timestamp("2023-03-05T08:00").to_datetime64()
    closes = history.bars["BTC/USDT"].closed_at
    seen = macro_features(history.macro, closes)["vix"]["value"]
    assert seen[closes == at_release].tolist() == [20.0]


def test_a_headline_that_was_published_before_it_is_known_is_cut_off_by_what_is_known(
    tmp_path: Path,
) -> None:
    published = pd.Timestamp("2024-01-01T10:10", tz="UTC").as_unit("ns")
    known = published + pd.Timedelta(hours=2)
    row = {"published_at": published, "known_at": known, "source": "wire", "title": "Bitcoin up"}
    store = Store(tmp_path)
    store.append_news(pd.DataFrame([row | {"instruments": "BTC/USDT", "score": 0.5}]))
    assert store.news(as_of=known - timedelta(seconds=1)).empty
    assert len(store.news(as_of=known)) == 1


class _Leading:
    """A news source that tells at its second visit what it dates before its first."""

    name = "leading"

    def __init__(self) -> None:
        self.visits = [FIRST, LATER]

    def fetch(self, since: datetime | None = None) -> NewsUpdate:
        at = self.visits.pop(0)
        stamp = pd.Timestamp(FIRST - timedelta(hours=1)).as_unit("ns")
        row = {"published_at": stamp, "known_at": stamp, "source": "wire", "score": 0.5}
        titles = ["Bitcoin up"] if at == FIRST else ["Bitcoin up", "Ether hacked"]
        news = pd.DataFrame([row | {"title": one, "instruments": ""} for one in titles])
        return NewsUpdate(news=news.assign(fetched_at=at), fetched_at=at, n_refused=0)


def test_a_headline_told_late_is_not_known_before_it_was_told(tmp_path: Path) -> None:
    store = Store(tmp_path)
    context = Context(store, news=(_Leading(),), series=())
    context.poll()
    context.poll()
    assert store.news(as_of=LATER - timedelta(seconds=1))["title"].tolist() == ["Bitcoin up"]
    assert store.news(as_of=LATER)["title"].tolist() == ["Bitcoin up", "Ether hacked"]


@pytest.mark.parametrize("name", sorted(SERIES))
def test_no_registered_series_is_known_on_the_stamp_of_its_period(name: str) -> None:
    days = pd.date_range("2024-03-01", "2024-12-01", freq="D", tz="UTC")
    assert (SERIES[name].release.known_at(days) > days).all()


@pytest.mark.parametrize(("name", "value"), [("vix", 13.3), ("dxy", 102.4), ("us10y", 4.2)])
def test_a_day_of_new_york_is_known_after_its_close_in_summer_and_winter(
    name: str, value: float, tmp_path: Path
) -> None:
    file = tmp_path / f"{name}_daily.csv"
    file.write_text(f"date,close\n2024-01-05,{value}\n2024-07-05,{value}\n", encoding="utf-8")
    known = parse_series(file, read_table(file), None).macro["known_at"]
    assert (known.dt.tz_convert("America/New_York").dt.time >= time(17)).all()
    assert known.dt.date.astype(str).tolist() == ["2024-01-05", "2024-07-05"]
