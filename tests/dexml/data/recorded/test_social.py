from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dexml.clock import SimulatedClock
from dexml.data.recorded.social import RecordedSocial, SocialSource
from dexml.data.sources.context import Context
from dexml.data.storage.store import Store
from dexml.errors import DataError
from dexml.features.macro import macro_features

START = datetime(2022, 1, 11, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    hours = pd.date_range(START, periods=48, freq="h").delete([5, 6, 7])
    frame = pd.DataFrame({"date_hour": hours, "sentiment": np.linspace(-1, 1, 45)})
    path = tmp_path / "bitcoin_tweet_hourly_sentiment.csv"
    frame.to_csv(path, index=False)
    return path


def test_an_hour_is_known_when_it_has_ended(recording: Path) -> None:
    clock = SimulatedClock(START + timedelta(minutes=59))
    source: SocialSource = RecordedSocial(recording, clock)
    assert source.name == "social_btc"
    assert len(source.fetch().macro) == 0
    clock.advance(timedelta(minutes=1))
    rows = source.fetch().macro
    assert list(rows["period_at"]) == [pd.Timestamp(START)]
    assert list(rows["known_at"]) == [pd.Timestamp(START + HOUR)]


def test_each_visit_brings_what_is_new_and_holes_stay(recording: Path, tmp_path: Path) -> None:
    clock = SimulatedClock(START)
    store = Store(tmp_path / "store")
    context = Context(store, (), (RecordedSocial(recording, clock),))
    brought = []
    for _ in range(48):
        clock.advance(HOUR)
        brought.append(context.poll().n_macro)
    assert [hour for hour, count in enumerate(brought) if count == 0] == [5, 6, 7]
    assert sum(brought) == len(store.macro()) == 45


def test_no_bar_sees_the_hour_that_it_closes_in(recording: Path) -> None:
    rows = RecordedSocial(recording, SimulatedClock(START + 100 * HOUR)).fetch().macro
    closes = pd.date_range(START + HOUR, periods=3, freq="30min").tz_localize(None).to_numpy()
    values = macro_features(rows, closes)["social_btc"]["value"]
    np.testing.assert_array_equal(values, rows["value"].to_numpy()[[0, 0, 1]])


def test_a_series_of_another_kind_is_refused(tmp_path: Path) -> None:
    days = pd.date_range(START, periods=48, freq="D")
    pd.DataFrame({"date": days, "value": 40.0}).to_csv(tmp_path / "fear_greed.csv", index=False)
    with pytest.raises(DataError, match="must have a name that begins with social_, was fear"):
        RecordedSocial(tmp_path / "fear_greed.csv", SimulatedClock(START))


def test_what_stops_is_stale_and_ages(recording: Path) -> None:
    rows = RecordedSocial(recording, SimulatedClock(START + 100 * HOUR)).fetch().macro
    closes = pd.date_range(START + 48 * HOUR, periods=10, freq="h").tz_localize(None).to_numpy()
    joined = macro_features(rows, closes)["social_btc"]
    assert list(joined["stale"]) == [0.0] * 5 + [1.0] * 5
    np.testing.assert_allclose(joined["age"], (1 + np.arange(10)) / 24)
