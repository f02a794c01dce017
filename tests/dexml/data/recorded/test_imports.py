from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dexml.data.recorded.imports import common_range, import_bars, read_bars
from dexml.data.recorded.layouts import instrument_named
from dexml.domain import Timeframe
from dexml.errors import DataError, DexmlError, UsageError


def table(n_rows: int = 40, start: str = "2024-01-01", time: str = "timestamp") -> pd.DataFrame:
    close = 100.0 + np.arange(n_rows)
    times = pd.date_range(start, periods=n_rows, freq="h", tz="UTC")
    columns = {"Open": close, "High": close + 1, "Low": close - 1, "Close": close, "Volume": 1.0}
    return pd.DataFrame({time: times, **columns})


def write(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


@pytest.mark.parametrize(
    ("text", "instrument"),
    [
        ("BTCUSDT.parquet", "BTC/USDT"),
        ("XBTUSD", "BTC/USD"),
        ("XBT/USD", "BTC/USD"),
        ("DOTUSD", "DOT/USD"),
        ("BNBUSD", "BNB/USD"),
        ("BTC-TUSD", "BTC/TUSD"),
        ("BTCBUSD", None),
        ("ETH_USDT-1h.csv", "ETH/USDT"),
        ("prices", None),
    ],
)
def test_instruments_are_read_from_names(text: str, instrument: str | None) -> None:
    assert instrument_named(text) == instrument


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_bars_are_stamped_with_their_close(tmp_path: Path, suffix: str) -> None:
    imported = import_bars(write(table(), tmp_path / f"BTCUSDT.{suffix}"))
    bars = imported.bars["BTC/USDT"]
    assert bars.closed_at[0] == np.datetime64("2024-01-01T01:00")
    assert bars.timeframe == Timeframe.H1
    (report,) = imported.files
    assert (report.rows, report.refused, report.reason) == (40, 0, "")
    assert "BTC/USDT 1h bars, timestamp = open" in report.understood_as


@pytest.mark.parametrize("time", ["timestamp_utc", "date", "Date", "Datetime", "time", "open_time"])
def test_the_time_column_may_have_any_of_its_names(tmp_path: Path, time: str) -> None:
    bars = read_bars(write(table(time=time), tmp_path / "BTCUSDT.csv"))["BTC/USDT"]
    assert bars.closed_at[0] == np.datetime64("2024-01-01T01:00")


@pytest.mark.parametrize("scale", [1, 1_000, 1_000_000, 1_000_000_000])
def test_epoch_numbers_are_read_in_their_unit(tmp_path: Path, scale: int) -> None:
    frame = table(time="unix")
    frame["unix"] = frame["unix"].astype("int64") // 10**9 * scale
    bars = read_bars(write(frame, tmp_path / "BTCUSDT.csv"))["BTC/USDT"]
    assert bars.closed_at[0] == np.datetime64("2024-01-01T01:00")


def test_twelve_hour_clocks_are_read(tmp_path: Path) -> None:
    frame = table(time="Date")
    frame["Date"] = frame["Date"].dt.strftime("%Y-%m-%d %I-%p")
    bars = read_bars(write(frame, tmp_path / "BTCUSD.csv"))["BTC/USD"]
    assert bars.closed_at[13] == np.datetime64("2024-01-01T14:00")


def test_a_symbol_column_splits_a_file(tmp_path: Path) -> None:
    both = pd.concat([table().assign(ticker="BTCUSDT"), table(30).assign(ticker="ETH/USDT")])
    bars = read_bars(write(both, tmp_path / "all.csv"))
    assert {name: len(one) for name, one in bars.items()} == {"BTC/USDT": 40, "ETH/USDT": 30}


def test_a_few_bad_rows_are_left_out_and_reported(tmp_path: Path) -> None:
    frame = table(100)
    frame.loc[3, "Close"] = np.nan
    frame.loc[[8, 9], "Low"] = -1.0
    (report,) = import_bars(write(frame, tmp_path / "BTCUSDT.csv")).files
    assert (report.rows, report.refused) == (97, 3)
    assert report.reason == (
        "price not positive: 2, first in row 8, not a number: 1, first in row 3"
    )


def _empty(folder: Path) -> Path:
    return write(table(0), folder / "BTCUSDT.parquet")


def _garbage(folder: Path) -> Path:
    (folder / "BTCUSDT.parquet").write_text("no parquet at all")
    return folder


def _bad(folder: Path) -> Path:
    return write(table(40).assign(Close=-1.0), folder / "BTCUSDT.csv")


def _conflict(folder: Path) -> Path:
    write(table(), folder / "BTCUSDT-a.csv")
    write(table().assign(Volume=2.0), folder / "BTCUSDT-b.csv")
    return folder


@pytest.mark.parametrize(
    ("make", "kind", "sentence"),
    [
        (lambda folder: folder / "none", UsageError, "must exist"),
        (lambda folder: folder, UsageError, "must hold parquet or CSV files"),
        (_garbage, DataError, "must be parquet"),
        (_empty, DataError, "must have rows, was empty"),
        (_bad, DataError, r"at most 5% unsound rows, was 40 of 40 \(price not positive: 40"),
        (_conflict, DataError, "must agree .* other prices in 40 bars, first at 2024-01-01 01:00"),
        (
            lambda folder: write(table().drop(columns="Close"), folder / "BTCUSDT.csv"),
            DataError,
            "must have the column close",
        ),
        (
            lambda folder: write(table(time="when"), folder / "BTCUSDT.csv"),
            DataError,
            "must have the column time",
        ),
        (lambda folder: write(table(1), folder / "BTCUSDT.csv"), DataError, "was a single row"),
        (lambda folder: write(table(), folder / "prices.csv"), DataError, "must name its instr"),
        (
            lambda folder: write(table().assign(timestamp="soon"), folder / "BTCUSDT.csv"),
            DataError,
            "must have times in column timestamp, was 'soon'",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(
    tmp_path: Path, make: object, kind: type[DexmlError], sentence: str
) -> None:
    path = make(tmp_path)  # type: ignore[operator]
    with pytest.raises(kind, match=sentence):
        read_bars(path)


def test_without_strictness_the_good_files_are_kept(tmp_path: Path) -> None:
    _garbage(tmp_path)
    write(table(), tmp_path / "ETHUSDT.csv")
    imported = import_bars(tmp_path, strict=False)
    assert list(imported.bars) == ["ETH/USDT"]
    assert [bool(report.understood_as) for report in imported.files] == [False, True]


def test_files_that_agree_where_they_overlap_are_joined(tmp_path: Path) -> None:
    write(table(60).iloc[:40], tmp_path / "BTCUSDT-a.csv")
    write(table(60).iloc[30:], tmp_path / "BTCUSDT-b.csv")
    assert len(read_bars(tmp_path)["BTC/USDT"]) == 60


def test_instruments_are_cut_to_the_time_they_share(tmp_path: Path) -> None:
    write(table(40), tmp_path / "BTCUSDT.csv")
    write(table(40, start="2024-01-01 10:00"), tmp_path / "ETHUSDT.csv")
    shared = common_range(read_bars(tmp_path))
    assert [len(bars) for bars in shared.values()] == [30, 30]
    write(table(40, start="2025-01-01"), tmp_path / "SOLUSDT.csv")
    with pytest.raises(DataError, match="bars of SOL/USDT and BTC/USDT must overlap in time"):
        common_range(read_bars(tmp_path))


@pytest.mark.shared
def test_recorded_files_are_understood(shared: Path) -> None:
    hourly = shared / "data" / "ohlcv_1h"
    imported = import_bars(hourly / "binance_usdm_perp")
    assert len(imported.bars) == len(imported.files) == 7
    assert sum(report.refused for report in imported.files) == 0
    kraken = import_bars(hourly / "kraken_spot")
    assert set(kraken.bars) == {"BTC/USD", "ETH/USD"}
    coinbase = read_bars(hourly / "coinbase_spot")
    assert coinbase["BTC/USD"].closed_at[0] == np.datetime64("2017-07-01T12:00")
    with pytest.raises(DataError, match="must name its instrument"):
        read_bars(shared / "data" / "ohlcv_1m")
