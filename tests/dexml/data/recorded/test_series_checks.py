"""What a file of values may not do: be early, be dated ahead, or say what cannot be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dexml.data.recorded.importing import ImportOptions, files_under, import_files
from dexml.data.recorded.imports import FileReport
from dexml.data.sources.plausible import implausible
from dexml.data.sources.series import SERIES, AfterPeriod, SeriesSpec
from dexml.data.storage.store import Store

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
LOOSE = SeriesSpec(name="loose", release=AfterPeriod(lag=timedelta(0)), unit="", doc="")


def imported(
    folder: Path, rows: pd.DataFrame, name: str = "vix_daily.csv", **options: object
) -> FileReport:
    rows.to_csv(folder / name, index=False)
    given = ImportOptions(now=NOW, **options)  # type: ignore[arg-type]
    (report,) = import_files(files_under([folder / name]), Store(folder / "store"), given)
    return report


def days(n_days: int = 60, value: float = 15.0) -> pd.DataFrame:
    dates = pd.date_range("2024-01-01", periods=n_days).strftime("%Y-%m-%d")
    return pd.DataFrame({"date": dates, "close": value + np.arange(n_days) % 3})


@pytest.mark.parametrize("hours", [0, 21])
def test_a_lag_below_the_release_of_a_known_series_is_refused(tmp_path: Path, hours: int) -> None:
    lag = timedelta(hours=hours)
    by_name = imported(tmp_path, days(), lag=lag)
    asked = imported(tmp_path, days(), "anything.csv", lag=lag, series="vix")
    for report in (by_name, asked):
        assert (report.understood_as, report.stored) == ("", 0)
        assert "vix known no earlier than it is released, 22 h after its stamp" in report.reason
        assert f"was --lag {f'{hours} h' if hours else '0 min'}" in report.reason


def test_a_longer_lag_and_any_lag_of_an_unknown_series_are_taken(tmp_path: Path) -> None:
    assert "known 22 h later" in imported(tmp_path, days(), lag=timedelta(hours=22)).understood_as
    mine = imported(tmp_path, days(), "mine.csv", lag=timedelta(0), series="mine")
    assert (mine.stored, mine.understood_as[:11]) == (60, "series mine")


def test_what_is_dated_ahead_or_not_released_yet_is_left_out(tmp_path: Path) -> None:
    rows = pd.concat([days(61), pd.DataFrame({"date": ["2030-01-01"], "close": [20.0]})])
    report = imported(tmp_path, rows)
    assert (report.read, report.stored, report.refused) == (62, 60, 2)
    assert "in the future: 1, first in row 61" in report.reason
    assert "not released yet: 1, first in row 60" in report.reason  # today's is known tonight


@pytest.mark.parametrize("wrong", [1e9, -3.0, 0.0])
def test_a_value_that_cannot_be_is_left_out_by_name_and_row(tmp_path: Path, wrong: float) -> None:
    rows = days()
    rows.loc[30, "close"] = wrong
    report = imported(tmp_path, rows)
    assert (report.stored, report.refused) == (59, 1)
    assert report.reason == "not between 1 and 500: 1, first in row 30"
    assert Store(tmp_path / "store").macro()["value"].between(15, 17).all()


def test_in_a_series_without_bounds_a_lone_value_far_from_its_neighbours_is_left_out(
    tmp_path: Path,
) -> None:
    rows = days(60, 3.0)
    rows.loc[59, "close"] = 300.0
    rows.loc[30:, "close"] *= 60  # a level that stays is data
    report = imported(tmp_path, rows, "mine.csv", lag=timedelta(0), series="mine")
    assert report.reason == "over 50 times its neighbours: 1, first in row 59"
    assert report.stored == 59


def test_calm_series_and_zeros_are_plausible() -> None:
    for values in ([0.0] * 9, [5.0] * 9, [0.0, 0.0, 0.25, 0.0], [7.0], [1e-5, 4e-4, 1e-5]):
        assert not implausible(LOOSE, np.array(values)).any(), values
    assert not implausible(SERIES["funding_binance_btc"], np.array([3e-3, -3e-3, np.nan])).any()
