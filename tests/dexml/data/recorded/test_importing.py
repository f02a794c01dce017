from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dexml.data.storage.store import Store
from dexml.domain import Timeframe
from dexml.errors import UsageError
from tests.dexml.data.feeds.recordings import bar_table, imported, only, write

H1 = Timeframe.H1


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "recorded"


def test_bars_are_stored_under_the_venue_that_the_folder_names(folder: Path, home: Path) -> None:
    frame = bar_table()
    write(frame, folder / "binance_usdm_perp" / "BTCUSDT.csv")
    report = only(folder, home)
    bars = Store(home).bars("binanceusdm", "BTC/USDT", H1)
    assert report.understood_as.startswith("binanceusdm BTC/USDT 1h bars, timestamp = open (UTC)")
    assert (report.rows, report.stored, len(bars)) == (299, 299, 299)
    assert bars.closed_at[0] == np.datetime64("2024-01-01T01:00")
    assert bars.close.tobytes() == frame["close"].to_numpy()[:-1].tobytes()


def test_importing_again_adds_nothing_and_says_the_same(folder: Path, home: Path) -> None:
    write(bar_table(), folder / "kraken_XBTUSD.csv")
    news = pd.DataFrame({"date": ["2024-01-02 10:00"], "title": ["Bitcoin falls"]})
    write(news, folder / "news.csv")
    days = pd.date_range("2024-01-01", periods=9)
    write(pd.DataFrame({"date": days, "value": range(10, 19)}), folder / "vix.csv")
    first, second = imported(folder, home), imported(folder, home)
    assert [report.stored for report in first] == [299, 1, 9]
    assert [report.stored for report in second] == [0, 0, 0]
    assert [report.rows for report in first] == [report.rows for report in second]


def test_the_last_bar_waits_until_a_later_one_shows_that_it_was_closed(
    folder: Path, home: Path
) -> None:
    frame = bar_table(100)
    january = write(frame[:60], folder / "okx-BTCUSDT-a.csv")
    report = only(january, home)
    assert (report.rows, report.refused, report.reason) == (
        59,
        1,
        "last bar, may still have been open",
    )
    write(frame[60:], folder / "okx-BTCUSDT-b.csv")
    reports = imported(folder, home)
    assert [(report.rows, report.stored) for report in reports] == [(60, 1), (39, 39)]
    assert len(Store(home).bars("okx", "BTC/USDT", H1)) == 99


def test_volumes_that_changed_their_columns_are_set_right(folder: Path, home: Path) -> None:
    frame = bar_table().rename(columns={"volume": "Volume BTC"})
    frame["Volume USD"] = frame["Volume BTC"] * frame["close"]
    frame.loc[5, ["Volume BTC", "Volume USD"]] = 0.0
    wrong = frame.copy()
    wrong.loc[:149, "Volume BTC"] = frame["Volume USD"]
    wrong.loc[:149, "Volume USD"] = frame["Volume BTC"]
    report = only(write(wrong, folder / "Bitstamp_BTCUSD_1h.csv"), home)
    assert report.reason.startswith("149 rows had base and quote volume exchanged")
    bars = Store(home).bars("bitstamp", "BTC/USD", H1)
    np.testing.assert_array_equal(bars.volume, frame["Volume BTC"].to_numpy()[:-1])


def test_volumes_in_money_become_coins_when_told(folder: Path, home: Path) -> None:
    frame = bar_table()
    path = write(frame.assign(volume=frame["volume"] * frame["close"]), folder / "okx_BTCUSDT.csv")
    only(path, home, volume_in_quote=True, venue="okx")
    stored = Store(home).bars("okx", "BTC/USDT", H1).volume
    np.testing.assert_allclose(stored, frame["volume"].to_numpy()[:-1], rtol=1e-12)


def test_a_second_time_column_shows_that_stamps_are_ends(folder: Path, home: Path) -> None:
    frame = bar_table().assign(date=lambda rows: rows["timestamp"])
    frame["timestamp"] += pd.Timedelta("1h")
    report = only(write(frame, folder / "okx_BTCUSDT.csv"), home)
    assert "timestamp = close" in report.understood_as
    assert Store(home).bars("okx", "BTC/USDT", H1).closed_at[0] == np.datetime64("2024-01-01T01")


@pytest.mark.parametrize("shift", ["1min", "-1min"])
def test_bars_on_another_clock_than_those_stored_are_refused(
    shift: str, folder: Path, home: Path
) -> None:
    minutes = bar_table(30_000, "1min")
    hours = minutes.set_index("timestamp").resample("1h")
    kinds = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    write(hours.agg(kinds).reset_index(), folder / "binance_BTCUSDT.csv")
    late = minutes.assign(timestamp=minutes["timestamp"] + pd.Timedelta(shift))
    write(late, folder / "kraken_BTCUSD.csv")
    first, second = imported(folder, home)
    word = "late" if shift == "1min" else "early"
    assert first.understood_as
    assert f"must run on the clock of binance BTC/USDT, was one bar too {word}" in second.reason
    assert (second.rows, second.refused) == (0, 30_000)
    assert len(Store(home).bars("kraken", "BTC/USD", Timeframe.M1)) == 0
    write(minutes, folder / "kraken_BTCUSD.csv")
    assert imported(folder, home)[1].stored == 29_999


def test_ends_of_bars_are_taken_as_such_when_told(folder: Path, home: Path) -> None:
    only(write(bar_table(), folder / "okx_BTCUSDT.csv"), home, stamps="close")
    assert Store(home).bars("okx", "BTC/USDT", H1).closed_at[0] == np.datetime64("2024-01-01T00")


def test_holes_are_counted_and_left(folder: Path, home: Path) -> None:
    report = only(write(bar_table().drop(index=[7, 8, 100]), folder / "kraken_XBTUSD.csv"), home)
    assert (report.rows, report.refused) == (296, 1)
    assert "3 bars missing" in report.reason


def test_a_repeated_stamp_counts_once_even_in_another_unit(folder: Path, home: Path) -> None:
    frame = bar_table()
    frame["timestamp"] = frame["timestamp"].astype("int64") // 10**9
    again = frame.iloc[[50]].assign(timestamp=lambda row: row["timestamp"] * 1_000, volume=9.0)
    path = write(pd.concat([frame[:51], again, frame[51:]]), folder / "bitfinex_ETHUSD.csv")
    report = only(path, home)
    assert "repeated stamp: 1, first in row 51" in report.reason
    bars = Store(home).bars("bitfinex", "ETH/USD", H1)
    assert (len(bars), bars.volume[50]) == (299, frame["volume"][50])


def test_what_is_stored_is_not_contradicted(folder: Path, home: Path) -> None:
    frame = bar_table()
    only(write(frame, folder / "okx_BTCUSDT.csv"), home)
    other = frame.copy()
    other.loc[10, "close"] = other.loc[10, ["high", "low"]].mean()
    other.loc[20, "volume"] *= 1 + 1e-9  # rounding is no contradiction
    report = only(write(other, folder / "okx_BTCUSDT.csv"), home)
    assert "other numbers are stored (first at 2024-01-01T11:00): 1" in report.reason
    assert Store(home).bars("okx", "BTC/USDT", H1).close[10] == frame["close"][10]
    report = only(write(bar_table(seed=1), folder / "okx_BTCUSDT.csv"), home, stamps="open")
    assert "must agree with the bars of BTC/USDT stored for okx" in report.reason
    assert (report.rows, report.understood_as) == (0, "")


def test_a_file_of_two_instruments_is_stored_whole_or_not_at_all(folder: Path, home: Path) -> None:
    only(write(bar_table(), folder / "okx_SOLUSDT.csv"), home)
    good, bad = bar_table(seed=2).assign(symbol="BTCUSDT"), bar_table(seed=3)
    path = write(pd.concat([good, bad.assign(symbol="SOLUSDT")]), folder / "okx_all.csv")
    report = only(path, home)
    assert "must agree with the bars of SOL/USDT" in report.reason
    assert Store(home).series() == [("okx", "SOL/USDT", H1)]


def test_exports_without_a_header_are_known_by_their_width(folder: Path, home: Path) -> None:
    frame = bar_table(50)
    seconds = frame["timestamp"].astype("int64") // 10**9
    kraken = frame.assign(timestamp=seconds, trades=5)
    binance = frame.assign(timestamp=seconds * 1_000, end=(seconds + 3_600) * 1_000 - 1)
    binance = binance.assign(quote=frame["volume"] * frame["close"], n=1, tb=0.0, tq=0.0, last=0)
    for name, table in (("kraken/XBTUSD_60.csv", kraken), ("binance/BTCUSDT-1h.csv", binance)):
        (folder / name).parent.mkdir(parents=True)
        table.to_csv(folder / name, index=False, header=False)
    reports = imported(folder, home)
    assert [report.rows for report in reports] == [49, 49]
    stored = [Store(home).bars(*series) for series in Store(home).series()]
    assert stored[0].close.tobytes() == stored[1].close.tobytes()


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_banners_and_separators_are_read_over(separator: str, folder: Path, home: Path) -> None:
    folder.mkdir()
    text = bar_table(50).to_csv(index=False, sep=separator)
    (folder / "okx_BTCUSDT.csv").write_text(f"https://www.example.com\n# hourly\n{text}")
    assert only(folder, home).rows == 49


def test_a_pool_in_ticks_becomes_bars_of_its_second_token(folder: Path, home: Path) -> None:
    n_rows = 30
    table = pd.DataFrame(
        {
            "timestamp": pd.date_range("2024-01-01", periods=n_rows, freq="1min", tz="UTC"),
            "netAmount1": [str(5 * 10**17)] * n_rows,
            "inAmount1": [str((2 + row) * 10**18) for row in range(n_rows)],
            "openTick": 201_100,
            "closeTick": 201_110,
            "lowestTick": 201_000,
            "highestTick": 201_200,
        }
    )
    report = only(write(table, folder / "uniswap_v3_polygon_usdc_weth_005_minute.csv"), home)
    assert report.understood_as.startswith("uniswap_v3_polygon_005 ETH/USDC 1m bars")
    bar = Store(home).bars("uniswap_v3_polygon_005", "ETH/USDC", Timeframe.M1).bar(0)
    assert bar.open == pytest.approx(1e12 / 1.0001**201_100)
    assert bar.high == pytest.approx(1e12 / 1.0001**201_000)
    assert bar.volume == pytest.approx(3.5)  # 2 came in and 1.5 went out


@pytest.mark.parametrize(
    ("name", "columns", "reason"),
    [
        ("trades.csv", ["timestamp", "price", "quantity"], "was trades"),
        ("book.csv", ["symbol", "timestamp", "side", "price", "qty"], "was an order book"),
        ("prices.csv", ["time", "WETH", "USDC"], "was a table of time, WETH, USDC"),
        ("cpi.csv", ["date", "value"], "must be one of the series"),
        ("notes.md", ["a"], "must end in .parquet"),
        ("binance/BTC.csv", ["date", "open", "high", "low", "close"], "the column volume"),
        ("BTCUSDT.csv", [*bar_table(2).columns], "must name its venue"),
    ],
)
def test_what_is_not_understood_is_refused_with_the_reason(
    name: str, columns: list[str], reason: str, folder: Path, home: Path
) -> None:
    rows = bar_table(40).reindex(columns=columns, fill_value=1.0)
    rows[columns[0]] = bar_table(40)["timestamp"]
    path = folder / name
    path.parent.mkdir(parents=True)
    rows.to_csv(path, index=False)
    report = only(folder, home)
    assert reason in report.reason
    assert (report.understood_as, report.rows, report.stored) == ("", 0, 0)
    assert report.refused in (1, 40)
    assert not home.exists()


def test_a_path_that_is_not_there_is_a_mistake_of_the_user(folder: Path, home: Path) -> None:
    with pytest.raises(UsageError, match="must exist"):
        imported(folder, home)
    folder.mkdir()
    with pytest.raises(UsageError, match="must hold files"):
        imported(folder, home)


def test_headlines_speak_of_the_coins_that_came_with_them(folder: Path, home: Path) -> None:
    write(bar_table(), folder / "z_later" / "okx_SOLUSDT.csv")
    news = pd.DataFrame({"date": ["2024-01-02 10:00"], "headline": ["Solana soars"]})
    write(news, folder / "a_first.csv")
    imported(folder, home, instruments=("BTC/USDT",))
    assert list(Store(home).news()["instruments"]) == ["SOL/USDT"]


def test_volumes_that_no_market_trades_are_told_and_not_guessed(folder: Path, home: Path) -> None:
    frame = bar_table(300, "1min").assign(volume=5e6)
    frame[["open", "high", "low", "close"]] *= 400.0
    path = write(frame, folder / "bitmex_BTCUSDT.csv")
    report = only(path, home)
    assert "volumes were taken for BTC, but that would be 3.0" in report.reason
    assert "e+14 USDT a day, more than any market trades" in report.reason
    assert "--quote-volume" in report.reason
    assert Store(home).bars("bitmex", "BTC/USDT", "1m").volume[0] == 5e6
    money = only(path, home.with_name("money"), volume_in_quote=True)
    assert "volumes" not in money.reason
    small = write(bar_table(), folder / "kraken_BTCUSDT.csv")
    assert "volumes" not in only(small, home).reason
