"""Which instruments stored headlines name: the same in whatever order things were stored."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dexml.data.relevance import Naming
from dexml.data.storage.store import Store
from tests.dexml.features.histories import walk

TITLES = ["Cardano and Bitcoin rise", "Ethereum slips", "Markets are quiet"]


def _news(instruments: list[str]) -> pd.DataFrame:
    at = pd.to_datetime(["2023-03-02", "2023-03-03", "2023-03-04"], utc=True)
    return pd.DataFrame(
        {
            "published_at": at,
            "known_at": at,
            "source": "wire",
            "title": TITLES,
            "instruments": instruments,
            "score": 0.5,
        }
    )


def _named(store: Store, *instruments: str) -> list[str]:
    history = store.history(["binance"], instruments, "1h")
    return [str(names) for names in history.news["instruments"]]


def test_an_instrument_that_came_after_the_headlines_is_named_by_them(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append_bars("binance", walk("BTC/USDT", 50))
    store.append_news(_news(["BTC/USDT", "", ""]))
    store.append_bars("binance", walk("ADA/USDT", 50))
    assert _named(store, "ADA/USDT", "BTC/USDT") == ["ADA/USDT BTC/USDT", "", ""]


def test_a_run_of_few_has_the_headlines_of_its_own_from_a_store_of_many(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append_bars("binance", walk("BTC/USDT", 50))
    store.append_news(_news(["ADA/USDT BTC/USDT", "ETH/USDT", ""]))
    assert _named(store, "BTC/USDT") == ["BTC/USDT", "", ""]
    assert store.news()["instruments"].tolist() == ["ADA/USDT BTC/USDT", "ETH/USDT", ""]


def test_what_a_source_said_counts_beside_the_title() -> None:
    naming = Naming(["LINK/USDT", "ETH/USDT"])
    assert naming.named(_news(["", "LINK/USDT", ""]))["instruments"].tolist() == [
        "",
        "LINK/USDT ETH/USDT",
        "",
    ]
