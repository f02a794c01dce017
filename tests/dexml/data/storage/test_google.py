"""The store in a bucket of Google's, on a local server that speaks its JSON API."""

from __future__ import annotations

from threading import Thread

import pytest

from dexml.data.standing import standings
from dexml.data.storage.folders import open_folder
from dexml.data.storage.store import Store
from tests.dexml.data.storage.test_store import macro, make, news, same


def test_a_file_appears_whole_is_listed_renamed_and_removed(google_bucket: str) -> None:
    folder = open_folder(google_bucket)
    assert (folder.names(), folder.paths()) == (set(), [])
    folder.under("bars", "one").write("a", b"x" * 3_000_000)
    folder.write("b", b"")
    assert folder.names() == {"b"}
    assert folder.paths() == [("b",), ("bars", "one", "a")]
    assert folder.under("bars", "one").read("a") == b"x" * 3_000_000
    folder.rename("b", "c")
    assert folder.names() == {"c"}
    folder.remove("c")
    folder.remove("c")
    with pytest.raises(FileNotFoundError):
        folder.read("c")


def test_a_store_keeps_bars_news_values_and_refusals_through_a_compaction(
    google_bucket: str,
) -> None:
    store = Store(google_bucket)
    assert store.append_bars("binance", make(10)) == 10
    assert store.append_bars("binance", make(12)) == 2
    assert store.append_bars("binance", make(1, start=12, price=100_000.0)) == 0
    assert (store.append_news(news(3)), store.append_macro(macro(20.0, "2024-01-02"))) == (3, 1)
    for n_segments in (5, 0):
        again = Store(google_bucket)
        history = again.history(["binance"], ["BTC/USDT"], "1h")
        assert same(history.bars["BTC/USDT"], make(12))
        assert (len(history.news), len(history.macro), len(history.refused)) == (3, 1, 1)
        (standing,) = standings(again)
        assert (standing.health, standing.refused) == (12 / 13, {"price jump": 1})
        assert store.compact() == n_segments


def test_two_writers_at_once_lose_nothing(google_bucket: str) -> None:
    def write(first: int) -> None:
        store = Store(google_bucket)
        for number in range(first, 40, 2):
            store.append_bars("binance", make(1, start=number))
            if number % 10 == first:
                store.compact()

    writers = [Thread(target=write, args=(first,)) for first in (0, 1)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert same(Store(google_bucket).bars("binance", "BTC/USDT", "1h"), make(40))
