from __future__ import annotations

from pathlib import Path

from dexml.data.storage.store import Store
from dexml.domain import Bars, Timeframe
from tests.dexml.conftest import Dexml
from tests.dexml.features.histories import some_macro, walk
from tests.recorded_run import hourly, write_bars
from tests.refusals import nothing_left

LEAKING = """
import numpy as np
from dexml.features.registry import Group, indicator

FIRST = {}

@indicator(Group.PRICE, "kept_ahead", warm_up=5, unit="x")
def kept_ahead(bars):
    "Next return, from the first bars it was called with."
    now = (bars.closed_at.copy(), bars.close.copy())
    stamps, closes = FIRST.setdefault(bars.instrument, now)
    at = np.searchsorted(stamps, bars.closed_at)
    return {"kept_ahead": closes[np.minimum(at + 1, len(closes) - 1)] / bars.close - 1}
"""


def _fill(home: Path) -> None:
    store = Store(home / "store")
    bars = walk("BTC/USDT", 700, 1)
    for venue in ("binance", "kraken"):
        store.append_bars(venue, bars)
    store.append_bars("binance", walk("ETH/USDT", 700, 2))
    store.append_macro(some_macro(bars))


def test_with_a_store_the_store_is_audited(dexml: Dexml, tmp_path: Path) -> None:
    _fill(tmp_path)
    found = dexml("audit", "--json", "--home", tmp_path).last_line()
    assert found["data"]["source"] == f"the store {tmp_path / 'store'}"
    assert found["data"]["instruments"] == ["BTC/USDT", "ETH/USDT"]
    assert found["data"]["exchanges"] == ["binance", "kraken"]
    assert found["leaks"] == []
    assert set(found["not_audited"]) == {"news_*", "social_*"}
    assert found["checked"] == found["features"] + found["raw"] + found["labels"]
    assert (found["raw"], found["labels"]) == (15, 5)


def test_the_store_of_the_folder_is_audited_without_being_named(dexml: Dexml, empty: Path) -> None:
    _fill(empty / ".dexml")
    said = dexml("audit", "--symbols", "ETH/USDT")
    assert said.code == 0
    assert said.out.startswith("the store .dexml/store: 700 bars (1h) of 1 instruments at binance")
    assert "15 raw columns and 5 labels checked, 0 leaks." in said.out
    assert "Not audited: venue_*, no instrument has bars of several exchanges." in said.out


def test_named_files_are_audited_beside_a_store(dexml: Dexml, tmp_path: Path) -> None:
    _fill(tmp_path)
    bars = write_bars(tmp_path / "bars", "BTCUSDT.parquet", hourly(900))
    found = dexml("audit", "--json", "--home", tmp_path, "--bars", bars).last_line()
    assert (found["data"]["source"], found["data"]["bars"]) == ("recorded files", 900)


def test_without_a_store_nothing_registered_is_left_out(dexml: Dexml, empty: Path) -> None:
    found = dexml("audit", "--json", "--history", "900", "--symbols", "BTC/USDT").last_line()
    assert found["data"]["source"] == "the built-in market"
    assert (found["leaks"], found["not_audited"]) == ([], {})
    nothing_left(empty)


def test_an_extension_that_remembers_is_named_by_the_command(
    dexml: Dexml, empty: Path, tmp_path: Path
) -> None:
    (empty / "own_leak.py").write_text(LEAKING)
    store = Store(tmp_path / "store")
    frame = walk("BTC/USDT", 700, 1).frame()
    store.append_bars("binance", Bars.from_frame("BTC/USDT", Timeframe.H1, frame))
    said = dexml("audit", "--home", tmp_path, DEXML_EXTENSIONS='["own_leak"]')
    assert said.code == 1
    assert "leak  kept_ahead: memory at" in said.out
    assert "where nothing later was ever shown to it" in said.out
