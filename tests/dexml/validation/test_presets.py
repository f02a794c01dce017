from __future__ import annotations

import pandas as pd
import pytest

from dexml.errors import ConfigError, DataError
from dexml.validation.presets import PRESETS, WalkForward, preset


def test_the_seed_learns_from_100_to_252_days_and_judges_30() -> None:
    days = pd.date_range("2020-01-01", periods=400, tz="UTC")
    windows = preset("seed").splits(days)
    judged = [row for window in windows for row in window.test]
    assert [len(window.train) for window in windows] == [100, 130, 160, 190, 220, 250, *[252] * 4]
    assert {len(window.test) for window in windows[:-1]} == {30}
    assert judged == list(range(101, 400))  # each once: a day is purged, the horizon
    assert all(days[one.test[0]] - days[one.train[-1]] == pd.Timedelta("2D") for one in windows)


def test_hourly_windows_are_those_of_the_specification() -> None:
    hours = pd.date_range("2020-01-01", periods=8_760 + 21 + 24 + 2 * 720, freq="h")
    windows = preset("hourly").splits(hours, horizon=1, look_back=20, embargo=24)
    assert [(len(one.train), len(one.test)) for one in windows] == [(8_760, 720)] * 2
    assert windows[0].test[0] == 8_760 + 45
    assert windows[0].train[0] == 0
    assert windows[1].train[0] == 720


def test_anchored_windows_begin_with_half_a_year_and_forget_nothing() -> None:
    hours = pd.date_range("2020-01-01", periods=10_000, freq="h")
    windows = preset("anchored").splits(hours)
    assert len(windows[0].train) == 4_380
    assert all(one.train[0] == 0 for one in windows)
    assert len(windows[-1].train) > 8_760


def test_a_preset_counts_bars_whatever_the_timeframe() -> None:
    for name in PRESETS:
        hourly, daily = (
            preset(name).splits(pd.date_range("2020-01-01", periods=10_000, freq=freq))
            for freq in ("h", "D")
        )
        assert [one.train.tolist() for one in hourly] == [one.train.tolist() for one in daily]


@pytest.mark.parametrize(
    ("bars", "message"),
    [
        ((0, 10, 5), "walk-forward.train must be at least 1, was 0"),
        ((10, 0, 5), "walk-forward.test must be at least 1, was 0"),
        ((10, 5, 0), "walk-forward.least must be at least 1, was 0"),
        ((10, 5, 11), "walk-forward.least must be at most train = 10, was 11"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(bars: tuple[int, int, int], message: str) -> None:
    train, test, least = bars
    with pytest.raises(ConfigError, match=message):
        WalkForward(train=train, test=test, least=least)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="must be one of hourly, anchored, seed, was weekly"):
        preset("weekly")


def test_a_history_shorter_than_the_first_window_is_refused() -> None:
    with pytest.raises(DataError, match="needs more than 101 days"):
        preset("seed").splits(pd.date_range("2020-01-01", periods=101))
