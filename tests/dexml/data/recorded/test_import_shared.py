"""Every file of the recorded market data is understood or refused, and its known traps are met."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dexml.data.recorded.imports import FileReport
from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe
from tests.dexml.data.feeds.recordings import imported, only

pytestmark = [pytest.mark.shared, pytest.mark.slow]
H1 = Timeframe.H1


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared") / "store"


@pytest.fixture(scope="module")
def recorded(home: Path) -> dict[str, FileReport]:
    data = Path(__file__).resolve().parents[5] / "shared" / "data"
    reports = imported(data, home) if data.is_dir() else ()
    return {str(Path(report.file).relative_to(data)): report for report in reports}


@pytest.fixture(autouse=True)
def _needs_recordings(shared: Path, recorded: dict[str, FileReport]) -> None:
    assert recorded


def bars_of(home: Path, venue: str, name: str, timeframe: Timeframe = H1) -> Bars:
    return Store(home).bars(venue, name, timeframe)


def original(shared: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(shared / "data" / name).set_index("timestamp_utc")


def test_every_file_has_one_row_and_was_understood_or_refused_for_a_reason(
    recorded: dict[str, FileReport], shared: Path
) -> None:
    files = [path for path in (shared / "data").rglob("*") if path.is_file()]
    assert len(recorded) == len(files)
    for report in recorded.values():
        if report.understood_as:
            assert report.rows > 0
        else:
            assert report.rows == report.stored == 0
            assert report.refused > 0
            assert report.reason.startswith(f"file {report.file} must ")
    understood = {name for name, report in recorded.items() if report.understood_as}
    assert {name.split("/")[0] for name in understood} == {
        "dex",
        "macro",
        "news",
        "ohlcv_1h",
        "raw_captures",
    }
    kinds = [name for name in recorded if name.startswith(("macro/", "news/", "ohlcv_1h/"))]
    assert set(kinds) <= understood


def test_importing_all_of_it_again_adds_nothing(
    recorded: dict[str, FileReport], shared: Path, home: Path
) -> None:
    again = imported(shared / "data", home)
    assert sum(report.stored for report in again) == 0
    first = [recorded[name].rows for name in sorted(recorded)]
    assert [report.rows for report in sorted(again, key=lambda one: one.file)] == first


@pytest.mark.parametrize(("coin", "n_exchanged"), [("BTC", 20_143), ("ETH", 20_139)])
def test_bitstamps_exchanged_volumes_are_set_right(
    coin: str, n_exchanged: int, recorded: dict[str, FileReport], home: Path, shared: Path
) -> None:
    name = f"ohlcv_1h/bitstamp_spot/{coin}USD.parquet"
    assert f"{n_exchanged} rows had base and quote volume exchanged" in recorded[name].reason
    bars = bars_of(home, "bitstamp", f"{coin}/USD")
    money = original(shared, name)[[f"Volume {coin}", "Volume USD"]].max(axis=1).to_numpy()[:-1]
    traded = bars.volume > 0
    ratio = money[traded] / bars.volume[traded] / bars.close[traded]
    assert np.abs(np.log(ratio)).max() < 0.15


def test_minutes_labelled_by_their_end_are_found_out(
    home: Path, shared: Path, tmp_path: Path
) -> None:
    minutes = original(shared, "ohlcv_1m/btc_perp_2022_01.parquet").reset_index(drop=True)
    path = tmp_path / "btc_perp_2022_01.csv"
    minutes.to_csv(path, index=False)  # as the source has it: only the ends of bars
    asked = {"venue": "unknown", "instrument": "BTC/USD", "volume_in_quote": True}
    refused = only(path, home, **asked)
    assert "one bar too late" in refused.reason
    assert refused.rows == 0
    report = only(path, home, **asked, stamps="close")
    bars = bars_of(home, "unknown", "BTC/USD", Timeframe.M1)
    assert report.stored == len(bars) == 45_030
    assert bars.closed_at[0] == np.datetime64("2021-12-31T23:01")
    assert bars.volume[0] == pytest.approx(2_300_414 / 46_377, rel=1e-3)
    # the converted file has both stamps; it says the same without being told
    assert only(shared / "data/ohlcv_1m", home, **asked).stored == 0


def test_minutes_of_no_named_instrument_are_refused_by_themselves(
    recorded: dict[str, FileReport],
) -> None:
    report = recorded["ohlcv_1m/btc_perp_2022_01.parquet"]
    assert "must name its instrument" in report.reason
    assert "give --instrument" in report.reason


@pytest.mark.parametrize(("name", "n_missing"), [("ETHUSD", 3_474), ("XBTUSD", 10_860)])
def test_krakens_hours_without_trades_stay_missing(
    name: str, n_missing: int, recorded: dict[str, FileReport], home: Path
) -> None:
    assert f"{n_missing} bars missing" in recorded[f"ohlcv_1h/kraken_spot/{name}.parquet"].reason
    bars = bars_of(home, "kraken", "ETH/USD")
    assert np.diff(bars.closed_at).max() == np.timedelta64(52, "h")


def test_bitfinexs_repeated_hour_counts_once(recorded: dict[str, FileReport], home: Path) -> None:
    reason = recorded["ohlcv_1h/bitfinex_spot/ETHUSD.parquet"].reason
    assert "repeated stamp: 1, first in row 21857" in reason
    bars = bars_of(home, "bitfinex", "ETH/USD")
    at = np.flatnonzero(bars.closed_at == np.datetime64("2020-11-11T00:00"))
    assert bars.volume[at] == pytest.approx([2_356.689788])


@pytest.mark.parametrize("coin", ["ADA", "BNB", "BTC", "ETH", "SOL"])
def test_bars_that_were_still_open_are_left_out(coin: str, home: Path, shared: Path) -> None:
    last = original(shared, f"ohlcv_1h/binance_spot/{coin}USDT.parquet").iloc[-1]
    bars = bars_of(home, "binance", f"{coin}/USDT")
    at = np.flatnonzero(bars.closed_at == np.datetime64("2023-12-30T20:00")).tolist()
    if coin == "BTC":  # the longer file of the same market has the hour after it was closed
        assert bars.volume[at] == pytest.approx([741.06264])
        assert last["volume"] == pytest.approx(740.97838)
    else:
        assert bars.closed_at[-1] < np.datetime64("2023-12-30T21:00")
        assert last["volume"] not in bars.volume


@pytest.mark.parametrize(
    ("series", "day", "known_at"),
    [
        ("vix", "2024-01-05", "2024-01-05 22:00"),
        ("vix", "2023-07-05", "2023-07-05 21:00"),
        ("spy", "2023-07-05", "2023-07-05 21:00"),
        ("dxy", "2024-01-05", "2024-01-05 23:00"),
        ("us10y", "2024-01-05", "2024-01-05 22:00"),
        ("fear_greed", "2024-01-05", "2024-01-06 01:00"),
        ("funding_binance_btc", "2023-01-05 08:00", "2023-01-05 08:01"),
        ("social_btc", "2022-01-11 17:00", "2022-01-11 18:00"),
    ],
)
def test_no_value_is_known_before_its_day_has_closed(
    series: str, day: str, known_at: str, home: Path
) -> None:
    macro = Store(home).macro()
    row = macro[(macro["series"] == series) & (macro["period_at"] == pd.Timestamp(day, tz="UTC"))]
    assert list(row["known_at"]) == [pd.Timestamp(known_at, tz="UTC")]
    assert (macro["known_at"] > macro["period_at"]).all()


def test_days_with_a_broken_range_have_no_volatility_index(
    recorded: dict[str, FileReport], home: Path
) -> None:
    assert recorded["macro/vix_daily.parquet"].reason.startswith("high or low: 47,")
    macro = Store(home).macro()
    vix = macro[macro["series"] == "vix"].set_index("period_at")["value"]
    assert len(vix) == 8_648 - 47
    assert pd.Timestamp("1992-02-11", tz="UTC") not in vix.index


def test_funding_in_another_zone_is_refused(shared: Path, tmp_path: Path) -> None:
    name = "macro/binance_btcusdt_funding_2020_2023.parquet"
    path = tmp_path / "binance_btcusdt_funding.csv"
    original(shared, name).to_csv(path, index=False)  # as the source has it: three hours ahead
    assert (
        "must have funding_binance_btc at multiples of 8:00:00 UTC"
        in only(path, tmp_path / "store").reason
    )


def test_two_sources_of_the_dollar_index_agree(recorded: dict[str, FileReport]) -> None:
    long, short = (recorded[f"macro/dxy_daily_{name}.parquet"] for name in ("long", "ohlc"))
    assert (long.stored, short.stored, short.rows) == (13_535, 0, 2_587)


def test_headlines_with_a_date_only_are_known_when_it_is_over(home: Path) -> None:
    news = Store(home).news()
    dated = news[news["published_at"] == news["published_at"].dt.normalize()]
    waits = (news["known_at"] - news["published_at"]).unique()
    assert set(waits) == {pd.Timedelta("10min"), pd.Timedelta("24h10min")}
    assert ((dated["known_at"] - dated["published_at"]) > pd.Timedelta("24h")).all()
    assert len(dated) > 100


def test_headlines_told_twice_count_once(recorded: dict[str, FileReport]) -> None:
    report = recorded["news/cryptonews_2021_2022.parquet"]
    assert (report.rows, report.refused) == (7_480, 44)
    assert "no title: 28" in report.reason
    assert "story told before: 16" in report.reason


def test_the_open_minute_of_krakens_answer_is_left_out(
    recorded: dict[str, FileReport], home: Path
) -> None:
    assert recorded["raw_captures/nautilus/kraken/http_ohlc.json"].rows == 720
    bars = bars_of(home, "kraken", "BTC/USDT", Timeframe.M1)
    assert bars.bar(0).closed_at == datetime(2025, 11, 10, 12, 18, tzinfo=UTC)


def test_the_pools_price_is_that_of_its_days(home: Path) -> None:
    bars = bars_of(home, "uniswap_v3_polygon_005", "ETH/USDC", Timeframe.M1)
    assert 1_590 < bars.low.min() < bars.high.max() < 1_865
    assert 0 < np.median(bars.volume[bars.volume > 0]) < 100


def test_dates_with_the_day_first_are_read_as_such(shared: Path, tmp_path: Path) -> None:
    table = original(shared, "news/cryptonews_2021_2022.parquet")
    path = tmp_path / "cryptonews.csv"
    table[["date", "title", "source"]].dropna().to_csv(path, index=False)
    imported(path, tmp_path / "store")
    stored = Store(tmp_path / "store").news().set_index("title")["published_at"]
    wanted = table.reset_index().set_index("title")["timestamp_utc"]
    title = "Ripple Wins Right to Access SEC's 2018 Ethereum Emails as XRP Case Rumbles on"
    assert stored[title] == wanted[title]
