"""What a file loses is told in numbers that add up, and lies in quarantine as it came."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexml.data.recorded.importing import ImportOptions, files_under, import_files
from dexml.data.recorded.imports import FileReport
from dexml.data.storage.quarantine import MOST_KEPT
from dexml.data.storage.store import Store
from dexml.domain import PRICE_COLUMNS
from tests.random_walk import some_bars

NOW = datetime(2026, 11, 23, tzinfo=UTC)
PRICES = list(PRICE_COLUMNS[:4])


def table(n_rows: int = 400) -> pd.DataFrame:
    frame = some_bars("BTC/USDT", n_rows).frame()
    opened = pd.DatetimeIndex(frame.index) - pd.Timedelta(hours=1)
    return frame.assign(timestamp=opened.as_unit("ns").asi8 // 10**6).reset_index(drop=True)


def imported(folder: Path, rows: pd.DataFrame, name: str = "binance_BTCUSDT.csv") -> FileReport:
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_csv(folder / name, index=False)
    store = Store(folder / "store")
    (report,) = import_files(files_under([folder / name]), store, ImportOptions(now=NOW))
    return report


def quarantined(folder: Path) -> pd.DataFrame:
    return Store(folder / "store").quarantine("binance", "BTC/USDT", "1h")


def adds_up(report: FileReport, n_rows: int) -> None:
    assert report.read == n_rows == report.rows + report.refused + report.aside
    assert report.rows == report.stored + report.known


def test_rows_that_are_no_bars_lie_in_quarantine_as_they_came(tmp_path: Path) -> None:
    rows = table()
    rows.loc[395, "close"] = np.nan
    rows.loc[396, "open"] = -1.0
    rows.loc[397, PRICES] *= 1_000.0
    rows.loc[300, "low"] = rows.loc[300, "high"] * 2
    rows.loc[301, "timestamp"] += 10 * 365 * 86_400_000
    report = imported(tmp_path, rows)
    adds_up(report, 400)
    found = quarantined(tmp_path).set_index("reason")
    assert sorted(found.index) == [
        "high or low",
        "in the future",
        "not a number",
        "price jump",
        "price not positive",
    ]
    assert np.isnan(found.loc["not a number", "close"])
    assert found.loc["price not positive", "open"] == -1.0
    assert found.loc["price jump", "high"] == rows.loc[397, "high"]
    assert (found["known_at"] == pd.Timestamp(NOW)).all()
    closes = Store(tmp_path / "store").bars("binance", "BTC/USDT", "1h").closed_at
    stamps = pd.DatetimeIndex(found["closed_at"]).asi8.view("M8[ns]")
    assert not np.isin(stamps, closes).any()


def test_what_the_store_does_not_believe_is_counted_with_its_reason(tmp_path: Path) -> None:
    rows = table()
    rows.loc[50:70, PRICES] *= 1_000.0  # too many in a row for their neighbours to outvote them
    report = imported(tmp_path, rows)
    adds_up(report, 400)
    assert (report.read, report.rows, report.refused, report.aside) == (400, 378, 1, 21)
    assert "21 set aside in quarantine (price jump: 21)" in report.reason
    assert len(quarantined(tmp_path)) == 21
    again = imported(tmp_path, rows)
    assert (again.stored, again.known, again.aside) == (0, 378, 21)
    assert len(quarantined(tmp_path)) == 21


def test_other_numbers_than_those_stored_are_kept_beside_them(tmp_path: Path) -> None:
    rows = table()
    imported(tmp_path, rows)
    rows.loc[10, "close"] = rows.loc[10, ["open", "high"]].mean()
    report = imported(tmp_path, rows, "binance_BTCUSDT_2.csv")
    adds_up(report, 400)
    found = quarantined(tmp_path)
    assert found["reason"].tolist() == ["other numbers are stored"]
    assert found["close"][0] == pytest.approx(rows.loc[10, "close"])


def test_a_row_that_is_there_twice_alike_is_nothing_to_keep_and_another_one_is(
    tmp_path: Path,
) -> None:
    rows = table()
    twice = pd.concat([rows, rows.iloc[10:12], rows.iloc[[20]].assign(volume=7.0)])
    report = imported(tmp_path, twice)
    adds_up(report, 403)
    found = quarantined(tmp_path)
    assert (found["reason"].tolist(), found["volume"].tolist()) == (["repeated stamp"], [7.0])


def test_quarantine_is_bounded(tmp_path: Path) -> None:
    store = Store(tmp_path)
    rows = pd.DataFrame(dict.fromkeys(PRICE_COLUMNS, -np.arange(MOST_KEPT + 500.0)))
    rows = rows.assign(closed_at=pd.NaT, reason="price not positive")
    rows["closed_at"] = pd.to_datetime(rows["closed_at"], utc=True).dt.as_unit("ns")
    assert store.set_aside("kraken", "BTC/USDT", "1h", rows, NOW) == MOST_KEPT
    assert store.set_aside("kraken", "BTC/USDT", "1h", rows, NOW) == 0
    store.compact()
    assert len(Store(tmp_path).quarantine("kraken", "BTC/USDT", "1h")) == MOST_KEPT


@given(
    st.lists(
        st.tuples(
            st.integers(0, 199),
            st.sampled_from([*PRICE_COLUMNS, "timestamp"]),
            st.sampled_from([np.nan, -1.0, 0.0, 1e9, 5.0]),
        ),
        max_size=8,
    ),
    st.integers(0, 3),
)
@settings(max_examples=40, deadline=None)
def test_the_numbers_of_any_file_add_up(faults: list[tuple[int, str, float]], n_twice: int) -> None:
    from tempfile import TemporaryDirectory

    rows = table(200).astype("float64")
    for row, column, value in faults:
        rows.loc[row, column] = value
    rows = pd.concat([rows, rows.iloc[:n_twice]])
    with TemporaryDirectory() as folder:
        report = imported(Path(folder), rows)
        adds_up(report, len(rows))
        again = imported(Path(folder), rows)
        adds_up(again, len(rows))
        assert again.stored == 0
        first, second = asdict(report), asdict(again)
        assert [first[name] for name in ("rows", "refused", "aside")] == [
            second[name] for name in ("rows", "refused", "aside")
        ]


def test_files_of_one_series_are_stored_in_turn_and_leave_no_late_bars(tmp_path: Path) -> None:
    rows = table()
    for part in range(4):
        name = tmp_path / f"binance_BTCUSDT_{part}.csv"
        rows.iloc[100 * part : 100 * part + 100].to_csv(name, index=False)
    store = Store(tmp_path / "store")
    import_files(files_under(sorted(tmp_path.glob("*.csv"))), store, ImportOptions(now=NOW))
    whole = store.bars("binance", "BTC/USDT", "1h")
    then = store.bars("binance", "BTC/USDT", "1h", as_of=datetime(2024, 12, 31, tzinfo=UTC))
    assert len(whole) == len(then) == 399


def test_what_fills_a_hole_of_the_store_is_known_from_the_import_on(tmp_path: Path) -> None:
    rows = table()
    imported(tmp_path, rows.drop(index=range(100, 110)))
    imported(tmp_path, rows, "binance_BTCUSDT_whole.csv")
    store = Store(tmp_path / "store")
    before = store.bars("binance", "BTC/USDT", "1h", as_of=datetime(2026, 11, 22, tzinfo=UTC))
    assert len(store.bars("binance", "BTC/USDT", "1h")) - len(before) == 10
