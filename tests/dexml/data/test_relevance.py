from __future__ import annotations

import pytest

from dexml.data.relevance import Relevance

NAMES = tuple(
    f"{coin}/USDT"
    for coin in ("BTC", "ETH", "SOL", "LINK", "DOGE", "BNB", "XRP", "ADA", "MATIC", "ONE", "BCH")
)


@pytest.mark.parametrize(
    ("title", "coins"),
    [
        ("A link to the past", ""),
        ("LINK IN BIO: FREE COINS", ""),
        ("The missing link between banks and crypto", ""),
        ("Exchanges link up with banks", ""),
        ("Chainlink and bitcoin rise", "BTC LINK"),
        ("LINK outperforms as the market rests", "LINK"),
        ("Oracle token $link soars", "LINK"),
        ("Chainlink (LINK) soars", "LINK"),
        ("LINK/USDT breaks out", "LINK"),
        ("Hyperlink and LINKs are not coins", ""),
        ("BTC falls, btc holders worry", "BTC"),
        ("Bitcoin's hashrate", "BTC"),
        ("Bitcoiners meet in Miami", ""),
        ("Bitcoin Cash forks again", "BCH"),
        ("Bitcoin Cash lags Bitcoin", "BTC BCH"),
        ("Ethereum Classic is no Ether", "ETH"),
        ("Ethereal music, ethernet and methods", ""),
        ("El sol brilla", ""),
        ("SOL and ADA lead", "SOL ADA"),
        ("Ada Lovelace day", ""),
        ("The ripple effect of rates", ""),
        ("Ripple effects of the merge", ""),
        ("Ripple wins in court", "XRP"),
        ("A polygon has many sides", ""),
        ("Polygon raises money", "MATIC"),
        ("One more thing: number ONE", "ONE"),
        ("Dogecoin, DOGE, doge", "DOGE"),
        ("Fees fall", ""),
        ("", ""),
    ],
)
def test_a_title_speaks_of_coins_by_whole_names_and_tickers(title: str, coins: str) -> None:
    found = Relevance(NAMES).of(title)
    assert found == " ".join(f"{coin}/USDT" for coin in coins.split())


def test_categories_that_are_instruments_overrule_the_title() -> None:
    relevance = Relevance(NAMES)
    assert relevance.of("Bitcoin falls", ["ETH/USDT", "Markets"]) == "ETH/USDT"
    assert relevance.of("Fees fall", ["Bitcoin", "Markets"]) == "BTC/USDT"
    assert relevance.of("Fees fall", ["SOL"]) == "SOL/USDT"


def test_every_quote_of_a_coin_is_found() -> None:
    assert Relevance(["BTC/USD", "BTC/USDT"]).of("Bitcoin falls") == "BTC/USD BTC/USDT"
