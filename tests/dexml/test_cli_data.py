from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from aiohttp import web

from dexml.clock import SimulatedClock
from dexml.data.storage.store import Store
from dexml.domain import MACRO_COLUMNS, NEWS_COLUMNS, Bars, History, Timeframe
from dexml.simulation.exchanges import ExchangeServers
from dexml.simulation.exchanges.server import LocalServers, stamped
from tests.dexml.conftest import Dexml
from tests.dexml.data.feeds.recordings import bar_table, write
from tests.dexml.data.sources.yahoo_wire import YahooWire
from tests.random_walk import some_bars


def test_import_says_what_it_understood_and_adds_nothing_twice(dexml: Dexml, empty: Path) -> None:
    write(bar_table(), empty / "recorded" / "okx_BTCUSDT.csv")
    (empty / "recorded" / "notes.txt").write_text("no data")
    said = dexml("import", "recorded")
    assert said.code == 0
    assert "1 of 2 files understood, 299 new rows stored, 1 files refused." in said.out
    again = dexml("import", "recorded", "--json")
    result = again.last_line()
    assert (again.code, result["stored"], result["rows"], result["refused"]) == (0, 0, 299, 2)
    refused, taken = result["files"]
    assert refused["file"].endswith("notes.txt")
    assert (refused["understood_as"], refused["rows"], refused["refused"]) == ("", 0, 1)
    assert taken["understood_as"].startswith("okx BTC/USDT 1h bars")
    assert (taken["rows"], taken["refused"]) == (299, 1)
    assert (empty / ".dexml" / "store" / "arrivals" / "okx").is_dir()


def test_import_refuses_what_was_named_and_could_not_be_taken(dexml: Dexml, empty: Path) -> None:
    write(bar_table(), empty / "okx_BTCUSDT.csv")
    (empty / "broken.csv").write_text("")
    assert dexml("import", "okx_BTCUSDT.csv").code == 0
    said = dexml("import", "okx_BTCUSDT.csv", "broken.csv")
    assert said.code == 3
    assert "must be CSV" in said.out


def test_import_explains_mistakes_in_one_sentence(dexml: Dexml, empty: Path) -> None:
    write(bar_table(), empty / "okx_BTCUSDT.csv")
    for arguments, sentence in (
        (("missing",), "path missing must exist"),
        (("okx_BTCUSDT.csv", "--stamps", "middle"), "--stamps must be open or close"),
        (("okx_BTCUSDT.csv", "--timeframe", "7m"), "--timeframe must be one of 1m"),
        (("okx_BTCUSDT.csv", "--scorer", "oracle"), "scorer must be one of textblob, vader"),
    ):
        said = dexml("import", *arguments)
        assert (said.code, said.out) == (2, "")
        assert sentence in said.err
    assert dexml("import").code == 2


NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
START = NOW - timedelta(days=40)


def recorded_history() -> History:
    stamps = pd.date_range(START, periods=900, freq="h", tz="UTC") + pd.Timedelta("1h")
    rows = bar_table(900).set_index(stamps).drop(columns="timestamp")
    gone = rows.drop(rows.index[[100, 101, 102]])
    bars = {name: Bars.from_frame(name, Timeframe.H1, gone) for name in ("BTC/USDT", "ETH/USDT")}
    published = pd.date_range(START, periods=20, freq="h", tz="UTC").as_unit("ns")
    news = pd.DataFrame({"published_at": published, "known_at": published + pd.Timedelta("1min")})
    news = news.assign(source="Wire", instruments="BTC/USDT", score=0.0)
    news["title"] = [f"Ledger entry {number}" for number in range(20)]
    macro = pd.DataFrame({"series": "fear_greed", "period_at": published, "value": 40.0})
    macro["known_at"] = published + pd.Timedelta("25h")
    return History(bars=bars, news=news[list(NEWS_COLUMNS)], macro=macro[list(MACRO_COLUMNS)])


def test_backfill_stores_bars_headlines_and_series_and_says_what_is_missing(
    dexml: Dexml, empty: Path
) -> None:
    history = recorded_history()
    with ExchangeServers(history, SimulatedClock(NOW)) as servers:
        arguments = ("backfill", "--exchange", "binance", "--symbols", "BTC/USDT,ETH/USDT")
        arguments += ("--since", f"{START:%Y-%m-%dT%H:%M}", "--url", servers.urls["binance"])
        arguments += ("--until", f"{START + timedelta(hours=900):%Y-%m-%dT%H:%M}")
        context = ("--news", servers.urls["news"], "--series", "fear_greed")
        context += ("--macro-url", servers.urls["macro"])
        said = dexml(*arguments, *context)
        again = dexml(*arguments, *context, "--json")
    assert said.code == 0, said.err
    assert "BTC/USDT: 3 bars missing" in said.out
    assert "20 new headlines, 20 new values of series." in said.out
    result = again.last_line()
    assert (again.code, result["news"], result["macro"], result["failed"]) == (0, 0, 0, {})
    for row in result["bars"]:
        assert (row["rows"], row["stored"], row["missing"]) == (897, 0, 3)
        (hole,) = row["holes"]
        assert hole["first"] == (START + timedelta(hours=101)).isoformat()
        assert hole["n_bars"] == 3
    store = Store(empty / ".dexml" / "store")
    stored = store.bars("binance", "BTC/USDT", Timeframe.H1)
    assert stored.close.tobytes() == history.bars["BTC/USDT"].close.tobytes()


def test_backfill_builds_krakens_older_bars_from_trades_and_says_what_that_takes(
    dexml: Dexml, empty: Path
) -> None:
    bars = some_bars("BTC/USDT", 1_000)
    n_hours = len(pd.date_range(bars.bar(0).closed_at, NOW, freq="h"))
    bars = replace(bars, closed_at=bars.closed_at + np.timedelta64(n_hours - 950, "h"))
    with ExchangeServers(History(bars={"BTC/USDT": bars}), SimulatedClock(NOW)) as servers:
        asked = ("backfill", "--exchange", "kraken", "--symbols", "BTC/USDT")
        asked += ("--url", servers.urls["kraken"])
        asked += ("--since", f"{bars.bar(0).closed_at - timedelta(hours=1):%Y-%m-%dT%H:%M}")
        without = dexml(*asked)
        chosen = dexml(*asked, "--trades")
        again = dexml(*asked, "--trades", "--json")
    assert (without.code, chosen.code, again.code) == (0, 0, 0)
    assert "take 1,610 trades, 2 requests, about 1 min: add --trades." in without.out
    assert "230 bars missing" in without.out
    assert "`dexml backfill --trades` sums older ones up" in without.out
    assert "take 1,610 trades, 2 requests, about 1 min." in chosen.out
    (row,) = again.last_line()["bars"]
    assert (row["rows"], row["stored"], row["missing"]) == (720, 0, 0)
    stored = Store(empty / ".dexml" / "store").bars("kraken", "BTC/USDT", Timeframe.H1)
    assert stored.close.tobytes() == bars.close[:950].tobytes()


def test_backfill_of_a_source_that_is_down_says_so(dexml: Dexml) -> None:
    said = dexml(
        "backfill", "--series", "fear_greed", "--macro-url", "http://127.0.0.1:1", "--json"
    )
    assert said.code == 3
    assert set(said.last_line()["failed"]) == {"fear_greed"}


def test_backfill_explains_mistakes_in_one_sentence(dexml: Dexml) -> None:
    bars = ("--exchange", "binance", "--url", "http://127.0.0.1:1")
    for arguments, sentence in (
        ((), "backfill must be told what to fetch"),
        ((*bars, "--since", "soon"), "--since must be a day or an instant, was 'soon'"),
        ((*bars, "--since", "2024-02-01", "--until", "2024-01-01"), "--since must be before"),
        ((*bars, "--since", "2024-01-01", "--trades"), "past trades of binance must be readable"),
        (("--newsapi",), "NEWSAPI_KEY must hold the key of NewsAPI, was unset"),
        (("--news", "http://127.0.0.1:1", "--scorer", "x"), "scorer must be one of"),
    ):
        said = dexml("backfill", *arguments, NEWSAPI_KEY="")
        assert (said.code, said.out) == (2, "")
        assert sentence in said.err


def test_backfill_reads_newsapi_and_yahoo_and_shows_no_key(dexml: Dexml, empty: Path) -> None:
    key = "0123456789abcdef0123456789abcdef"
    told = {"title": "Bitcoin falls", "publishedAt": f"{START:%Y-%m-%dT%H:%M:%SZ}", "source": {}}
    days = pd.bdate_range(end=START.date(), periods=30, tz="America/New_York")
    yahoo = YahooWire({"^VIX": pd.Series(15.0, index=days)})

    async def everything(request: web.Request) -> web.Response:
        if key not in str(request.headers):
            return web.json_response({"status": "error", "code": "x", "message": ""}, status=401)
        body = {"status": "ok", "totalResults": 1, "articles": [told]}
        return web.json_response(body)

    clock = SimulatedClock(NOW)
    routes = {"newsapi": [web.get("/v2/everything", everything)], "yahoo": yahoo.routes()}
    with LocalServers({name: stamped(one, clock) for name, one in routes.items()}) as servers:
        urls = servers.urls
        asked = ("backfill", "--newsapi", "--newsapi-url", urls["newsapi"], "--json")
        asked += ("--series", "vix", "--yahoo-url", urls["yahoo"], "--scorer", "textblob")
        result = dexml(*asked, NEWSAPI_KEY=key).last_line()
        refused = dexml(*asked, NEWSAPI_KEY="f00d" * 8)
    assert (result["news"], result["macro"], result["failed"]) == (1, 30, {})
    news = Store(empty / ".dexml" / "store").news()
    assert list(news["instruments"]) == ["BTC/USDT"]
    assert refused.code == 3
    assert "Check the key of NewsAPI" in refused.last_line()["failed"]["newsapi"]
    assert "f00d" not in refused.out + refused.err


def test_import_says_what_became_of_each_row_and_groups_what_it_refused(
    dexml: Dexml, empty: Path
) -> None:
    bars = bar_table(400)
    bars.loc[50:70, ["open", "high", "low", "close"]] *= 1_000.0
    write(bars, empty / "recorded" / "okx_BTCUSDT.csv")
    for k in range(9):
        (empty / "recorded" / f"notes{k}.txt").write_text("no data")
    said = dexml("import", "recorded")
    assert "okx_BTCUSDT.csv: okx BTC/USDT 1h bars, timestamp = open (UTC)" in said.out
    assert "  400 rows: 378 new, 1 refused, 21 set aside\n" in said.out
    told = [line for line in said.out.splitlines() if line.startswith("refused, ")]
    assert told == [
        "refused, must end in .parquet, .csv, .csv.gz, .json: notes0.txt, notes1.txt, notes2.txt, "
        "notes3.txt, notes4.txt and 4 more (--verbose)"
    ]
    again = dexml("import", "recorded", "--verbose")
    assert "  400 rows: 378 there already, 1 refused, 21 set aside\n" in again.out
    assert all(f"notes{k}.txt" in again.out for k in range(9))
    result = dexml("import", "recorded", "--json").last_line()
    numbers = [result[name] for name in ("read", "stored", "known", "refused", "aside")]
    assert numbers == [409, 0, 378, 10, 21]


def test_backfill_calls_a_wrong_name_a_mistake_of_usage(dexml: Dexml, empty: Path) -> None:
    for arguments, sentence in (
        (("--series", "nope"), "--series must be among dxy, fear_greed, gld"),
        (("--series", "gas_price"), "or have a --macro-url, was gas_price"),
        (
            ("--exchange", "kraken", "--symbols", "FOO", "--since", "2024-01-01"),
            "--symbols must read BASE/QUOTE, was 'FOO'",
        ),
    ):
        said = dexml("backfill", *arguments)
        assert (said.code, said.out) == (2, "")
        assert sentence in said.err
    write(bar_table(), empty / "okx_BTCUSDT.csv")
    said = dexml("import", "okx_BTCUSDT.csv", "--instrument", "FOO")
    assert (said.code, said.err) == (
        2,
        "--instrument must read BASE/QUOTE, was 'FOO'. Write BTC/USDT.\n",
    )


def test_status_fails_while_a_file_of_the_store_is_torn(dexml: Dexml, empty: Path) -> None:
    store, bars = Store(empty / ".dexml" / "store"), some_bars("BTC/USDT", 200)
    for rows in (slice(0, 100), slice(100, 200)):
        store.append_bars("binance", bars.take(rows))
    assert dexml("status").code == 0
    last = max((empty / ".dexml" / "store").rglob("*.arrow"))
    last.write_bytes(last.read_bytes()[:100])
    for said in (dexml("status"), dexml("status", "--json")):
        assert said.code == 1
        assert last.name in said.out
    last.unlink()
    assert dexml("status").code == 0


def test_status_without_a_run_heeds_the_universe(dexml: Dexml, empty: Path) -> None:
    Store(empty / ".dexml" / "store").append_bars("binance", some_bars("BTC/USDT", 100))
    assert "not in the universe" not in dexml("status").out
    text = "instrument,listed_at,delisted_at\nBTC/USDT,2015-01-01T00:00Z,2016-01-01T00:00Z\n"
    (empty / "listings.csv").write_text(text)
    (empty / "dexml.toml").write_text('[universe]\nlistings = "listings.csv"\n')
    assert "not in the universe (not listed)" in dexml("status").out


def test_a_file_that_mixes_seconds_and_milliseconds_is_told_of(dexml: Dexml, empty: Path) -> None:
    table = bar_table(100)
    column = table.columns[0]
    seconds = pd.to_datetime(table[column], utc=True).astype("int64") // 10**9
    table[column] = seconds.where(seconds.index < 60, seconds * 1_000)
    write(table, empty / "okx_BTCUSDT.csv")
    (file,) = dexml("import", "okx_BTCUSDT.csv", "--json").last_line()["files"]
    assert (file["rows"], file["refused"]) == (99, 1)  # the last one may have been open
    assert "40 rows have times in milliseconds, the others in seconds" in file["reason"]
